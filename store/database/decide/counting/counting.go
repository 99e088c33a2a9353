package counting

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"onhand/models"
)

// Bounds of a count that is written later.
const (
	// AgeMax is how old a count may be.
	AgeMax = 30 * 24 * time.Hour
	// SkewMax is how far the clock of a counting device may be ahead of the database's.
	SkewMax = 5 * time.Second
	// EntriesMax is how many ledger entries of a product are read for one level.
	EntriesMax = 20_000
	// EntriesTotalMax is how many are read for one write.
	EntriesTotalMax = 100_000
	// ClockStepMax and ClockStepEntriesMax are by how much the entries of a product may be
	// out of the order of their times: after a failover, the clock of another server may be
	// behind.
	ClockStepMax        = 10 * time.Second
	ClockStepEntriesMax = 1000
)

// Ref names what is asked of the ledger: a level since a moment.
type Ref struct {
	Product, Location string
	At                time.Time
}

// Compare orders the newest moment first.
func (r Ref) Compare(other Ref) int {
	return cmp.Or(other.At.Compare(r.At), cmp.Compare(r.Product, other.Product), cmp.Compare(r.Location, other.Location))
}

// Moment is the last moment that clients see as t: they see milliseconds, the database
// has microseconds.
func Moment(t time.Time) time.Time {
	return t.UTC().Truncate(time.Millisecond).Add(time.Millisecond - time.Microsecond)
}

// Problem returns why nothing can be counted at this moment; empty where it can.
func (r Ref) Problem(now time.Time) string {
	switch age := now.Sub(r.At); {
	case age < -SkewMax:
		return "is in the future; the server's time is " + Text(now)
	case age > AgeMax:
		return fmt.Sprintf("is more than %d days ago; count again", int(AgeMax.Hours()/24))
	}
	return ""
}

// TooMuch is the problem of a basis that is not complete.
var TooMuch = fmt.Sprintf("is before more than %d changes of the product, or %d of all rows; count again, or write fewer rows at once", EntriesMax, EntriesTotalMax)

// Text is a time as the API shows it.
func Text(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// Basis is what the ledger says of a level since a moment.
type Basis struct {
	Ref
	// Since is what the level gained and lost, without the corrections of counts.
	Since models.Quantities
	// Newest is when the states were counted last; zero for never.
	Newest Moments
	// Entries is how many ledger entries were read. Complete is false where there were too
	// many; Since is then not known.
	Entries  int
	Complete bool
}

// Moments has a moment for each state that can be counted.
type Moments struct{ Available, Damaged, QualityControl, SafetyStock, Incoming time.Time }

// Of returns a pointer to the moment of a state; nil for a state that cannot be counted.
func (m *Moments) Of(s models.State) *time.Time {
	switch s {
	case models.Available:
		return &m.Available
	case models.Damaged:
		return &m.Damaged
	case models.QualityControl:
		return &m.QualityControl
	case models.SafetyStock:
		return &m.SafetyStock
	case models.Incoming:
		return &m.Incoming
	}
	return nil
}

// WrittenCount is a count that is written: when it was made, and its correction in units.
type WrittenCount struct {
	Product, Location string
	State             models.State
	CountedAt         time.Time
	Correction        int
}

type levelKey struct{ product, location string }

type basisKey struct {
	levelKey
	micros int64
}

type stateKey struct {
	levelKey
	state models.State
}

func (r Ref) key() basisKey { return basisKey{levelKey{r.Product, r.Location}, r.At.UnixMicro()} }

// expired is an end of a reservation: the units that became available.
type expired struct {
	at    time.Time
	units int
}

// Book has the bases and records of one unit of work, and what the unit of work does to
// the levels. Its zero value is empty.
type Book struct {
	bases   map[basisKey]*Basis
	moved   map[levelKey]models.Quantities
	expired map[levelKey][]expired
	records map[stateKey]*WrittenCount
}

// Add keeps a basis that was loaded.
func (b *Book) Add(basis *Basis) {
	if b.bases == nil {
		b.bases, b.moved, b.expired = map[basisKey]*Basis{}, map[levelKey]models.Quantities{}, map[levelKey][]expired{}
	}
	b.bases[basis.key()] = basis
}

// Asked reports whether movements of the unit of work matter to a count.
func (b *Book) Asked() bool { return len(b.bases) > 0 }

// Entries is how many ledger entries were read for all bases.
func (b *Book) Entries() (n int) {
	for _, basis := range b.bases {
		n += basis.Entries
	}
	return n
}

// Move notes a movement of the unit of work, after Add. expiry is that of the reservation which the
// movement ends as expired; nil for every other movement.
func (b *Book) Move(m models.StockMovement, expiry *time.Time) {
	at := levelKey{m.ProductID, m.LocationID}
	b.moved[at] = b.moved[at].Plus(m.Delta)
	if expiry != nil {
		b.expired[at] = append(b.expired[at], expired{*expiry, m.Delta.Available})
	}
}

// Since returns what a state gained and lost since a moment, movements of this unit of
// work included. complete is false where that is not known.
func (b *Book) Since(ref Ref, state models.State) (units int, complete bool) {
	basis := b.bases[ref.key()]
	if basis == nil || !basis.Complete {
		return 0, false
	}
	at := ref.key().levelKey
	since, moved := basis.Since, b.moved[at]
	units = *since.Of(state) + *moved.Of(state)
	if record := b.records[stateKey{at, state}]; record != nil {
		units -= record.Correction
	}
	if state == models.Available {
		for _, e := range b.expired[at] {
			if !e.at.After(ref.At) {
				units -= e.units
			}
		}
	}
	return units, true
}

// Newest returns when a state was counted last; zero for never.
func (b *Book) Newest(ref Ref, state models.State) (newest time.Time) {
	if basis := b.bases[ref.key()]; basis != nil {
		newest = *basis.Newest.Of(state)
	}
	if record := b.records[stateKey{ref.key().levelKey, state}]; record != nil && record.CountedAt.After(newest) {
		newest = record.CountedAt
	}
	return newest
}

// Record notes counts that are written. Those of one state are one record.
func (b *Book) Record(counts []WrittenCount) {
	if b.records == nil {
		b.records = make(map[stateKey]*WrittenCount, len(counts))
	}
	for _, r := range counts {
		at := stateKey{levelKey{r.Product, r.Location}, r.State}
		if known := b.records[at]; known != nil {
			r.Correction += known.Correction
			if known.CountedAt.After(r.CountedAt) {
				r.CountedAt = known.CountedAt
			}
		}
		b.records[at] = &r
	}
}

// Records lists the counts to save, by level and state.
func (b *Book) Records() []*WrittenCount {
	list := make([]*WrittenCount, 0, len(b.records))
	for _, r := range b.records {
		list = append(list, r)
	}
	slices.SortFunc(list, func(x, y *WrittenCount) int {
		return cmp.Or(cmp.Compare(x.Product, y.Product), cmp.Compare(x.Location, y.Location), cmp.Compare(x.State, y.State))
	})
	return list
}
