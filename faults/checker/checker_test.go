package checker

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/load"
	"onhand/faults/model"
	"onhand/faults/process"
)

// TestReservationFaults: what the check finds in rows that are made for it.
func TestReservationFaults(t *testing.T) {
	t.Parallel()
	history := model.NewHistory()
	c := &Checker{Target: &load.Target{History: history}}
	at := func(seconds float64) time.Time {
		return history.Began().Add(time.Duration(seconds * float64(time.Second)))
	}
	since := func(seconds float64) int64 { return history.At(at(seconds)) }
	reserve := func(done bool, call, back float64) model.Operation {
		o := model.Operation{Kind: model.Reserve, Cart: 1, Lines: map[string]int{"cup": 1}, Done: done, Call: since(call), Return: since(back)}
		if !done {
			o.Short = map[string]int{"cup": 0}
		}
		return o
	}
	commit := func(call float64) model.Operation {
		return model.Operation{Kind: model.Commit, Cart: 1, Lines: map[string]int{"cup": 1}, Done: true, Call: since(call), Return: since(call + 1)}
	}
	row := func(state string, expires, resolved float64) ReservationRow {
		return ReservationRow{Cart: 1, State: state, ExpiresAt: at(expires), Resolved: at(resolved)}
	}
	other := reserve(false, 4, 5)
	other.Cart = 2
	for name, one := range map[string]struct {
		right      bool
		rows       []ReservationRow
		operations []model.Operation
	}{
		"reserved":                  {true, []ReservationRow{row(model.StateActive, 3600, 0)}, []model.Operation{reserve(true, 1, 2)}},
		"lost":                      {false, nil, []model.Operation{reserve(true, 1, 2)}},
		"refused":                   {true, nil, []model.Operation{reserve(false, 1, 2)}},
		"refused, and there it is":  {false, []ReservationRow{row(model.StateActive, 3600, 0)}, []model.Operation{reserve(false, 1, 2)}},
		"twice":                     {false, []ReservationRow{row(model.StateActive, 3600, 0), row(model.StateActive, 3600, 0)}, []model.Operation{reserve(true, 1, 2)}},
		"expired in time":           {true, []ReservationRow{row(model.StateExpired, 3, 3.5)}, []model.Operation{reserve(true, 1, 2)}},
		"expired too early":         {false, []ReservationRow{row(model.StateExpired, 3, 2.9)}, []model.Operation{reserve(true, 1, 2)}},
		"expired too late":          {false, []ReservationRow{row(model.StateExpired, 3, 4.1)}, []model.Operation{reserve(true, 1, 2)}},
		"committed":                 {true, []ReservationRow{row(model.StateCommitted, 3, 2.6)}, []model.Operation{reserve(true, 1, 2), commit(2.5)}},
		"committed after its time":  {false, []ReservationRow{row(model.StateCommitted, 3, 3.2)}, []model.Operation{reserve(true, 1, 2), commit(3.1)}},
		"committed and expired":     {false, []ReservationRow{row(model.StateExpired, 3, 3.2)}, []model.Operation{reserve(true, 1, 2), commit(2.5)}},
		"refused for a live one":    {true, []ReservationRow{row(model.StateExpired, 4.5, 5.4)}, []model.Operation{reserve(true, 1, 2), other}},
		"refused for one just over": {true, []ReservationRow{row(model.StateExpired, 3.9, 4.5)}, []model.Operation{reserve(true, 1, 2), other}},
		"refused for one long over": {false, []ReservationRow{row(model.StateExpired, 3.9, 4.9+0.15)}, []model.Operation{reserve(true, 1, 2), other}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := c.ReservationFaults(one.rows, one.operations)
			assert.Equal(t, one.right, len(found) == 0, "%v", found)
		})
	}
}

// TestBoundMonitor: an answer that is older than Redis was a bound before it was asked for is found; one that is late by
// less, or of the database, is none.
func TestBoundMonitor(t *testing.T) {
	t.Parallel()
	began := time.Now()
	m := &BoundMonitor{bound: AnswerBound, sources: []string{sourceRedis, sourceNearCache}}
	for n := range 10 {
		m.Note(began.Add(time.Duration(n)*AnswerBound/2), map[string]int64{"cup": int64(n)})
	}
	answer := func(version int64, source string) (page load.PageData) {
		page.Stocks = append(page.Stocks, struct {
			ProductID string
			Version   int64
			Available int
			Source    string
		}{"cup", version, 1, source})
		return page
	}
	sent := began.Add(4 * AnswerBound) // Redis had version 6 a bound before
	for version, source := range map[int64]string{6: "NEAR_CACHE", 7: "CACHE", 1: "DATABASE"} {
		m.Judge("one", sent, answer(version, source))
	}
	m.Judge("one", began.Add(AnswerBound/2), answer(0, "CACHE"))
	assert.Empty(t, m.Found())
	m.Judge("one", sent, answer(5, "NEAR_CACHE"))
	m.Judge("one", sent, answer(5, "CACHE"))
	assert.Len(t, m.Found(), 2)
	m.Note(sent, map[string]int64{"cup": 5}) // what Redis lost later excuses no answer
	m.Judge("one", sent.Add(AnswerBound/4), answer(5, "CACHE"))
	assert.Len(t, m.Found(), 3)
	assert.Equal(t, map[string]int{"NEAR_CACHE": 2, "CACHE": 4, "DATABASE": 1}, m.counts)
}

// TestAboveBaseline: an instance that keeps something is found.
func TestAboveBaseline(t *testing.T) {
	t.Parallel()
	baseline := process.Metrics{"go_goroutines": 50, "go_memstats_heap_inuse_bytes": 20 << 20}
	assert.Empty(t, aboveBaseline(process.Metrics{"go_goroutines": 60, "onhand_database_connections": 16}, baseline))
	assert.Len(t, aboveBaseline(process.Metrics{"go_goroutines": 200, "onhand_watches": 1, `onhand_requests_open{transport="sse"}`: 1}, baseline), 3)
}

// TestTrend: noise and spikes are no growth, and a leak is found in them.
func TestTrend(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(1, 2))
	made := func(leak, spike float64) *Trend {
		made := &Trend{Metric: "numbers", Unit: 1, GrowthMax: 20}
		for n := range 180 {
			value := 100 + leak*float64(n) + 10*dice.Float64()
			if n%30 == 7 {
				value += spike
			}
			made.Add(time.Duration(n)*time.Second, value)
		}
		return made
	}
	assert.InDelta(t, 0, made(0, 0).Growth(), 5)
	assert.InDelta(t, 0, made(0, 10_000).Growth(), 5)
	leaking := made(0.5, 10_000)
	assert.InDelta(t, 0.5*179, leaking.Growth(), 5)
	assert.Contains(t, TrendTable([]*Trend{leaking}), "GROWS")
	assert.NotContains(t, TrendTable([]*Trend{made(0, 10_000)}), "GROWS")
	assert.Zero(t, (&Trend{}).Growth())
}
