package rediscache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"onhand/models"
)

// Inspection is what lies in Redis under a product's name, whether or not a reader
// would believe it.
type Inspection struct {
	// Cached is false where there is nothing.
	Cached bool
	// Epoch and Version are the hash's own; Version is -1 where it has none.
	Epoch   string
	Version int64
	// Missing tells that the hash says there is no such product.
	Missing bool
	// Stock is what the hash holds; nil where Missing, and where Err says why
	// it cannot be read.
	Stock *models.Stock
	Err   error
}

// Inspect reads products as they lie in Redis, in the order of ids, in one round
// trip for each PipelineMax of them. It counts neither hits nor misses.
func (c *Cache) Inspect(ctx context.Context, ids []string) ([]Inspection, error) {
	looks := make([]Inspection, 0, len(ids))
	for chunk := range slices.Chunk(ids, PipelineMax) {
		commands := make([]*redis.MapStringStringCmd, len(chunk))
		err := c.pipeline(ctx, c.reader, "look at stock", func(p redis.Pipeliner) {
			for i, id := range chunk {
				commands[i] = p.HGetAll(ctx, c.keys.Stock(id))
			}
		})
		if err != nil {
			return nil, err
		}
		for i, id := range chunk {
			looks = append(looks, look(id, commands[i]))
		}
	}
	return looks, nil
}

func look(id string, command *redis.MapStringStringCmd) Inspection {
	hash, err := command.Result()
	if err != nil { // answered, but not with a hash
		return Inspection{Cached: true, Version: -1, Err: err}
	}
	if _, leased := hash[fieldLease]; len(hash) == 0 || (leased && len(hash) == 1) {
		return Inspection{}
	}
	l := Inspection{Cached: true, Epoch: hash[fieldEpoch], Version: -1, Missing: hash[fieldMissing] != ""}
	if version, err := strconv.ParseInt(hash[fieldVersion], 10, 64); err == nil {
		l.Version = version
	}
	switch {
	case hash[fieldProductID] != id:
		l.Err = fmt.Errorf("it says it is product %q", hash[fieldProductID])
	case l.Version < 0:
		l.Err = errors.New("it has no version")
	case !l.Missing:
		l.Stock, l.Err = parse(hash)
	}
	return l
}
