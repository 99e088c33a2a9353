package rediscache

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"onhand/models"
	"onhand/models/stockjson"
)

// setScript writes one product's hash if it is news.
//
// KEYS[1] the product's hash
// ARGV[1] epoch
// ARGV[2] version
// ARGV[3] time to live in milliseconds
// ARGV[4] channel to publish on, empty for a fill
// ARGV[5] message to publish
// ARGV[6] the lease that a fill was given, else empty
// ARGV[7] how many names of fields to remove follow; then field, value, …
//
// Returns 1 if the hash was written, else 0.
//
//   - A fill whose lease is not in the hash: nothing happens. What was written
//     since the lease, and what removed that again, is not known here.
//   - The stored version is newer in the same epoch: nothing happens.
//   - It is equal: the hash is written again, for it may have lost fields, and
//     the message goes out only if none did for this version. A fill leaves
//     "published" as it is.
//   - Everything else (older, another epoch, not ours, no hash): written.
//
// HSET comes before HDEL because Redis refuses for want of memory only the
// first command of a script that changes something. Then the hash goes, so
// that nobody reads an older value, and the message goes out all the same.
var setScript = redis.NewScript(`
local had = redis.pcall('HMGET', KEYS[1], 'epoch', 'version', 'published', 'lease')
if ARGV[6] ~= '' and had[4] ~= ARGV[6] then return 0 end
if had.err then
  redis.call('DEL', KEYS[1])
  had = {}
end
local version, published = tonumber(ARGV[2]), false
local kept = had[1] == ARGV[1] and tonumber(had[2] or '')
if kept then
  if kept > version then return 0 end
  published = kept == version and tonumber(had[3] or '') == version
end
local remove = tonumber(ARGV[7])
local set = redis.pcall('HSET', KEYS[1], unpack(ARGV, 8 + remove))
local refused = type(set) == 'table'
if refused then
  redis.call('DEL', KEYS[1])
else
  if remove > 0 then redis.call('HDEL', KEYS[1], unpack(ARGV, 8, 7 + remove)) end
  if ARGV[4] == '' and not published then redis.call('HDEL', KEYS[1], 'published') end
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
if ARGV[4] ~= '' and not published then
  redis.call('PUBLISH', ARGV[4], ARGV[5])
end
if refused then return set end
return 1
`)

// invocation is one run of setScript.
type invocation struct {
	key  string
	args []any
}

// Fill caches what a read of the database found: stocks, and unknown ids as
// short negative entries. The lease is one that was taken before that read
// began; without one nothing is filled. It publishes nothing, and it changes
// nothing where Redis already holds something newer, or held something that
// came after the lease and is gone. An error means that some of them are not
// cached, no more.
func (c *Cache) Fill(ctx context.Context, lease Lease, epoch string, stocks []*models.Stock, unknown []string) error {
	if lease == "" {
		return nil
	}
	runs := make([]invocation, 0, len(stocks)+len(unknown))
	for _, s := range stocks {
		if s != nil {
			runs = append(runs, c.setStock(s, "", nil, lease))
		}
	}
	for _, id := range unknown {
		runs = append(runs, c.setMissing(epoch, id, 0, lease))
	}
	c.counts.fills.Add(int64(len(runs)))
	return c.runAll(ctx, "fill stock", runs)
}

// Apply carries committed changes: it sets each hash and publishes on the
// product's channel in one step, unless that version or a newer one is there
// and was published. An error means that some of them may not have arrived;
// applying again does no harm.
func (c *Cache) Apply(ctx context.Context, stocks []*models.Stock) error {
	runs := make([]invocation, 0, len(stocks))
	for _, s := range stocks {
		if s != nil {
			runs = append(runs, c.setStock(s, c.keys.StockChannel(s.ProductID), stockjson.Encode(s), ""))
		}
	}
	c.counts.applies.Add(int64(len(runs)))
	return c.runAll(ctx, "apply stock", runs)
}

// Forget replaces products that are no longer in the database, as of these
// changes, by short negative entries.
func (c *Cache) Forget(ctx context.Context, epoch string, gone []models.Change) error {
	runs := make([]invocation, 0, len(gone))
	for _, change := range gone {
		runs = append(runs, c.setMissing(epoch, change.ProductID, change.Version, ""))
	}
	return c.runAll(ctx, "forget stock", runs)
}

func (c *Cache) setStock(s *models.Stock, channel string, message []byte, lease Lease) invocation {
	pairs, absent := fields(s)
	if channel != "" {
		pairs = append(pairs, fieldPublished, s.Version)
	}
	args := append(make([]any, 0, 7+len(absent)+len(pairs)),
		s.Epoch, s.Version, jittered(c.ttl), channel, message, string(lease), len(absent))
	return invocation{c.keys.Stock(s.ProductID), append(append(args, absent...), pairs...)}
}

// setMissing writes a negative entry. It keeps a version, mostly 0, so that
// the product's first change replaces it and it replaces no product.
func (c *Cache) setMissing(epoch, id string, version int64, lease Lease) invocation {
	absent := []any{fieldQuantity, fieldTitle, fieldTracked, fieldPolicy, fieldBackorderLimit,
		fieldLowStockThreshold, fieldMaxPerReservation, fieldNextRestockAt, fieldAsOf, fieldLevels, fieldPublished, fieldLease}
	args := append([]any{epoch, version, jittered(c.negativeTTL), "", "", string(lease), len(absent)}, absent...)
	return invocation{c.keys.Stock(id), append(args,
		fieldProductID, id, fieldVersion, version, fieldEpoch, epoch, fieldMissing, 1)}
}

// runAll runs the set script for each invocation, ScriptsMax in a round trip.
func (c *Cache) runAll(ctx context.Context, what string, runs []invocation) error {
	for chunk := range slices.Chunk(runs, ScriptsMax) {
		if err := c.run(ctx, what, setScript, chunk); err != nil {
			return err
		}
	}
	return nil
}

// run sends one pipeline of EVALSHA. Those that Redis answers with NOSCRIPT
// (it was restarted, flushed, or a node is new to us) go out once more with
// the script's text, which also loads it.
func (c *Cache) run(ctx context.Context, what string, script *redis.Script, runs []invocation) error {
	commands := make([]*redis.Cmd, len(runs))
	err := c.pipeline(ctx, c.writer, what, func(p redis.Pipeliner) {
		for i, r := range runs {
			commands[i] = script.EvalSha(ctx, p, []string{r.key}, r.args...)
		}
	})
	if err != nil {
		return err
	}
	var again []int
	for i, command := range commands {
		if redis.HasErrorPrefix(command.Err(), "NOSCRIPT") {
			again = append(again, i)
		}
	}
	if len(again) > 0 {
		err := c.pipeline(ctx, c.writer, what, func(p redis.Pipeliner) {
			for _, i := range again {
				commands[i] = script.Eval(ctx, p, []string{runs[i].key}, runs[i].args...)
			}
		})
		if err != nil {
			return err
		}
	}
	return firstOf(what, commands)
}

// firstOf sums up the commands that Redis refused: the first error, and how
// many there are.
func firstOf(what string, commands []*redis.Cmd) error {
	var first error
	failed := 0
	for _, command := range commands {
		if err := command.Err(); err != nil {
			failed++
			if first == nil {
				first = err
			}
		}
	}
	if first == nil {
		return nil
	}
	return fmt.Errorf("%s: %d of %d refused: %w", what, failed, len(commands), first)
}
