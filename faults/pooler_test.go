package faults

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/load"
)

// outsideLimit is how late a subscriber may see the change of an outside writer when no notification announces it: a poll,
// and the way to Redis, on a busy machine.
const outsideLimit = 3 * time.Second

// TestF31Pooler: all instances reach Postgres through pgbouncer, which lends each transaction another connection. There
// are no notifications through it, which the metrics say, and outside changes arrive by polling. pgbouncer is frozen and
// restarted under load.
func TestF31Pooler(t *testing.T) {
	s := Open(t, Setup{PrivatePostgres: true, Pooled: true})
	l := s.Load()
	l.More(400)
	assert.Zero(t, s.sum("onhand_relay_listening"))
	s.settingsChange("pot")
	s.Outage(func() {
		s.Must(s.Pooler.Freeze())
		l.During(2 * time.Second)
		s.Must(s.Pooler.Thaw())
	})
	l.More(200)
	s.Outage(func() { s.Must(s.Pooler.Kill(), s.Pooler.Start()) })
	l.More(300)
	l.Stop()
	l.CheckRetryable(t)
	s.settingsChange("jug")
	s.Check()
}

// settingsChange changes the settings of a product past the instances, and waits until all subscribers have the new version.
func (s *Shop) settingsChange(product string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), prepareLimit)
	defer cancel()
	sub := load.Subscribe(s.Target, load.WebSocket, 0, []string{product})
	defer sub.Stop()
	s.Await(prepareLimit, "the subscriber is live", sub.Live)
	s.execute(ctx, s.databaseURL, "UPDATE products SET low_stock_threshold = low_stock_threshold + 1 WHERE product_id = '"+product+"'")
	var version int64
	connection := s.Checker.Database
	s.Must(connection.QueryRow(ctx, "SELECT version FROM products WHERE product_id = $1", product).Scan(&version))
	s.Await(outsideLimit, "a subscriber has the outside change", func() bool { return sub.Latest()[product].Version >= version })
}
