package store

import (
	"context"
	"sync/atomic"
	"time"

	"onhand/models/operations"
	"onhand/store/readthrough"
	"onhand/store/throughput"
)

const (
	// sampleInterval is how often counters are sampled for rates.
	sampleInterval = time.Second
	// sharedAge is how old the shared part of Operations may be: many pages may ask each
	// second. productsAge is that of the number of products, which costs more.
	sharedAge   = time.Second
	productsAge = 30 * time.Second
)

// operationsState is what Operations keeps between two calls.
type operationsState struct {
	began    time.Time
	meter    throughput.RateMeter
	reads    readthrough.SharedReads[operations.SharedOperations]
	shared   atomic.Pointer[sharedSnapshot]
	products atomic.Pointer[countedProducts]
}

type sharedSnapshot struct {
	at     time.Time
	shared operations.SharedOperations
}

type countedProducts struct {
	at    time.Time
	count int
}

// The counters that are sampled, in their order.
const (
	sampledWrites = iota
	sampledReservations
	sampledTransactions
	sampledNearHits
	sampledNearMisses
)

// sample takes one sample of the counters.
func (s *Store) sample(context.Context) {
	writes, reservations := s.metrics.done()
	near := s.near.Stats()
	s.operations.meter.Sample(time.Now(), writes, reservations, float64(s.metrics.transactions.Load()), float64(near.Hits), float64(near.Misses))
}

// Operations returns what this instance and the servers that it shares do now. It asks the
// database at most once a second, however many ask.
func (s *Store) Operations(ctx context.Context) (*operations.OperationsSnapshot, error) {
	shared, err := s.sharedOperations(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &operations.OperationsSnapshot{AsOf: now, Instance: s.instanceOperations(now), Shared: shared}, nil
}

func (s *Store) instanceOperations(now time.Time) operations.InstanceOperations {
	near, hub, relay, audited := s.near.Stats(), s.hub.Stats(), s.relay.Stats(), s.sampler.Report()
	writes, _ := s.metrics.done()
	found := operations.InstanceOperations{
		StartedAt: s.operations.began, UptimeSeconds: int(now.Sub(s.operations.began).Seconds()), Writes: int64(writes),
		Watches: hub.Watches, WatchedProducts: hub.Watched, Followers: s.followers.Count(),
		NearCache: operations.NearCacheOperations{Fresh: near.Fresh, Entries: int(near.Entries), Bytes: near.Bytes, Hits: near.Hits, Misses: near.Misses},
		Relay:     operations.RelayOperations{Drained: relay.Drained, Failures: relay.Failures, LagSeconds: audited.RelayLag.Seconds()},
		Audit:     operations.AuditOperations{ProductsCompared: audited.Products, Repairs: audited.Repairs, LastPassEndedAt: audited.PassEnded, Differences: []operations.AuditDifferenceCount{}},
	}
	for _, d := range audited.Differences {
		found.Audit.Differences = append(found.Audit.Differences, operations.AuditDifferenceCount{Kind: string(d.Kind), Count: int(d.Count)})
	}
	if grown, seconds := s.operations.meter.Growth(); seconds > 0 {
		found.WritesPerSecond = grown[sampledWrites] / seconds
		found.ReservationsPerSecond = grown[sampledReservations] / seconds
		found.TransactionsPerSecond = grown[sampledTransactions] / seconds
		if reads := grown[sampledNearHits] + grown[sampledNearMisses]; reads > 0 {
			found.NearCache.HitRatio = new(grown[sampledNearHits] / reads)
		}
	}
	return found
}

// sharedOperations returns the shared part, at most sharedAge old. Callers that come at the
// same time share one reading.
func (s *Store) sharedOperations(ctx context.Context) (operations.SharedOperations, error) {
	recent := func() (operations.SharedOperations, bool) {
		last := s.operations.shared.Load()
		if last == nil || time.Since(last.at) >= sharedAge {
			return operations.SharedOperations{}, false
		}
		return last.shared, true
	}
	if shared, ok := recent(); ok {
		return shared, nil
	}
	return s.operations.reads.Load(ctx, "", func(ctx context.Context) (operations.SharedOperations, error) {
		if shared, ok := recent(); ok { // another caller was faster
			return shared, nil
		}
		shared := s.readShared(ctx)
		if ctx.Err() == nil {
			s.operations.shared.Store(&sharedSnapshot{time.Now(), shared})
		}
		return shared, ctx.Err()
	})
}

// readShared asks the database. What it does not answer is left out.
func (s *Store) readShared(ctx context.Context) operations.SharedOperations {
	pool := s.database.Connections()
	shared := operations.SharedOperations{
		Database: operations.DatabaseOperations{Embedded: s.database.IsEmbedded(), Connections: pool.OpenConnections, ConnectionsInUse: pool.InUse},
		Redis:    operations.RedisOperations{Up: s.cache.Healthy(), Embedded: s.embedded != nil},
	}
	began := time.Now()
	if s.database.Ping(ctx) != nil {
		return shared
	}
	shared.Database.Up, shared.Database.RoundTripMs = true, new(float64(time.Since(began).Microseconds())/1000)
	if counts, err := s.database.ReadCounts(ctx); err == nil {
		shared.ActiveReservations, shared.OutboxLength = &counts.ActiveReservations, &counts.Outbox
	}
	if last := s.operations.products.Load(); last != nil && time.Since(last.at) < productsAge {
		shared.Products = &last.count
	} else if n, err := s.database.CountProducts(ctx); err == nil {
		s.operations.products.Store(&countedProducts{time.Now(), n})
		shared.Products = &n
	}
	return shared
}

// IsDemo reports whether the database has the demo shop, as far as this instance knows.
func (s *Store) IsDemo() bool { return s.database.IsDemo() }
