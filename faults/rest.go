package faults

import (
	"fmt"
	"net/http"
	"time"
)

const (
	// restLimit is how long a copy may take to come to rest after its clients have left: requests and streams end at
	// once, connections that a fault has broken within their timeouts.
	restLimit = 15 * time.Second
	// goroutinesMore is by how many goroutines a copy at rest may differ from the one that had just started: workers that
	// are started when they are first needed.
	goroutinesMore = 25
	// heapMore is the same in bytes; the collector lets a heap grow before it looks.
	heapMore = 96 << 20
	// transactionMax is how long a transaction may be open once nothing is asked for.
	transactionMax = "1 second"
)

// rest remembers what a copy needs when nobody asks anything of it.
func (s *Scene) rest(c *Copy) {
	m, err := c.Metrics()
	s.Must(err)
	c.baseline = m
}

// checkRest is I9: once everybody has left, each copy is back at what it needs at rest, and the database has no
// transaction left open.
func (s *Scene) checkRest() {
	s.t.Helper()
	s.client.Close()
	http.DefaultClient.CloseIdleConnections()
	for _, c := range s.serving() {
		s.checkRestOf(c)
	}
	var open []string
	for deadline := time.Now().Add(restLimit); ; time.Sleep(pollEvery) {
		ctx, cancel := s.looking()
		var err error
		open, err = lines(ctx, s.pool, `SELECT format('%s, for %s: %s', state, clock_timestamp() - xact_start, query) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - '`+transactionMax+`'::interval`)
		cancel()
		s.Must(err)
		if len(open) == 0 || time.Now().After(deadline) {
			break
		}
	}
	s.report("I9: a transaction was left open", open)
}

func (s *Scene) checkRestOf(c *Copy) {
	s.t.Helper()
	var wrong []string
	for deadline := time.Now().Add(restLimit); ; time.Sleep(5 * pollEvery) {
		m, err := c.Metrics()
		if err != nil {
			wrong = []string{err.Error()}
		} else {
			wrong = restless(m, c.baseline)
		}
		if len(wrong) == 0 || time.Now().After(deadline) {
			break
		}
	}
	s.report("I9: "+c.Name, wrong)
}

// restless lists what a copy has too much of. Connections to the database are kept for a while; none is at work but for
// the relay, the sweeper and the keeper.
func restless(m, baseline Metrics) (wrong []string) {
	for _, bound := range []struct {
		name string
		most float64
	}{
		{"go_goroutines", baseline["go_goroutines"] + goroutinesMore},
		{"go_memstats_heap_inuse_bytes", baseline["go_memstats_heap_inuse_bytes"] + heapMore},
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
