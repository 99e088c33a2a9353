package database

import (
	"onhand/models"
)

// planMovements are the movements of a plan's holds, by level.
type planMovements struct {
	levels map[levelID]*levelMovements
	order  []*levelMovements // in which they came first
}

// levelMovements are those of one level.
type levelMovements struct {
	levelID
	before     models.Quantities
	version    int64
	quantities []int32
	taken      int
	keys       []byte // 16 bytes a reservation
}

func newPlanMovements() planMovements { return planMovements{levels: map[levelID]*levelMovements{}} }

func (p *planMovements) add(m *models.StockMovement, reservation [16]byte, version int64) {
	id := levelID{m.ProductID, m.LocationID}
	l := p.levels[id]
	if l == nil {
		l = &levelMovements{levelID: id, before: m.After.Minus(m.Delta), version: version}
		p.levels[id], p.order = l, append(p.order, l)
	}
	l.quantities = append(l.quantities, int32(m.Delta.Reserved))
	l.taken += m.Delta.Reserved
	l.keys = append(l.keys, reservation[:]...)
}

// taken is how many units went from available to reserved.
func (p *planMovements) taken(id levelID) int {
	if l := p.levels[id]; l != nil {
		return l.taken
	}
	return 0
}
