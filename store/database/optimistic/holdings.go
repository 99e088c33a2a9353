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
	"onhand/models/holderlimits"
	"onhand/models/owner"
	"onhand/store/database/decide/holderusage"
)

// admit decides whether a reservation is within its holder's limits, as far as this
// instance knows, whether it is counted, and whether it counts against limits of its
// products for each owner. The database checks what counts.
func (b *ReservationBatch) admit(w models.Reserve, lines []models.ReservationLine) (counted, inPurchases, within bool) {
	h := holderlimits.LimitedHolder(w.Holder, w.Access)
	if h == "" {
		return false, false, true
	}
	if b.executor.uncounted.isFull(h) {
		return false, false, false
	}
	if inPurchases, within = b.withinPurchases(h, lines); within {
		counted, within = b.withinHolderLimits(w, h, lines)
	}
	if within && inPurchases {
		b.purchase(h, lines)
	}
	return counted, inPurchases, within
}

// withinHolderLimits decides on the limits of holders.
func (b *ReservationBatch) withinHolderLimits(w models.Reserve, h owner.Holder, lines []models.ReservationLine) (counted, within bool) {
	limits, f := b.executor.HolderLimits, b.executor.uncounted
	if !limits.On() {
		return false, true
	}
	reservations := limits.ReservationsOf(h)
	uncounted := holderlimits.AllowsUncounted(reservations) && w.ReservationTTL() <= holderlimits.UncountedTTLMax
	most := make([]int, len(lines))
	for i := range lines {
		p := b.Unit.Products[lines[i].ProductID]
		most[i], _ = limits.UnitsOf(h, holderusage.StockOf(p, b.Unit.Levels[p.ProductID]))
		uncounted = uncounted && holderlimits.AllowsUncountedUnits(lines[i].Quantity, most[i])
	}
	if uncounted && f.add(h) {
		return false, true
	}
	return true, b.count(h, holderlimits.CountedReservations(reservations), lines, most)
}

// count adds a counted reservation to the holdings of the batch. It adds nothing where
// the batch alone exceeds a limit.
func (b *ReservationBatch) count(h owner.Holder, reservations int, lines []models.ReservationLine, most []int) bool {
	if b.held == nil {
		b.held = map[holderusage.ID]holderusage.Within{}
	}
	own := holderusage.ID{Holder: h}
	added := map[holderusage.ID]holderusage.Within{own: b.within(own, 1, reservations)}
	for i := range lines {
		if units := holderusage.UnitsOf(&lines[i]); units > 0 {
			id := holderusage.ID{Holder: h, Product: lines[i].ProductID}
			added[id] = b.within(id, units, holderlimits.CountedUnits(most[i]))
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
func (b *ReservationBatch) within(id holderusage.ID, units, most int) holderusage.Within {
	row, known := b.held[id]
	if !known || most < row.Most {
		row.Most = most
	}
	row.ID, row.Units = id, row.Units+units
	return row
}

func sortedHoldings(held map[holderusage.ID]holderusage.Within) []holderusage.Within {
	return slices.SortedFunc(maps.Values(held), func(x, y holderusage.Within) int { return x.Compare(y.ID) })
}

// LoadUncounted lets this instance grant uncounted reservations. It first reads the
// holders that may have one from an instance before it.
func (e *Executor) LoadUncounted(ctx context.Context) error {
	if e == nil || !e.HolderLimits.On() {
		return nil
	}
	e.uncounted.open()
	known := 0
	err := e.engine.FetchUncounted(ctx, uncountedMax, func(holder string) {
		known++
		e.uncounted.note(owner.Holder(holder))
	})
	if err == nil && known < uncountedMax {
		e.uncounted.start()
	}
	return err
}

// NoteFull notes holders that are at a limit: for a moment, their reservations are decided
// under lock. An optimistic batch would be refused with all others in it.
func (e *Executor) NoteFull(holders []string) {
	if e != nil {
		e.uncounted.noteFull(holders)
	}
}

const (
	// uncountedMax bounds the holders that are known in one period. After that, the period's
	// reservations are counted.
	uncountedMax = 4 << 20
	// filterBits is the size of a filter: with uncountedMax holders, one in a hundred new ones
	// is taken for a known one, and counted.
	filterBits = 1 << 26
	// filterPeriod is how long a holder is known, at least: longer than an uncounted
	// reservation lives.
	filterPeriod = holderlimits.UncountedTTLMax + time.Minute
	// fullFor is how long a holder counts as full; fullMax bounds their number.
	fullFor = time.Second
	fullMax = 4096
)

// uncountedHolders knows the holders that this instance granted an uncounted reservation:
// two Bloom filters, of this period and of the one before. It forgets no holder before
// that reservation has ended.
type uncountedHolders struct {
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

func newUncountedHolders(now func() time.Time) *uncountedHolders {
	return &uncountedHolders{now: now, seed: maphash.MakeSeed(), full: map[owner.Holder]time.Time{}}
}

// open makes the filters. start lets uncounted reservations be
// granted.
func (f *uncountedHolders) open() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.this, f.before, f.known = make([]uint64, filterBits/64), make([]uint64, filterBits/64), 0
	f.rotateAt = f.now().Add(filterPeriod)
}

func (f *uncountedHolders) start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ready = true
}

// add notes that a holder is granted an uncounted reservation. It reports false where the holder may have
// one already.
func (f *uncountedHolders) add(h owner.Holder) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ready {
		return false
	}
	if now := f.now(); !now.Before(f.rotateAt) {
		f.this, f.before, f.known, f.rotateAt = f.before, f.this, 0, now.Add(filterPeriod)
		clear(f.this)
	}
	if f.known >= uncountedMax || f.has(f.before, h) {
		return false
	}
	return f.set(h)
}

// note notes a holder that has an uncounted reservation.
func (f *uncountedHolders) note(h owner.Holder) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set(h)
}

// filterHashes is how many bits of a filter stand for a holder.
const filterHashes = 7

// bits calls each with the places of a holder's bits, until it returns false.
func (f *uncountedHolders) bits(h owner.Holder, each func(word int, bit uint64) bool) {
	sum := maphash.String(f.seed, string(h))
	step := sum>>32 | 1
	for range filterHashes {
		at := sum % filterBits
		if !each(int(at/64), 1<<(at%64)) {
			return
		}
		sum += step
	}
}

func (f *uncountedHolders) has(filter []uint64, h owner.Holder) bool {
	all := true
	f.bits(h, func(word int, bit uint64) bool {
		all = filter[word]&bit != 0
		return all
	})
	return all
}

// set sets the bits of a holder in this, and reports whether one was not set before.
func (f *uncountedHolders) set(h owner.Holder) (added bool) {
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

func (f *uncountedHolders) noteFull(holders []string) {
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
func (f *uncountedHolders) isFull(h owner.Holder) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.full) == 0 {
		return false
	}
	until, known := f.full[h]
	return known && f.now().Before(until)
}
