package rediscache

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"

	"onhand/models"
	"onhand/models/stockbinary"
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
	var decoder stockbinary.Decoder
	err := c.readHashes(ctx, "read stock", ids, func(id string, reply []string, err error) {
		if err != nil { // another type
			reply = nil
		}
		entries = append(entries, c.entry(&decoder, epoch, id, hashOf(reply)))
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// entry decodes one hash and counts it as a hit or a miss.
func (c *Cache) entry(decoder *stockbinary.Decoder, epoch, id string, h hash) Entry {
	if epoch == "" || h.Epoch != epoch || h.ProductID != id {
		c.counters.misses.Add(1)
		return Entry{}
	}
	_, valid := parseVersion(h.Version)
	if valid && h.negative() {
		c.counters.negativeHits.Add(1)
		return Entry{Known: true}
	}
	h.ProductID, h.Epoch = id, epoch // the caller's texts: the stock keeps fewer replies in memory
	stock, err := h.decode(decoder)
	if err != nil || !valid {
		c.counters.misses.Add(1)
		c.logger.Debug("stock in redis cannot be decoded", "product", id, "version", h.Version, "error", err)
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
			calls = append(calls, c.fillCall(s, lease))
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
			calls = append(calls, c.applyCall(s))
		}
	}
	c.counters.applies.Add(int64(len(calls)))
	return c.setAll(ctx, "apply stock", calls)
}

// ApplyDeletions writes a negative entry for each product that is no longer in
// the database, unless Redis has a version newer than its deletion. Then it publishes
// an empty message for each: read it again.
func (c *Cache) ApplyDeletions(ctx context.Context, epoch string, deletions []models.Change) error {
	calls := make([]setCall, 0, len(deletions))
	for _, d := range deletions {
		calls = append(calls, c.setMissing(epoch, d.ProductID, d.Version, ""))
	}
	if err := c.setAll(ctx, "apply deletions", calls); err != nil {
		return err
	}
	ids := make([]string, len(deletions))
	for i, d := range deletions {
		ids[i] = d.ProductID
	}
	return c.publishEmpty(ctx, ids)
}

// Invalidate removes products from Redis, so that they are read from the
// database. Then it publishes an empty message for each: read it again. It takes two
// round trips for each PipelineMax ids.
func (c *Cache) Invalidate(ctx context.Context, ids []string) error {
	err := c.writeEach(ctx, "invalidate stock", ids, func(p redis.Pipeliner, id string) *redis.Cmd {
		return p.Do(ctx, "del", c.keys.Stock(id))
	})
	if err != nil {
		return err
	}
	return c.publishEmpty(ctx, ids)
}

// publishEmpty publishes a message without a stock for each product. In a cluster it
// is not in one pipeline with the change, because the two have different nodes.
func (c *Cache) publishEmpty(ctx context.Context, ids []string) error {
	return c.writeEach(ctx, "publish stock", ids, func(p redis.Pipeliner, id string) *redis.Cmd {
		return p.Do(ctx, "publish", c.keys.StockChannel(id), "")
	})
}

// applyCall is the call of setScript that writes s and publishes it.
func (c *Cache) applyCall(s *models.Stock) setCall {
	f := stockbinary.Encode(s)
	return c.setCall(f, jitteredMillis(c.ttl), c.keys.StockChannel(s.ProductID), f.Message(), "")
}

// fillCall is the call of setScript that writes s under a lease.
func (c *Cache) fillCall(s *models.Stock, lease Lease) setCall {
	return c.setCall(stockbinary.Encode(s), jitteredMillis(c.ttl), "", nil, lease)
}

// setMissing is the call of setScript that writes a negative entry. Its version,
// 0 but for a deletion, is lower than that of the product's next change.
func (c *Cache) setMissing(epoch, id string, version int64, lease Lease) setCall {
	f := stockbinary.Fields{ProductID: id, Version: strconv.FormatInt(version, 10), Epoch: epoch}
	return c.setCall(f, jitteredMillis(c.negativeTTL), "", nil, lease)
}

func (c *Cache) setCall(f stockbinary.Fields, ttlMillis int64, channel string, message []byte, lease Lease) setCall {
	args := []any{f.ProductID, f.Version, f.Epoch, f.Quantity, f.Stock, ttlMillis, string(lease)}
	if channel != "" {
		args = append(args, channel, message)
	}
	return setCall{scriptCall{c.keys.Stock(f.ProductID), args, channel != ""}, f.ProductID, f.Epoch}
}
