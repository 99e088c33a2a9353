package database_test

import (
	"maps"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"onhand/models"
)

// modelCounts is what the model knows of counts that are written later.
type modelCounts struct {
	moments []modelMoment
	// newest is when a state was counted last: 2i + 1 at the moment with index i, 2n after
	// n moments.
	newest map[countedState]int
}

// modelMoment is a moment with the quantities that there were, as far as counts of that
// moment or of earlier ones have told since.
type modelMoment struct {
	at    time.Time
	shelf map[levelKey]models.Quantities
}

type countedState struct {
	levelKey
	state models.State
}

func newModelCounts() modelCounts { return modelCounts{newest: map[countedState]int{}} }

// momentsMax bounds the moments of a run: each takes two milliseconds.
const momentsMax = 8

// noteMoment notes a moment. The units of overdue reservations are available then.
func (m *model) noteMoment(t *rapid.T) {
	if len(m.counts.moments) == momentsMax {
		t.Skip("enough moments")
	}
	shelf := maps.Clone(m.shelf)
	for _, h := range m.reservations {
		if h.state != models.ReservationActive || !h.overdue {
			continue
		}
		for _, l := range h.lines {
			for _, a := range l.Allocations {
				q := shelf[levelKey{l.ProductID, a.LocationID}]
				q.Available += a.Quantity
				shelf[levelKey{l.ProductID, a.LocationID}] = q
			}
		}
	}
	m.counts.moments = append(m.counts.moments, modelMoment{m.moment(), shelf})
}

// countLater writes a count of an earlier moment.
func (m *model) countLater(t *rapid.T) {
	if len(m.counts.moments) == 0 {
		t.Skip("no moment yet")
	}
	index := rapid.IntRange(0, len(m.counts.moments)-1).Draw(t, "moment")
	past := m.counts.moments[index]
	at, state := m.draw(t)
	key := countedState{at, state}
	q := past.shelf[at]
	then := *q.Of(state)
	w := counted(countedAt(past.at, row(at.product, at.location, state, then+rapid.IntRange(-3, 3).Draw(t, "difference"))))
	w.IdempotencyKey = m.keys.draw(t, w)
	count := &w.Rows[0]
	if rapid.Bool().Draw(t, "compare") {
		expected := then + rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "wrong by")
		count.ChangeFromQuantity = &expected
	}
	if m.counts.newest[key] > 2*index+1 {
		m.superseded(m.first(w), 0, past.at.Add(time.Millisecond))
		return
	}
	now := m.have(at, state, func(int) bool { return false })
	target := now + count.Quantity - then
	r := m.first(w)
	if count.Quantity < then && min(count.Quantity, target) < m.least(at.product, state) {
		m.fails(r, models.InvalidInputError{Failure: path("rows", 0, "quantity")})
		return
	}
	if count.ChangeFromQuantity != nil && *count.ChangeFromQuantity != then {
		m.fails(r, models.StaleQuantityError{Failure: path("rows", 0, "changeFromQuantity"),
			Expected: *count.ChangeFromQuantity, Actual: then, Version: m.read(at.product).Version})
		return
	}
	m.fails(r)
	m.put(at, state, target)
	m.counts.newest[key] = 2*index + 1
	for _, later := range m.counts.moments[index:] {
		q := later.shelf[at]
		*q.Of(state) += count.Quantity - then
		later.shelf[at] = q
	}
	require.Equal(t, target, *new(m.level(at.product, at.location)).Of(state))
}
