package optimistic

import (
	"onhand/models"
	"onhand/store/database/decide"
)

// Movements are the movements of a batch's reservations, by level.
type Movements struct {
	Levels map[decide.LevelID]*LevelMovements
	Order  []*LevelMovements // in the order of their first movement
}

// LevelMovements are the movements of one level.
type LevelMovements struct {
	decide.LevelID
	Before     models.Quantities
	Version    int64   // that the product has after them
	Quantities []int32 // units of each movement
	Keys       []byte  // 16 bytes for each movement's reservation
	taken      int
}

func newMovements() Movements { return Movements{Levels: map[decide.LevelID]*LevelMovements{}} }

// add adds a movement from available to reserved.
func (m *Movements) add(moved *models.StockMovement, reservation [16]byte, version int64) {
	id := decide.LevelID{Product: moved.ProductID, Location: moved.LocationID}
	l := m.Levels[id]
	if l == nil {
		l = &LevelMovements{LevelID: id, Before: moved.After.Minus(moved.Delta), Version: version}
		m.Levels[id], m.Order = l, append(m.Order, l)
	}
	l.Quantities = append(l.Quantities, int32(moved.Delta.Reserved))
	l.Keys = append(l.Keys, reservation[:]...)
	l.taken += moved.Delta.Reserved
}

// taken returns how many units of a level went from available to reserved.
func (m *Movements) taken(id decide.LevelID) int {
	if l := m.Levels[id]; l != nil {
		return l.taken
	}
	return 0
}
