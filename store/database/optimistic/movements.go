package optimistic

import (
	"onhand/models"
	"onhand/store/database/decide"
)

// planMovements are the movements of a plan's holds, by level.
type Movements struct {
	Levels map[decide.LevelID]*LevelMovements
	Order  []*LevelMovements // in which they came first
}

// levelMovements are those of one level.
type LevelMovements struct {
	decide.LevelID
	Before     models.Quantities
	Version    int64
	Quantities []int32
	taken      int
	Keys       []byte // 16 bytes a reservation
}

func newMovements() Movements { return Movements{Levels: map[decide.LevelID]*LevelMovements{}} }

func (p *Movements) add(m *models.StockMovement, reservation [16]byte, version int64) {
	id := decide.LevelID{Product: m.ProductID, Location: m.LocationID}
	l := p.Levels[id]
	if l == nil {
		l = &LevelMovements{LevelID: id, Before: m.After.Minus(m.Delta), Version: version}
		p.Levels[id], p.Order = l, append(p.Order, l)
	}
	l.Quantities = append(l.Quantities, int32(m.Delta.Reserved))
	l.taken += m.Delta.Reserved
	l.Keys = append(l.Keys, reservation[:]...)
}

// taken is how many units went from available to reserved.
func (p *Movements) taken(id decide.LevelID) int {
	if l := p.Levels[id]; l != nil {
		return l.taken
	}
	return 0
}
