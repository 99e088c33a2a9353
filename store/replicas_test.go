package store

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/storetest"
)

// clerksCount is how many clerks write and read at once.
const clerksCount = 4

// startClerks has clerks write and read pages, each with a product of its own, until the
// returned function is called. Each must find what it has written last.
func startClerks(t *testing.T, s *Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for clerk := range clerksCount {
		working.Go(func() {
			product := fmt.Sprint("clerk", clerk)
			for round := 0; ctx.Err() == nil; round++ {
				if !worked(t, s, product, round) {
					return
				}
			}
		})
	}
	stop = func() {
		cancel()
		working.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// worked is one round of a clerk. It reports whether all was as it must be.
func worked(t *testing.T, s *Store, product string, round int) bool {
	title := fmt.Sprintf("%s has title %d.", product, round)
	rows := []models.ProductRow{{ProductID: product, Title: models.Patch[string]{Given: true, Value: &title}}}
	_, err := s.Write(t.Context(), models.UpsertProducts{IdempotencyKey: title, Rows: rows})
	if !assert.NoError(t, err) {
		return false
	}
	page, err := s.Products(t.Context(), paging.Request{First: 5}, paging.ProductQuery{Search: title})
	if !assert.NoError(t, err) || !assert.Len(t, page.Products, 1, "the title that was just written") {
		return false
	}
	written, err := s.Write(t.Context(), receive(title, product, 1))
	if !assert.NoError(t, err) {
		return false
	}
	movements, err := s.Movements(t.Context(), paging.MovementRequest{First: 1}, models.MovementFilter{ProductID: product})
	return assert.NoError(t, err) && assert.Len(t, movements.Movements, 1) &&
		assert.Equal(t, written.Stocks[0].Version, movements.Movements[0].Version)
}

// openSeveral opens a store with two standbys in its URL, the first being r.standby.
func openSeveral(t *testing.T) (r replicated, second *storetest.PostgresServer) {
	t.Helper()
	primary := storetest.PrivatePostgres(t)
	require.NoError(t, primary.CreateDatabase(t.Context(), "shop"))
	migrate(t, storetest.OwnerAccount(primary.DSN("shop")))
	var standbys []*storetest.PostgresServer
	var hosts []*url.URL
	for range 2 {
		standby, err := storetest.StartReplica(t.Context(), primary)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, standby.Close()) })
		host, err := url.Parse(storetest.ServerAccount(standby.DSN("shop")))
		require.NoError(t, err)
		standbys, hosts = append(standbys, standby), append(hosts, host)
	}
	hosts[0].Host += "," + hosts[1].Host
	s := open(t, Config{
		DatabaseURL: primary.DSN("shop"), RedisURL: storetest.Redis(t).ServerURL(), RedisTimeout: redisPatience,
		ReplicaURL: hosts[0].String() + "&target_session_attrs=standby", ReplicaConnections: replicaConnections, ReplicaLagMax: 500 * time.Millisecond, ReplicaTimeout: patience,
	})
	return replicated{s, primary, standbys[0]}, standbys[1]
}

// awaitReads waits until a standby has answered some reads more.
func (r replicated) awaitReads(t *testing.T, standby *storetest.PostgresServer) {
	t.Helper()
	before := r.measuredAt(t, "onhand_replica_reads_total", standby)
	require.Eventually(t, func() bool {
		return r.measuredAt(t, "onhand_replica_reads_total", standby) >= before+20
	}, 2*time.Minute, 20*time.Millisecond)
}

// Of two standbys in the URL the first answers. While it stays behind the second does, and
// while that stays behind too, the primary does. The first is asked again when it has
// caught up, and no more after it was promoted. Meanwhile no one reads older data than it
// has written.
func TestReadReplicaOfSeveral(t *testing.T) {
	t.Parallel()
	r, second := openSeveral(t)
	for clerk := range clerksCount {
		stockUp(t, r.Store, 1, fmt.Sprint("clerk", clerk))
	}
	stop := startClerks(t, r.Store)
	r.awaitReads(t, r.standby)

	require.NoError(t, r.standby.PauseReplay(t.Context()))
	r.awaitReads(t, second)
	require.NoError(t, r.replicaReads.State())
	require.Zero(t, r.measuredAt(t, "onhand_replica_up", r.standby))

	require.NoError(t, second.PauseReplay(t.Context()))
	eventually(t, func() bool { return r.replicaReads.State() != nil })
	for _, host := range []*storetest.PostgresServer{r.standby, second} {
		require.Zero(t, r.measuredAt(t, "onhand_replica_up", host))
	}
	before := r.fallbacks(t, "breaker_open")
	eventually(t, func() bool { return r.fallbacks(t, "breaker_open") > before+20 })

	require.NoError(t, r.standby.ResumeReplay(t.Context()))
	require.NoError(t, second.ResumeReplay(t.Context()))
	r.awaitReads(t, r.standby)

	require.NoError(t, r.standby.Promote(t.Context()))
	r.awaitReads(t, second)
	stop()
}

// A URL names a bounded number of standbys.
func TestReadReplicasAreBounded(t *testing.T) {
	t.Parallel()
	s := open(t, Config{DatabaseURL: storetest.Postgres(t)})
	_, err := s.database.OpenReplicas("postgres://a,b,c,d,e,f,g,h,i/shop", 1)
	require.EqualError(t, err, "read replica: database url: it names 9 hosts; at most 8 are allowed")
}
