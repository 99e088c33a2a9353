package history

import (
	"sort"
	"time"

	"onhand/models"
)

// StockHistory is the stock of one product at evenly spaced moments. Nothing changes it
// after it is made.
type StockHistory struct {
	// Product has the settings of now.
	models.Product
	Moments HistoryMoments
	// Known is the index of the first moment that could be read; the ledger of the
	// others is too long.
	Known int
	// Began is the index of the first moment at which the product had a movement; it had no
	// stock before.
	Began int
	// Series are the levels, by location priority, then id.
	Series []LevelSeries
}

// LevelSeries is one level at all moments.
type LevelSeries struct {
	// Level has the location, and the quantities of the first moment.
	models.Level
	// Changes are by their moment, ascending.
	Changes []LevelChange
}

// LevelChange says what a level has from a moment on.
type LevelChange struct {
	Moment int
	models.Quantities
}

// at is what the level has at a moment.
func (s *LevelSeries) at(moment int) models.Quantities {
	later := sort.Search(len(s.Changes), func(i int) bool { return s.Changes[i].Moment > moment })
	if later == 0 {
		return s.Quantities
	}
	return s.Changes[later-1].Quantities
}

// In narrows the history to the locations of a channel.
func (h *StockHistory) In(members map[string]bool) *StockHistory {
	narrow := *h
	narrow.Series = nil
	for _, series := range h.Series {
		if members[series.LocationID] {
			narrow.Series = append(narrow.Series, series)
		}
	}
	return &narrow
}

// Since is the first moment that was asked for, Until the last.
func (h *StockHistory) Since() time.Time { return h.Moments.First }

// Until is the last moment.
func (h *StockHistory) Until() time.Time { return h.Moments.Last() }

// Complete reports whether every moment could be read.
func (h *StockHistory) Complete() bool { return h.Known == 0 }

// Points are what is known of the moments, from the product's first movement on, the
// oldest first.
func (h *StockHistory) Points() []HistoryPoint {
	first := min(max(h.Known, h.Began), h.Moments.Count)
	points := make([]HistoryPoint, 0, h.Moments.Count-first)
	for moment := first; moment < h.Moments.Count; moment++ {
		points = append(points, h.point(moment))
	}
	return points
}

func (h *StockHistory) point(moment int) HistoryPoint {
	p := HistoryPoint{At: h.Moments.At(moment), history: h, moment: moment}
	for i := range h.Series {
		q := h.Series[i].at(moment)
		p.total = p.total.Plus(q)
		if h.Series[i].Active {
			p.sellable += q.Available
		}
	}
	return p
}

// HistoryPoint is the stock of a product at one moment.
type HistoryPoint struct {
	At time.Time

	history  *StockHistory
	moment   int
	total    models.Quantities
	sellable int
}

// Available is the available total over active locations.
func (p HistoryPoint) Available() int { return models.Units(p.sellable) }

// Reserved is units of active reservations, as far as their end has been written.
func (p HistoryPoint) Reserved() int { return models.Units(p.total.Reserved) }

// Committed is units ordered and not shipped.
func (p HistoryPoint) Committed() int { return models.Units(p.total.Committed) }

// OnHand is everything physically there.
func (p HistoryPoint) OnHand() int { return models.Units(p.total.OnHand()) }

// Incoming is units on the way.
func (p HistoryPoint) Incoming() int { return models.Units(p.total.Incoming) }

// Levels are the levels at the moment. A level that did not exist yet has zeros.
func (p HistoryPoint) Levels() []models.Level {
	levels := make([]models.Level, len(p.history.Series))
	for i := range p.history.Series {
		series := &p.history.Series[i]
		levels[i] = series.Level
		levels[i].Quantities = series.at(p.moment)
	}
	return levels
}
