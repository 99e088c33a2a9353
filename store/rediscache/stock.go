package rediscache

import (
	"context"

	"github.com/redis/go-redis/v9"

	"onhand/models"
	"onhand/models/stockjson"
)

// Entry is what the cache knows of one product.
type Entry struct {
	// Stock is nil for a miss and for a negative entry.
	Stock *models.Stock
	// Known is false for a miss. Known without a Stock is a negative entry.
	Known bool
}

// Get reads products, in the order of ids, in one round trip for each
// PipelineMax of them. A hash that is absent, of another epoch or not decodable
// is a miss. An error means that Redis could not be read.
func (c *Cache) Get(ctx context.Context, epoch string, ids []string) ([]Entry, error) {
	entries := make([]Entry, 0, len(ids))
	err := c.readHashes(ctx, "read stock", ids, func(id string, reply *redis.MapStringStringCmd) {
		entries = append(entries, c.entry(epoch, id, reply))
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// entry decodes one reply and counts it as a hit or a miss.
func (c *Cache) entry(epoch, id string, reply *redis.MapStringStringCmd) Entry {
	hash, err := reply.Result()
	if err != nil || len(hash) == 0 || epoch == "" || hash[fieldEpoch] != epoch || hash[fieldProductID] != id {
		c.counters.misses.Add(1)
		return Entry{}
	}
	if _, valid := parseVersion(hash[fieldVersion]); valid && hash[fieldMissing] != "" {
		c.counters.negativeHits.Add(1)
		return Entry{Known: true}
	}
	stock, err := decodeHash(hash)
	if err != nil {
		c.counters.misses.Add(1)
		c.logger.Debug("stock in redis cannot be decoded", "product", id, "error", err)
		return Entry{}
	}
	c.counters.hits.Add(1)
	return Entry{Stock: stock, Known: true}
}

// Fill caches what a read of the database found: stocks, and a negative entry
// for each unknown id. The lease must have been taken before that read began;
// with an empty lease nothing is filled.
//
// A fill publishes nothing. Redis refuses it where the hash has a newer version,
// or no longer has the lease. An error means that some products are not cached.
func (c *Cache) Fill(ctx context.Context, lease Lease, epoch string, stocks []*models.Stock, unknown []string) error {
	if lease == "" {
		return nil
	}
	calls := make([]setCall, 0, len(stocks)+len(unknown))
	for _, s := range stocks {
		if s != nil {
			calls = append(calls, c.setStock(s, "", nil, lease))
		}
	}
	for _, id := range unknown {
		calls = append(calls, c.setMissing(epoch, id, 0, lease))
	}
	c.counters.fills.Add(int64(len(calls)))
	return c.setAll(ctx, "fill stock", calls)
}

// Apply writes committed stocks and publishes each on its channel, in one step,
// unless Redis has that version or a newer one and has published it. An error
// means that some may not have been written; to apply them again does no harm.
// Newer ones are reported to Config.OnAhead.
func (c *Cache) Apply(ctx context.Context, stocks []*models.Stock) error {
	calls := make([]setCall, 0, len(stocks))
	for _, s := range stocks {
		if s != nil {
			calls = append(calls, c.setStock(s, c.keys.StockChannel(s.ProductID), stockjson.Encode(s), ""))
		}
	}
	c.counters.applies.Add(int64(len(calls)))
	return c.setAll(ctx, "apply stock", calls)
}

// ApplyDeletions writes a negative entry for each product that is no longer in
// the database, unless Redis has a version newer than its deletion.
func (c *Cache) ApplyDeletions(ctx context.Context, epoch string, deletions []models.Change) error {
	calls := make([]setCall, 0, len(deletions))
	for _, d := range deletions {
		calls = append(calls, c.setMissing(epoch, d.ProductID, d.Version, ""))
	}
	return c.setAll(ctx, "apply deletions", calls)
}

// Invalidate removes products from Redis, so that they are read from the
// database. It takes one round trip for each PipelineMax ids.
func (c *Cache) Invalidate(ctx context.Context, ids []string) error {
	return c.writeEach(ctx, "invalidate stock", ids, func(p redis.Pipeliner, id string) *redis.Cmd {
		return p.Do(ctx, "del", c.keys.Stock(id))
	})
}

// setStock is the call of setScript that writes s. With a channel it publishes.
func (c *Cache) setStock(s *models.Stock, channel string, message []byte, lease Lease) setCall {
	pairs, absent := encodeHash(s)
	if channel != "" {
		pairs = append(pairs, fieldPublished, s.Version)
	}
	args := append(make([]any, 0, setScriptArgs+len(absent)+len(pairs)),
		s.Epoch, s.Version, jitteredMillis(c.ttl), channel, message, string(lease), len(absent))
	return setCall{scriptCall{c.keys.Stock(s.ProductID), append(append(args, absent...), pairs...)}, s.ProductID, s.Epoch}
}

// setMissing is the call of setScript that writes a negative entry. Its version,
// 0 but for a deletion, is lower than that of the product's next change.
func (c *Cache) setMissing(epoch, id string, version int64, lease Lease) setCall {
	absent := []any{fieldQuantity, fieldTitle, fieldTracked, fieldPolicy, fieldBackorderLimit,
		fieldLowStockThreshold, fieldMaxPerReservation, fieldNextRestockAt, fieldChannelBuffers, fieldAsOf, fieldLevels, fieldPublished, fieldLease}
	args := append([]any{epoch, version, jitteredMillis(c.negativeTTL), "", "", string(lease), len(absent)}, absent...)
	args = append(args, fieldProductID, id, fieldVersion, version, fieldEpoch, epoch, fieldMissing, 1)
	return setCall{scriptCall{c.keys.Stock(id), args}, id, epoch}
}
