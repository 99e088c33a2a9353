package rediscache

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"onhand/models"
)

// Inspection is what Redis has under a product's key, valid or not. The audit
// compares it with the database.
type Inspection struct {
	// Cached is false where Redis has nothing but perhaps a lease.
	Cached bool
	// Epoch and Version are those of the hash; Version is -1 where it has none that
	// Onhand may have written.
	Epoch   string
	Version int64
	// Missing is true for a negative entry.
	Missing bool
	// Stock is nil for a negative entry, and where Err says why the hash cannot be
	// decoded.
	Stock *models.Stock
	Err   error
}

// Inspect reads products as Redis has them, in the order of ids, in one round
// trip for each PipelineMax of them. It counts neither hits nor misses.
func (c *Cache) Inspect(ctx context.Context, ids []string) ([]Inspection, error) {
	inspections := make([]Inspection, 0, len(ids))
	err := c.readHashes(ctx, "inspect stock", ids, func(id string, reply *redis.MapStringStringCmd) {
		inspections = append(inspections, inspect(id, reply))
	})
	if err != nil {
		return nil, err
	}
	return inspections, nil
}

func inspect(id string, reply *redis.MapStringStringCmd) Inspection {
	hash, err := reply.Result()
	if err != nil { // another type
		return Inspection{Cached: true, Version: -1, Err: err}
	}
	if _, leased := hash[fieldLease]; len(hash) == 0 || (leased && len(hash) == 1) {
		return Inspection{}
	}
	found := Inspection{Cached: true, Epoch: hash[fieldEpoch], Version: -1, Missing: hash[fieldMissing] != ""}
	if version, ok := parseVersion(hash[fieldVersion]); ok {
		found.Version = version
	}
	switch {
	case hash[fieldProductID] != id:
		found.Err = fmt.Errorf("it belongs to product %q", hash[fieldProductID])
	case found.Version < 0:
		found.Err = fmt.Errorf("it has no version that a reader believes: %.40q", hash[fieldVersion])
	case !found.Missing:
		found.Stock, found.Err = decodeHash(hash)
	}
	return found
}
