package optimistic

// Limits of holders. A holder's first small reservation on this instance needs no row of
// its holdings; others are counted, in the batch's transaction. Gain: a new holder costs
// nothing in the database (docs/decisions.md, record 35).

import (
	"context"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"time"

	"onhand/models"
	"onhand/models/holding"
	"onhand/models/owner"
	"onhand/store/database/decide/holdings"
)

// admit decides whether a reservation is within its holder's limits, as far as this
// instance knows, and whether it is counted. The database checks counted ones.
func (b *ReservationBatch) admit(w models.Reserve, lines []models.ReservationLine) (counted, within bool) {
	h, limits := holding.Limited(w.Holder, w.Access), b.executor.HolderLimits
	if h == "" || !limits.On() {
		return false, true
	}
	f := b.executor.firsts
	if f.isFull(h) {
		return false, false
	}
	reservations := limits.ReservationsOf(h)
	first := holding.AllowsFirsts(reservations) && w.ReservationTTL() <= holding.FirstTTLMax
	most := make([]int, len(lines))
	for i := range lines {
		p := b.Unit.Products[lines[i].ProductID]
		most[i], _ = limits.UnitsOf(h, holdings.StockOf(p, b.Unit.Levels[p.ProductID]))
		first = first && holding.AllowsFirst(lines[i].Quantity, most[i])
	}
	if first && f.add(h) {
		return false, true
	}
	return true, b.count(h, holding.CountedReservations(reservations), lines, most)
}

// count adds a counted reservation to the holdings of the batch. It adds nothing where
// the batch alone exceeds a limit.
func (b *ReservationBatch) count(h owner.Holder, reservations int, lines []models.ReservationLine, most []int) bool {
	if b.held == nil {
		b.held = map[holdings.ID]holdings.Within{}
	}
	own := holdings.ID{Holder: h}
	added := map[holdings.ID]holdings.Within{own: b.within(own, 1, reservations)}
	for i := range lines {
		if units := holdings.UnitsOf(&lines[i]); units > 0 {
			id := holdings.ID{Holder: h, Product: lines[i].ProductID}
			added[id] = b.within(id, units, holding.CountedUnits(most[i]))
		}
	}
	for _, row := range added {
		if row.Units > row.Most {
			return false
		}
	}
	maps.Copy(b.held, added)
	return true
}

// within is a holding after more units, with the lower of its limits.
func (b *ReservationBatch) within(id holdings.ID, units, most int) holdings.Within {
	row, known := b.held[id]
	if !known || most < row.Most {
		row.Most = most
	}
	row.ID, row.Units = id, row.Units+units
	return row
}

func sortedHoldings(held map[holdings.ID]holdings.Within) []holdings.Within {
	return slices.SortedFunc(maps.Values(held), func(x, y holdings.Within) int { return x.Compare(y.ID) })
}

// LoadFirsts lets this instance grant firsts. It first reads the holders that may have one
// from an instance before it.
func (e *Executor) LoadFirsts(ctx context.Context) error {
	if e == nil || !e.HolderLimits.On() {
		return nil
	}
	e.firsts.open()
	known := 0
	err := e.engine.FetchFirsts(ctx, firstsMax, func(holder string) {
		known++
		e.firsts.note(owner.Holder(holder))
	})
	if err == nil && known < firstsMax {
		e.firsts.start()
	}
	return err
}

// NoteFull notes holders that are at a limit: for a moment, their reservations are decided
// under lock. An optimistic batch would be refused with all others in it.
func (e *Executor) NoteFull(holders []string) {
	if e != nil {
		e.firsts.noteFull(holders)
	}
}

const (
	// firstsMax bounds the holders that are known in one period. There are no more firsts
	// in it then.
	firstsMax = 4 << 20
	// firstsBits is the size of a filter: with firstsMax holders, one in a hundred new ones
	// is taken for a known one, and counted.
	firstsBits = 1 << 26
	// firstsPeriod is how long a holder is known, at least: longer than a first lives.
	firstsPeriod = holding.FirstTTLMax + time.Minute
	// fullFor is how long a holder counts as full; fullMax bounds their number.
	fullFor = time.Second
	fullMax = 4096
)

// firsts knows the holders that this instance granted a first: two Bloom filters, of this
// period and of the one before. It forgets nobody before its first has ended.
type firsts struct {
	mu       sync.Mutex
	now      func() time.Time
	seed     maphash.Seed
	ready    bool
	this     []uint64
	before   []uint64
	known    int // in this
	rotateAt time.Time
	full     map[owner.Holder]time.Time
}

func newFirsts(now func() time.Time) *firsts {
	return &firsts{now: now, seed: maphash.MakeSeed(), full: map[owner.Holder]time.Time{}}
}

// open makes the filters. start lets firsts be granted.
func (f *firsts) open() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.this, f.before, f.known = make([]uint64, firstsBits/64), make([]uint64, firstsBits/64), 0
	f.rotateAt = f.now().Add(firstsPeriod)
}

func (f *firsts) start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ready = true
}

// add notes that a holder is granted a first. It reports false where the holder may have
// one already.
func (f *firsts) add(h owner.Holder) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ready {
		return false
	}
	if now := f.now(); !now.Before(f.rotateAt) {
		f.this, f.before, f.known, f.rotateAt = f.before, f.this, 0, now.Add(firstsPeriod)
		clear(f.this)
	}
	if f.known >= firstsMax || f.has(f.before, h) {
		return false
	}
	return f.set(h)
}

// note notes a holder that has a first.
func (f *firsts) note(h owner.Holder) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set(h)
}

// firstsHashes is how many bits of a filter stand for a holder.
const firstsHashes = 7

// bits calls each with the places of a holder's bits, until it returns false.
func (f *firsts) bits(h owner.Holder, each func(word int, bit uint64) bool) {
	sum := maphash.String(f.seed, string(h))
	step := sum>>32 | 1
	for range firstsHashes {
		at := sum % firstsBits
		if !each(int(at/64), 1<<(at%64)) {
			return
		}
		sum += step
	}
}

func (f *firsts) has(filter []uint64, h owner.Holder) bool {
	all := true
	f.bits(h, func(word int, bit uint64) bool {
		all = filter[word]&bit != 0
		return all
	})
	return all
}

// set sets the bits of a holder in this, and reports whether one was not set before.
func (f *firsts) set(h owner.Holder) (added bool) {
	f.bits(h, func(word int, bit uint64) bool {
		added = added || f.this[word]&bit == 0
		f.this[word] |= bit
		return true
	})
	if added {
		f.known++
	}
	return added
}

func (f *firsts) noteFull(holders []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	for _, h := range holders {
		if len(f.full) >= fullMax {
			clear(f.full)
		}
		f.full[owner.Holder(h)] = now.Add(fullFor)
	}
}

// isFull reports whether a holder was at a limit a moment ago.
func (f *firsts) isFull(h owner.Holder) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.full) == 0 {
		return false
	}
	until, known := f.full[h]
	return known && f.now().Before(until)
}
