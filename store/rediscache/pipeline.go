package rediscache

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

const (
	// PipelineMax is how many plain commands one pipeline has. It bounds what one
	// round trip keeps in memory on either side.
	PipelineMax = 1000
	// ScriptsMax is how many scripts one pipeline has. A script takes Redis some
	// 20 µs and the embedded Redis 300 µs, so that a pipeline of them stays well
	// within timeoutDefault.
	ScriptsMax = 100
)

// pipeline sends the commands that queue adds in one round trip. It fails only
// when the round trip did; the commands have the replies to each.
func (c *Cache) pipeline(ctx context.Context, client redis.UniversalClient, op string, queue func(redis.Pipeliner)) error {
	return c.roundTrip(ctx, op, func(ctx context.Context) error {
		p := client.Pipeline()
		queue(p)
		if p.Len() == 0 {
			return nil
		}
		commands, err := p.Exec(ctx)
		if err == nil {
			return nil
		}
		// Exec returns the first error of any command. An error reply to one must
		// not hide that another was not answered.
		for _, command := range commands {
			if err := command.Err(); isUnavailable(err) {
				return err
			}
		}
		if isUnavailable(err) {
			return err
		}
		return nil
	})
}

// readHashes reads the hashes of products, PipelineMax in a round trip, and
// calls visit for each, in the order of ids: with the names and values of its fields,
// or the error with which Redis answered.
func (c *Cache) readHashes(ctx context.Context, op string, ids []string, visit func(id string, reply []string, err error)) error {
	for chunk := range slices.Chunk(ids, PipelineMax) {
		queued := c.queueReads(ctx, chunk)
		err := c.pipeline(ctx, c.reader, op, func(p redis.Pipeliner) { _ = p.BatchProcess(ctx, queued...) }) // which only queues
		if err != nil {
			return err
		}
		for i, id := range chunk {
			reply, err := queued[i].(*redis.StringSliceCmd).Result()
			visit(id, reply, err)
		}
	}
	return nil
}

// queueReads makes the commands of a pipeline. The keys share one text, and the
// arguments one array: a pipeline of many products is made of few allocations.
func (c *Cache) queueReads(ctx context.Context, ids []string) []redis.Cmder {
	size := 0
	for _, id := range ids {
		size += len(id)
	}
	prefix := c.keys.Stock("")
	text := make([]byte, 0, size+len(prefix)*len(ids))
	for _, id := range ids {
		text = append(append(text, prefix...), id...)
	}
	rest := string(text)
	keys := make([]string, len(ids))
	args := make([]any, 2*len(ids))
	queued := make([]redis.Cmder, len(ids))
	for i, id := range ids {
		n := len(prefix) + len(id)
		keys[i], rest = rest[:n], rest[n:]
		args[2*i], args[2*i+1] = "hgetall", &keys[i]
		queued[i] = redis.NewStringSliceCmd(ctx, args[2*i:2*i+2:2*i+2]...)
	}
	return queued
}

// writeEach sends one command for each id, PipelineMax in a round trip. It
// fails when Redis refused any of them.
func (c *Cache) writeEach(ctx context.Context, op string, ids []string, queue func(p redis.Pipeliner, id string) *redis.Cmd) error {
	for chunk := range slices.Chunk(ids, PipelineMax) {
		replies := make([]*redis.Cmd, len(chunk))
		err := c.pipeline(ctx, c.writer, op, func(p redis.Pipeliner) {
			for i, id := range chunk {
				replies[i] = queue(p, id)
			}
		})
		if err != nil {
			return err
		}
		if err := firstError(op, replies); err != nil {
			return err
		}
	}
	return nil
}

// firstError returns the first error reply, with how many there are.
func firstError(op string, replies []*redis.Cmd) error {
	var first error
	refused := 0
	for _, reply := range replies {
		if err := reply.Err(); err != nil {
			refused++
			if first == nil {
				first = err
			}
		}
	}
	if first == nil {
		return nil
	}
	return fmt.Errorf("%s: redis refused %d of %d: %w", op, refused, len(replies), first)
}
