package store

import (
	"context"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/database"
	"onhand/store/groupcommit"
	"onhand/store/readreplica"
	"onhand/store/rediscache"
)

// committerDatabase adapts the database to groupcommit.BatchSource, whose Begin returns an
// interface.
type committerDatabase struct{ *database.Database }

// Begin implements groupcommit.BatchSource.
func (d committerDatabase) Begin() groupcommit.WriteBatch { return d.Database.Begin() }

// batchPublisher adapts the publisher to groupcommit.Publisher. It also counts the
// transactions of a batch.
type batchPublisher struct {
	*publisher
	metrics *metrics
}

// Publish implements groupcommit.Publisher.
func (p batchPublisher) Publish(ctx context.Context, result database.BatchResult) {
	committed := false
	for _, sent := range result.Transactions {
		p.metrics.transaction(ctx, sent)
		committed = committed || sent.Err == nil
	}
	if committed {
		p.publisher.Publish(ctx, result.Outcome)
	}
}

// relayOutbox adapts the database to stockfeed.Outbox.
type relayOutbox struct{ database *database.Database }

// Drain implements stockfeed.Outbox.
func (o relayOutbox) Drain(ctx context.Context, limit int, publish func(context.Context, []models.Change) error) (int, error) {
	return o.database.DrainOutbox(ctx, limit, publish)
}

// DrainAnnounced implements stockfeed.Outbox.
func (o relayOutbox) DrainAnnounced(ctx context.Context, limit int, publish func(context.Context, []models.Change, []*models.Stock) error) (int, error) {
	return o.database.DrainAnnounced(ctx, limit, publish)
}

// Compact implements stockfeed.Outbox.
func (o relayOutbox) Compact(ctx context.Context) error { return o.database.CompactOutbox(ctx) }

// Listen implements stockfeed.Outbox.
func (o relayOutbox) Listen(ctx context.Context, wake func()) error {
	return o.database.Listen(ctx, wake)
}

// rankSource adapts the reads of the replica to ranking.RankSource.
type rankSource struct{ replicaReads *readreplica.ReplicaReader }

// RankProducts implements ranking.RankSource.
func (r rankSource) RankProducts(ctx context.Context, filter paging.ProductQuery) ([]string, error) {
	return readreplica.Read(ctx, r.replicaReads, func(ctx context.Context, from readreplica.ReplicaReads) ([]string, error) {
		return from.RankProducts(ctx, filter)
	})
}

// auditSource adapts the database to readthrough.StockSource for audits. Their
// SELECTs are not counted among those of requests.
type auditSource struct{ database *database.Database }

// ReadStocks implements readthrough.StockSource.
func (a auditSource) ReadStocks(ctx context.Context, ids []string) (database.Reading, error) {
	return a.database.AuditStocks(ctx, ids)
}

// Quotas shares what callers use with other instances; nil where Redis is inside the
// process, which then is alone.
func (s *Store) Quotas() *rediscache.Cache {
	if s.embedded != nil {
		return nil
	}
	return s.cache
}
