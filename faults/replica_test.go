package faults

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/load"
	"onhand/faults/process"
	"onhand/store/storetest"
)

// clerksCount is how many clerks write and look up what they wrote.
const clerksCount = 3

// TestF30ReadReplica: product pages and pages of the ledger come from a read replica, whose replay is paused and resumed,
// and which is frozen and killed, under load. Clerks write at one instance and look it up at another: no clerk reads older
// data than it has written, and no request fails.
func TestF30ReadReplica(t *testing.T) {
	s := Open(t, Setup{PrivatePostgres: true, Replica: true, Customers: 6})
	s.Await(process.StartLimit, "the replica is used", s.replicaIsUsed)
	l := s.Load()
	clerks := startClerks(s)
	ctx, cancel := context.WithTimeout(context.Background(), prepareLimit)
	defer cancel()

	s.awaitReplicaReads()
	for range 2 {
		s.Must(s.Replica.PauseReplay(ctx))
		clerks.more(60)
		s.Must(s.Replica.ResumeReplay(ctx))
		s.awaitReplicaReads()
	}
	assert.Positive(t, s.sum(`onhand_replica_fallbacks_total{reason="behind"}`))
	s.Must(s.Replica.Freeze())
	clerks.more(30)
	s.Must(s.Replica.Kill())
	clerks.more(60)
	assert.Positive(t, s.sum(`onhand_replica_fallbacks_total{reason="breaker_open"}`))
	s.Must(s.Replica.Start())
	s.awaitReplicaReads()

	clerks.stop()
	l.Stop()
	l.CheckUndisturbed(t)
	t.Logf("pages: %.0f by the replica; by the primary because it was behind %.0f, failed %.0f, had an open breaker %.0f, was busy %.0f",
		s.sum("onhand_replica_reads_total"), s.sum(`onhand_replica_fallbacks_total{reason="behind"}`), s.sum(`onhand_replica_fallbacks_total{reason="failed"}`),
		s.sum(`onhand_replica_fallbacks_total{reason="breaker_open"}`), s.sum(`onhand_replica_fallbacks_total{reason="busy"}`))
	s.Check()
}

// TestF30TwoReplicas: of two replicas the first stays behind, so the second answers. Then that is frozen, and the primary
// does. The second answers again when it is back, and the first when it has caught up. No clerk reads older data than it has
// written, and no request fails.
func TestF30TwoReplicas(t *testing.T) {
	s := Open(t, Setup{PrivatePostgres: true, Replica: true, SecondReplica: true, Customers: 6})
	s.Await(process.StartLimit, "the replicas are used", s.replicaIsUsed)
	l := s.Load()
	clerks := startClerks(s)
	ctx, cancel := context.WithTimeout(context.Background(), prepareLimit)
	defer cancel()

	first, second := s.readsOf(s.Replica), s.readsOf(s.SecondReplica)
	s.awaitMore(first)
	s.Must(s.Replica.PauseReplay(ctx))
	s.awaitMore(second)
	s.Must(s.SecondReplica.Freeze())
	s.awaitMore(`onhand_replica_fallbacks_total{reason="breaker_open"}`)
	clerks.more(60)
	s.Must(s.SecondReplica.Thaw())
	s.awaitMore(second)
	s.Must(s.Replica.ResumeReplay(ctx))
	s.awaitMore(first)

	clerks.stop()
	l.Stop()
	l.CheckUndisturbed(t)
	t.Logf("pages: %.0f by the first replica, %.0f by the second", s.sum(first), s.sum(second))
	s.Check()
}

// readsOf names the metric of the reads that a replica answered.
func (s *Shop) readsOf(replica *storetest.PostgresServer) string {
	return fmt.Sprintf("onhand_replica_reads_total{host=%q}", hostOf(s.t, replica.DSN("shop")))
}

// replicaIsUsed reports whether all instances read from all replicas.
func (s *Shop) replicaIsUsed() bool {
	replicas := 1
	if s.SecondReplica != nil {
		replicas = 2
	}
	return s.sum("onhand_replica_up") == float64(replicas*len(s.Instances))
}

// awaitReplicaReads waits until a replica has answered many more reads.
func (s *Shop) awaitReplicaReads() {
	s.t.Helper()
	s.awaitMore("onhand_replica_reads_total")
}

