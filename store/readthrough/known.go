package readthrough

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// knownMax bounds the products that are known. A shop with more reads every id the
	// same way.
	knownMax = 20_000_000
	// knownRoom is by what factor a filter is larger than what it is made for. When that
	// is used up, it is made again.
	knownRoom = 2
	// knownPage is how many ids are listed at once.
	knownPage = 5000
	// KnownInterval is how often the size of the filter is looked at.
	KnownInterval = time.Minute

	// A filter has bitsPerID bits for each id that it is made for, in blocks of blockWords
	// words: a look at one touches one cache line. One id in a thousand that it does not
	// have seems to be in it.
	bitsPerID  = 16
	blockWords = 8
	bitsPerAdd = 6
)

// IDSource lists the ids of all products.
type IDSource interface {
	// ProductIDs lists ids after one, in order, at most limit.
	ProductIDs(ctx context.Context, after string, limit int) ([]string, error)
}

// KnownIDs tells ids of products from ids that are probably made up. It decides who
// waits for whom, never what is true: an id that it does not have is read from the
// database. It is safe for concurrent use.
type KnownIDs struct {
	source IDSource
	log    *slog.Logger
	seed   maphash.Seed
	filter atomic.Pointer[idFilter] // nil: every id counts as known
}

// NewKnownIDs makes KnownIDs. Until Update every id counts as known.
func NewKnownIDs(source IDSource, log *slog.Logger) *KnownIDs {
	return &KnownIDs{source: source, log: log, seed: maphash.MakeSeed()}
}

// Update lists the products, unless the filter has room. It tries again with the next
// call after an error.
func (k *KnownIDs) Update(ctx context.Context) {
	if filter := k.filter.Load(); filter != nil && !filter.full() {
		return
	}
	var hashes []uint64
	for after := ""; ; {
		ids, err := k.source.ProductIDs(ctx, after, knownPage)
		if err != nil {
			k.log.Debug("the products were not listed", "error", err)
			return
		}
		for _, id := range ids {
			hashes = append(hashes, k.hash(id))
		}
		if len(ids) < knownPage {
			break
		}
		if after = ids[len(ids)-1]; len(hashes) > knownMax {
			k.filter.Store(nil)
			return
		}
	}
	filter := newIDFilter(knownRoom * max(len(hashes), knownPage))
	for _, hash := range hashes {
		filter.add(hash)
	}
	k.filter.Store(filter)
}

// Add notes that there is such a product.
func (k *KnownIDs) Add(id string) {
	if filter := k.filter.Load(); filter != nil {
		filter.add(k.hash(id))
	}
}

// unknown returns the indexes of the ids that are probably no products; nil for none.
func (k *KnownIDs) unknown(ids []string) (at []int) {
	filter := k.filter.Load()
	if filter == nil {
		return nil
	}
	for i, id := range ids {
		if !filter.has(k.hash(id)) {
			at = append(at, i)
		}
	}
	return at
}

func (k *KnownIDs) hash(id string) uint64 { return maphash.String(k.seed, id) }

// idFilter is a Bloom filter of hashes.
type idFilter struct {
	words []atomic.Uint64
	room  int64
	added atomic.Int64
}

func newIDFilter(room int) *idFilter {
	blocks := max(1, room*bitsPerID/(blockWords*64))
	return &idFilter{words: make([]atomic.Uint64, blocks*blockWords), room: int64(room)}
}

func (f *idFilter) full() bool { return f.added.Load() > f.room }

// block returns the words that a hash has its bits in. The bits come from other parts
// of the hash than the place of the block.
func (f *idFilter) block(hash uint64) (words []atomic.Uint64, bits uint64) {
	blocks := uint64(len(f.words) / blockWords)
	at := (hash >> 32) * blocks >> 32 * blockWords
	return f.words[at : at+blockWords], hash * 0x9e3779b97f4a7c15
}

func (f *idFilter) add(hash uint64) {
	words, bits := f.block(hash)
	isNew := false
	for range bitsPerAdd {
		word, bit := &words[bits>>61], uint64(1)<<(bits>>55&63)
		if word.Load()&bit == 0 {
			word.Or(bit)
			isNew = true
		}
		bits <<= 9
	}
	if isNew {
		f.added.Add(1)
	}
}

func (f *idFilter) has(hash uint64) bool {
	words, bits := f.block(hash)
	for range bitsPerAdd {
		if words[bits>>61].Load()&(1<<(bits>>55&63)) == 0 {
			return false
		}
		bits <<= 9
	}
	return true
}

// askedIDs has the unknown ids that were asked for lately: of a catalogue that has
// products which the shop no longer has, and not those of a flood of random ids.
type askedIDs struct {
	mu             sync.Mutex
	current, older *idFilter
	rotated        time.Time
}

const (
	// askedMax is how many unknown ids are remembered, in each of two generations.
	askedMax = 16_384
	// askedAge is how long a generation grows.
	askedAge = 30 * time.Second
)

// add notes ids that turned out to be unknown.
func (a *askedIDs) add(hashes []uint64, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current == nil || a.current.full() || now.Sub(a.rotated) > askedAge {
		a.current, a.older, a.rotated = newIDFilter(askedMax), a.current, now
	}
	for _, hash := range hashes {
		a.current.add(hash)
	}
}

// has reports whether an id was asked for lately.
func (a *askedIDs) has(hash uint64) bool {
	a.mu.Lock()
	current, older := a.current, a.older
	a.mu.Unlock()
	return current != nil && current.has(hash) || older != nil && older.has(hash)
}
