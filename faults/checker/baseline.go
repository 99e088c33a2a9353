package checker

import (
	"fmt"
	"net/http"
	"time"

	"onhand/faults/process"
	"onhand/faults/wait"
)

const (
	// RestLimit is how long an instance may take to come to rest after its clients have left: requests and streams end at
	// once, broken connections within their timeouts.
	RestLimit = 15 * time.Second
	// HeapMore is by how many bytes the heap of an instance may grow; the collector lets a heap grow before it looks.
	HeapMore = 96 << 20
	// goroutinesMore is by how many goroutines an instance at rest may differ from its baseline: some workers are started
	// when they are first needed.
	goroutinesMore = 25
	// transactionMax is how long a transaction may be open once nothing is asked for.
	transactionMax = "1 second"

	openTransactions = `SELECT format('%s, for %s: %s', state, clock_timestamp() - xact_start, query) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - '` + transactionMax + `'::interval`
)

// TakeBaseline keeps what each instance needs at rest.
func (c *Checker) TakeBaseline() {
	c.T.Helper()
	for _, i := range c.Instances {
		m, err := i.Metrics()
		c.must(err)
		i.Baseline = m
	}
}

// CheckBaseline is I9: once all clients have left, each instance is back at its baseline, and the database has no
// transaction left open.
func (c *Checker) CheckBaseline() {
	c.T.Helper()
	c.Target.Client.Close()
	http.DefaultClient.CloseIdleConnections()
	for _, i := range c.serving() {
		var wrong []string
		wait.Within(RestLimit, func() bool {
			m, err := i.Metrics()
			if err != nil {
				wrong = []string{err.Error()}
				return false
			}
			wrong = aboveBaseline(m, i.Baseline)
			return len(wrong) == 0
		})
		c.Report("I9: "+i.Name, wrong)
	}
	var open []string
	wait.Within(RestLimit, func() bool {
		ctx, cancel := reading()
		defer cancel()
		var err error
		open, err = texts(ctx, c.Database, openTransactions)
		c.must(err)
		return len(open) == 0
	})
	c.Report("I9: a transaction was left open", open)
}

// aboveBaseline lists what an instance has too much of. It keeps connections to the database for a while; none is in use
// but those of the relay, the sweeper and the epoch check.
func aboveBaseline(m, baseline process.Metrics) (wrong []string) {
	for _, bound := range []struct {
		name string
		most float64
	}{
		{"go_goroutines", baseline["go_goroutines"] + goroutinesMore},
		{"go_memstats_heap_inuse_bytes", baseline["go_memstats_heap_inuse_bytes"] + HeapMore},
		{"onhand_database_connections", 16},
		{"onhand_database_connections_in_use", 3},
		{"onhand_watches", 0},
		{"onhand_writes_waiting", 0},
		{"onhand_writes_blocked", 0},
		{`onhand_requests_open{transport="post"}`, 0},
		{`onhand_requests_open{transport="sse"}`, 0},
		{`onhand_requests_open{transport="websocket"}`, 0},
	} {
		if m[bound.name] > bound.most {
			wrong = append(wrong, fmt.Sprintf("%s is %.0f, at most %.0f is right (%.0f at the start)", bound.name, m[bound.name], bound.most, baseline[bound.name]))
		}
	}
	return wrong
}
