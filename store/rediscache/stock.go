package rediscache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"onhand/models"
	"onhand/models/stockjson"
)

// Entry is what the cache knows of one product.
type Entry struct {
	// Stock is nil for a miss and for a negative entry.
	Stock *models.Stock
	// Known is false for a miss. Known without a Stock is a negative entry: the
	// database was asked a moment ago, and there is no such product.
	Known bool
}

// Get reads products in one round trip (for each PipelineMax of them), in the
// order of ids. A hash of another epoch, a broken and an incomplete one are
// misses, never errors; the error says that Redis could not be asked.
func (c *Cache) Get(ctx context.Context, epoch string, ids []string) ([]Entry, error) {
	entries := make([]Entry, 0, len(ids))
	for chunk := range slices.Chunk(ids, PipelineMax) {
		commands := make([]*redis.MapStringStringCmd, len(chunk))
		err := c.pipeline(ctx, c.reader, "read stock", func(p redis.Pipeliner) {
			for i, id := range chunk {
				commands[i] = p.HGetAll(ctx, c.keys.Stock(id))
			}
		})
		if err != nil {
			return nil, err
		}
		for i, id := range chunk {
			entries = append(entries, c.entry(epoch, id, commands[i]))
		}
	}
	return entries, nil
}

func (c *Cache) entry(epoch, id string, command *redis.MapStringStringCmd) Entry {
	hash, err := command.Result()
	if err != nil || len(hash) == 0 || epoch == "" || hash[fieldEpoch] != epoch || hash[fieldProductID] != id {
		c.counts.misses.Add(1)
		return Entry{}
	}
	if hash[fieldMissing] != "" {
		c.counts.negativeHits.Add(1)
		return Entry{Known: true}
	}
	stock, err := parse(hash)
	if err != nil {
		c.counts.misses.Add(1)
		c.logger.Debug("broken stock in redis", "product", id, "error", err)
		return Entry{}
	}
	c.counts.hits.Add(1)
	return Entry{Stock: stock, Known: true}
}

// fields lists the hash of a stock as HSET takes it: name, value, name, value.
// Fields without a value are left out; absent lists them, for the script
// removes what an older version had there.
func fields(s *models.Stock) (pairs, absent []any) {
	pairs = append(make([]any, 0, 26),
		fieldProductID, s.ProductID,
		fieldQuantity, s.Quantity(),
		fieldVersion, s.Version,
		fieldEpoch, s.Epoch,
		fieldTracked, s.Tracked,
		fieldPolicy, string(s.InventoryPolicy),
		fieldLowStockThreshold, s.LowStockThreshold,
		fieldAsOf, stockjson.FormatTime(s.AsOf),
		fieldLevels, stockjson.EncodeLevels(s.Levels),
	)
	optional := func(name string, has bool, value func() any) {
		if has {
			pairs = append(pairs, name, value())
		} else {
			absent = append(absent, name)
		}
	}
	optional(fieldTitle, s.Title != nil, func() any { return *s.Title })
	optional(fieldBackorderLimit, s.BackorderLimit != nil, func() any { return *s.BackorderLimit })
	optional(fieldMaxPerReservation, s.MaxPerReservation != nil, func() any { return *s.MaxPerReservation })
	optional(fieldNextRestockAt, s.NextRestockAt != nil, func() any { return stockjson.FormatTime(*s.NextRestockAt) })
	return pairs, append(absent, fieldMissing, fieldLease)
}

// parse reads a product's hash. Every field that fields always writes must be
// there and right.
func parse(hash map[string]string) (*models.Stock, error) {
	p := parser{hash: hash}
	s := &models.Stock{
		Product: models.Product{
			ProductID:         hash[fieldProductID],
			Version:           p.number(fieldVersion),
			Tracked:           p.flag(fieldTracked),
			InventoryPolicy:   models.InventoryPolicy(hash[fieldPolicy]),
			LowStockThreshold: int(p.number(fieldLowStockThreshold)),
			BackorderLimit:    p.units(fieldBackorderLimit),
			MaxPerReservation: p.units(fieldMaxPerReservation),
		},
		Epoch:  hash[fieldEpoch],
		Source: models.FromCache,
	}
	if title, ok := hash[fieldTitle]; ok {
		s.Title = &title
	}
	if _, ok := hash[fieldNextRestockAt]; ok {
		at := p.time(fieldNextRestockAt)
		s.NextRestockAt = &at
	}
	s.AsOf = p.time(fieldAsOf)
	quantity := p.number(fieldQuantity)
	if p.err != nil {
		return nil, p.err
	}
	levels, err := stockjson.DecodeLevels(s.ProductID, []byte(hash[fieldLevels]))
	if err != nil {
		return nil, err
	}
	s.Levels = levels
	if err := stockjson.Check(s); err != nil {
		return nil, err
	}
	if int64(s.Quantity()) != quantity {
		// Somebody else wrote into the hash, or only half of a write arrived.
		return nil, fmt.Errorf("quantity is %d and its levels hold %d", quantity, s.Quantity())
	}
	return s, nil
}

// parser remembers the first field that is not as it should be.
type parser struct {
	hash map[string]string
	err  error
}

func (p *parser) fail(field string, err error) {
	if p.err == nil {
		p.err = fmt.Errorf("field %s: %w", field, err)
	}
}

func (p *parser) number(field string) int64 {
	n, err := strconv.ParseInt(p.hash[field], 10, 64)
	if err != nil {
		p.fail(field, err)
	}
	return n
}

func (p *parser) units(field string) *int {
	if _, ok := p.hash[field]; !ok {
		return nil
	}
	n := int(p.number(field))
	return &n
}

func (p *parser) flag(field string) bool {
	switch p.hash[field] {
	case "1":
		return true
	case "0":
	default:
		p.fail(field, errors.New("neither 0 nor 1"))
	}
	return false
}

func (p *parser) time(field string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, p.hash[field])
	if err != nil {
		p.fail(field, err)
	}
	return t.UTC()
}