// awaitMore waits until a metric has grown.
func (s *Shop) awaitMore(name string) {
	s.t.Helper()
	before := s.sum(name)
	s.Await(2*time.Minute, name+" grows", func() bool { return s.sum(name) >= before+50 })
}

// sum is a metric of all instances together, with all its labels.
func (s *Shop) sum(name string) (sum float64) {
	s.t.Helper()
	for _, m := range s.metrics() {
		found := false
		for series, value := range m {
			if series == name || strings.HasPrefix(series, name+"{") {
				sum, found = sum+value, true
			}
		}
		if !found {
			s.t.Fatalf("there is no metric %s", name)
		}
	}
	return sum
}

// clerks write and look up what they wrote.
type clerks struct {
	shop   *Shop
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu     sync.Mutex
	looked int // how often, together
}

// startClerks starts them, each with a product of its own.
func startClerks(s *Shop) *clerks {
	ctx, cancel := context.WithCancel(context.Background())
	c := &clerks{shop: s, cancel: cancel}
	for n := range clerksCount {
		s.Stock(map[string]int{fmt.Sprint("clerk", n): 1}, "no title yet")
		c.group.Go(func() { c.work(ctx, n) })
	}
	s.t.Cleanup(c.stop)
	return c
}

// more waits until they have looked n times more.
func (c *clerks) more(n int) {
	c.shop.t.Helper()
	done := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.looked
	}
	n += done()
	c.shop.Await(time.Minute, "clerks look", func() bool { return done() >= n || c.shop.t.Failed() })
}

func (c *clerks) stop() {
	c.cancel()
	c.group.Wait()
}

const (
	clerkTitle = `mutation($input: UpsertProductsInput!) { answer: upsertProducts(input: $input) { errors { __typename } } }`
	clerkCount = `mutation($input: AdjustStockInput!) { answer: adjustStock(input: $input) { stocks { version } errors { __typename } } }`
	clerkLook  = `query($id: ID!, $title: String!) {
		products(first: 2, filter: {search: $title}) { nodes { id } }
		stockMovements(first: 1, filter: {productId: $id}) { nodes { version } }
	}`
)

// work writes at one instance and looks at the other until ctx ends.
func (c *clerks) work(ctx context.Context, n int) {
	t, id := c.shop.t, fmt.Sprint("clerk", n)
	for round := n; ctx.Err() == nil && !t.Failed(); round++ {
		title := fmt.Sprintf("%s has title %d.", id, round)
		key := fmt.Sprintf("%s-%s-%d", c.shop.Target.Name, id, round)
		var written struct {
			Answer struct {
				Stocks []struct{ Version int64 }
				Errors []struct{ Typename string }
			}
		}
		ask := func(instance int, document string, variables map[string]any, data any) bool {
			limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), prepareLimit)
			defer cancel()
			return assert.NoError(t, c.shop.Target.Client.Ask(limit, c.shop.Instances[instance%len(c.shop.Instances)].URL(), document, variables, data))
		}
		product := map[string]any{"idempotencyKey": key + "-title", "rows": []map[string]any{{"productId": id, "title": title}}}
		if !ask(round, clerkTitle, map[string]any{"input": product}, &written) {
			return
		}
		adjust := map[string]any{"idempotencyKey": key + "-count", "reason": "RECEIVED", "rows": []map[string]any{{
			"productId": id, "locationId": load.Location, "delta": 1,
		}}}
		if !ask(round, clerkCount, map[string]any{"input": adjust}, &written) || !assert.Len(t, written.Answer.Stocks, 1) {
			return
		}
		var seen struct {
			Products       struct{ Nodes []struct{ ID string } }
			StockMovements struct{ Nodes []struct{ Version int64 } }
		}
		if !ask(round+1, clerkLook, map[string]any{"id": id, "title": title}, &seen) {
			return
		}
		assert.Len(t, seen.Products.Nodes, 1, "the title that %s has just written", id)
		if assert.Len(t, seen.StockMovements.Nodes, 1) {
			assert.Equal(t, written.Answer.Stocks[0].Version, seen.StockMovements.Nodes[0].Version, "the ledger of %s", id)
		}
		c.mu.Lock()
		c.looked++
		c.mu.Unlock()
	}
}
