package rediscache

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// leaseTTL is how long a lease may wait for its fill. It is longer than a read
// of the database may take; a fill that comes later is refused.
const leaseTTL = 10 * time.Second

// leasePrefixLength: 60 random bits, five a letter.
const leasePrefixLength = 12

// Lease is the permission to fill what is read from the database after it was
// taken. The zero Lease permits nothing.
//
// Versions alone do not protect a fill: a reader reads version 1, a writer
// commits version 2 and tells Redis, Redis loses it (flushed, evicted), and
// the late fill finds nothing to compare with. A lease lies in the hash
// itself, so it is lost together with whatever came after it.
type Lease string

// Lease marks products as about to be read from the database. Take it before
// the read begins, so that any write that the read does not see comes to Redis
// after it: either that is still there, then it wins by its version, or it took
// the lease away with it. A later lease replaces an earlier one.
//
// One round trip for each PipelineMax commands, two a product. On an error
// nothing may be filled.
func (c *Cache) Lease(ctx context.Context, ids []string) (Lease, error) {
	lease := Lease(c.leasePrefix + strconv.FormatInt(c.leases.Add(1), 36))
	for chunk := range slices.Chunk(ids, PipelineMax/2) {
		commands := make([]*redis.IntCmd, len(chunk))
		err := c.pipeline(ctx, c.writer, "lease stock", func(p redis.Pipeliner) {
			for i, id := range chunk {
				commands[i] = c.queueLease(ctx, p, id, lease)
			}
		})
		if err != nil {
			return "", err
		}
		if err := c.leaseWrongTypes(ctx, chunk, commands, lease); err != nil {
			return "", err
		}
	}
	return lease, nil
}

// queueLease also shortens the life of a hash that is there: what is read from
// the database although it is cached is about to be filled anew.
func (c *Cache) queueLease(ctx context.Context, p redis.Pipeliner, id string, lease Lease) *redis.IntCmd {
	command := p.HSet(ctx, c.keys.Stock(id), fieldLease, string(lease))
	p.PExpire(ctx, c.keys.Stock(id), leaseTTL)
	return command
}

// leaseWrongTypes replaces keys that are no hashes. Others that Redis refused
// have no lease and are not filled.
func (c *Cache) leaseWrongTypes(ctx context.Context, ids []string, commands []*redis.IntCmd, lease Lease) error {
	var wrong []string
	for i, command := range commands {
		if redis.HasErrorPrefix(command.Err(), "WRONGTYPE") {
			wrong = append(wrong, ids[i])
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return c.pipeline(ctx, c.writer, "lease stock", func(p redis.Pipeliner) {
		for _, id := range wrong {
			p.Del(ctx, c.keys.Stock(id))
			c.queueLease(ctx, p, id, lease)
		}
	})
}

// Invalidate removes products, so that nobody reads what is there. One round trip for
// each PipelineMax ids.
func (c *Cache) Invalidate(ctx context.Context, ids []string) error {
	for chunk := range slices.Chunk(ids, PipelineMax) {
		commands := make([]*redis.Cmd, len(chunk))
		err := c.pipeline(ctx, c.writer, "invalidate stock", func(p redis.Pipeliner) {
			for i, id := range chunk {
				commands[i] = p.Do(ctx, "del", c.keys.Stock(id))
			}
		})
		if err != nil {
			return err
		}
		if err := firstOf("invalidate stock", commands); err != nil {
			return err
		}
	}
	return nil
}
