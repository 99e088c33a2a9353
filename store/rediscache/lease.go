package rediscache

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// leaseTTL is longer than a read of the database may take. A fill that comes
	// later is refused.
	leaseTTL = 10 * time.Second
	// leasePrefixLength is how many letters tell instances apart: 60 random bits,
	// five a letter.
	leasePrefixLength = 12
	// leaseCommands is how many commands a lease takes.
	leaseCommands = 2
)

// Lease is the permission to fill what is read from the database after the
// lease was taken. The zero Lease permits nothing.
//
// Versions alone do not protect a fill. A reader may read version 1 and be slow;
// meanwhile a writer applies version 2 and Redis loses it (FLUSHALL, eviction).
// The late fill then finds no version to compare with. The lease is in the hash,
// so Redis loses it together with that version and refuses the fill.
type Lease string

// Lease takes a lease for products that are about to be read from the database.
// Take it before the read begins: a write that the read does not see then
// reaches Redis after the lease, and either its version wins or the lease is
// gone. A later lease replaces an earlier one.
//
// It takes one round trip for each PipelineMax commands, two a product. After
// an error nothing may be filled.
func (c *Cache) Lease(ctx context.Context, ids []string) (Lease, error) {
	lease := Lease(c.leasePrefix + strconv.FormatInt(c.leases.Add(1), 36))
	for chunk := range slices.Chunk(ids, PipelineMax/leaseCommands) {
		replies := make([]*redis.IntCmd, len(chunk))
		err := c.pipeline(ctx, c.writer, "lease stock", func(p redis.Pipeliner) {
			for i, id := range chunk {
				replies[i] = c.queueLease(ctx, p, id, lease)
			}
		})
		if err != nil {
			return "", err
		}
		if err := c.replaceWrongTypes(ctx, chunk, replies, lease); err != nil {
			return "", err
		}
	}
	return lease, nil
}

// queueLease stores the lease. It also shortens the life of a hash that exists:
// a product that is read from the database although it is cached is about to be
// filled again.
func (c *Cache) queueLease(ctx context.Context, p redis.Pipeliner, id string, lease Lease) *redis.IntCmd {
	reply := p.HSet(ctx, c.keys.Stock(id), fieldLease, string(lease))
	p.PExpire(ctx, c.keys.Stock(id), leaseTTL)
	return reply
}

// replaceWrongTypes removes keys that are not hashes and leases them again. A
// product whose lease Redis refused for another reason is not filled.
func (c *Cache) replaceWrongTypes(ctx context.Context, ids []string, replies []*redis.IntCmd, lease Lease) error {
	var wrong []string
	for i, reply := range replies {
		if redis.HasErrorPrefix(reply.Err(), "WRONGTYPE") {
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
