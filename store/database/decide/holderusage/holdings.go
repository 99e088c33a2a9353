package holderusage

import (
	"cmp"
	"slices"

	"onhand/models"
	"onhand/models/holderlimits"
	"onhand/models/owner"
)

// ID names a holding. Product is empty for the number of reservations.
type ID struct {
	Holder  owner.Holder
	Product string
}

// Compare orders ids, the holder's own row first: so all transactions lock alike.
func (a ID) Compare(b ID) int {
	return cmp.Or(cmp.Compare(a.Holder, b.Holder), cmp.Compare(a.Product, b.Product))
}

// Holding is a holding: what is stored of it, or by how much it changes.
type Holding struct {
	ID
	Units int
}

// Within is a holding that a batch adds to, with the most that it may have then.
type Within struct {
	Holding
	Most int
}

// Holdings has the holdings of one transaction. The zero value is empty.
type Holdings struct {
	// Limits are the settings; none where they are off.
	Limits holderlimits.Limits
	// OneWriter: every holder counts as locked, because no other transaction writes.
	OneWriter bool

	locked  map[owner.Holder]bool
	loaded  map[ID]int
	changes map[ID]int
	full    fullHolders
	missed  bool
}

// Lock notes that a holder's row is locked.
func (b *Holdings) Lock(h owner.Holder) {
	if b.locked == nil {
		b.locked = map[owner.Holder]bool{}
	}
	b.locked[h] = true
}

// Add keeps a holding that was loaded.
func (b *Holdings) Add(r Holding) {
	if b.loaded == nil {
		b.loaded = map[ID]int{}
	}
	b.loaded[r.ID] = r.Units
}

// Units is what a holder has of a product, or how many reservations.
func (b *Holdings) Units(id ID) int { return b.loaded[id] + b.changes[id] }

// Counts reports whether a new reservation of a holder is counted.
func (b *Holdings) Counts(h owner.Holder) bool { return h != "" && b.Limits.On() }

// Contribution is what one reservation adds to holdings.
type Contribution struct {
	Holder owner.Holder
	Counts bool // counted and active
	Lines  []models.ReservationLine
}

// Move takes a reservation as it was out of the holdings, and puts it in as it is.
func (b *Holdings) Move(was, is Contribution) {
	b.add(was, -1)
	b.add(is, 1)
}

func (b *Holdings) add(k Contribution, sign int) {
	if !k.Counts || k.Holder == "" {
		return
	}
	if !b.OneWriter && !b.locked[k.Holder] {
		b.missed = true
		return
	}
	b.Change(ID{Holder: k.Holder}, sign)
	for i := range k.Lines {
		if n := UnitsOf(&k.Lines[i]); n > 0 {
			b.Change(ID{k.Holder, k.Lines[i].ProductID}, sign*n)
		}
	}
}

// UnitsOf is how many units of stock a line of an active reservation keeps.
func UnitsOf(l *models.ReservationLine) (n int) {
	for _, a := range l.Allocations {
		n += a.Quantity
	}
	return n
}

// Change changes a holding.
func (b *Holdings) Change(id ID, units int) {
	if b.changes == nil {
		b.changes = map[ID]int{}
	}
	b.changes[id] += units
}

// Unlocked reports whether a holder's row that changes is not locked.
func (b *Holdings) Unlocked() bool { return b.missed }

// Full lists the holders that a write was refused for, in order.
func (b *Holdings) Full() []string { return b.full.list() }

// Changes lists the holdings that changed, in the order of their locks, and those that
// may be empty by now.
func (b *Holdings) Changes() (changed []Holding, emptied []ID) {
	for id, units := range b.changes {
		if units != 0 {
			changed = append(changed, Holding{id, units})
		}
		if units < 0 || units == 0 && id.Product == "" {
			emptied = append(emptied, id)
		}
	}
	for h := range b.locked {
		if id := (ID{Holder: h}); b.changes[id] == 0 {
			emptied = append(emptied, id)
		}
	}
	slices.SortFunc(changed, func(x, y Holding) int { return x.Compare(y.ID) })
	slices.SortFunc(emptied, ID.Compare)
	return changed, slices.Compact(emptied)
}
