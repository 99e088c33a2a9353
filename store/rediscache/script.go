package rediscache

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// setScriptArgs is how many arguments of setScript come before the field names.
const setScriptArgs = 7

// setScript writes one product's hash, unless Redis has something newer.
//
// KEYS[1] -> hash of the product
// --
// ARGV[1] -> epoch
// ARGV[2] -> version
// ARGV[3] -> time to live in milliseconds
// ARGV[4] -> channel to publish on; empty for a fill
// ARGV[5] -> message to publish
// ARGV[6] -> lease of a fill; empty otherwise
// ARGV[7] -> n, the number of fields to remove
// ARGV[8..7+n] -> names of the fields to remove
// ARGV[8+n..] -> fields to set: name, value, name, value
//
// Returns 1 if the hash was written, 0 if it was not, or the error with which
// Redis refused the write.
//
//   - The hash does not have the lease of a fill: nothing is written. A write
//     after the lease may have been lost.
//   - The stored version is newer, in the same epoch: nothing is written.
//   - The stored version is equal: the hash is written again, for it may have
//     lost fields. The message is published only if this version was not. A fill
//     keeps the field "published".
//   - Otherwise (older, another epoch, another type, no hash): it is written.
//
// HSET runs before HDEL, because Redis refuses a script for lack of memory only
// at its first write. The script then removes the hash, so that readers do not
// find an older value, and publishes all the same.
var setScript = redis.NewScript(`
local stored = redis.pcall('HMGET', KEYS[1], 'epoch', 'version', 'published', 'lease')
if ARGV[6] ~= '' and stored[4] ~= ARGV[6] then return 0 end
if stored.err then
  redis.call('DEL', KEYS[1])
  stored = {}
end
local version, published = tonumber(ARGV[2]), false
local stored_version = stored[1] == ARGV[1] and tonumber(stored[2] or '')
if stored_version then
  if stored_version > version then return 0 end
  published = stored_version == version and tonumber(stored[3] or '') == version
end
local removals = tonumber(ARGV[7])
local reply = redis.pcall('HSET', KEYS[1], unpack(ARGV, 8 + removals))
local refused = type(reply) == 'table'
if refused then
  redis.call('DEL', KEYS[1])
else
  if removals > 0 then redis.call('HDEL', KEYS[1], unpack(ARGV, 8, 7 + removals)) end
  if ARGV[4] == '' and not published then redis.call('HDEL', KEYS[1], 'published') end
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
if ARGV[4] ~= '' and not published then
  redis.call('PUBLISH', ARGV[4], ARGV[5])
end
if refused then return reply end
return 1
`)

// scriptCall is one call of a script: KEYS[1] and ARGV.
type scriptCall struct {
	key  string
	args []any
}

// setAll runs setScript for each call, ScriptsMax in a round trip.
func (c *Cache) setAll(ctx context.Context, op string, calls []scriptCall) error {
	for chunk := range slices.Chunk(calls, ScriptsMax) {
		if err := c.runScript(ctx, op, setScript, chunk); err != nil {
			return err
		}
	}
	return nil
}

// runScript sends one pipeline of EVALSHA. A call that Redis answers with
// NOSCRIPT is sent once more by EVAL, which also loads the script. Redis does so
// after a restart or a flush, and a new node of a cluster does.
func (c *Cache) runScript(ctx context.Context, op string, script *redis.Script, calls []scriptCall) error {
	replies := make([]*redis.Cmd, len(calls))
	err := c.pipeline(ctx, c.writer, op, func(p redis.Pipeliner) {
		for i, call := range calls {
			replies[i] = script.EvalSha(ctx, p, []string{call.key}, call.args...)
		}
	})
	if err != nil {
		return err
	}
	var unknown []int
	for i, reply := range replies {
		if redis.HasErrorPrefix(reply.Err(), "NOSCRIPT") {
			unknown = append(unknown, i)
		}
	}
	if len(unknown) > 0 {
		err := c.pipeline(ctx, c.writer, op, func(p redis.Pipeliner) {
			for _, i := range unknown {
				replies[i] = script.Eval(ctx, p, []string{calls[i].key}, calls[i].args...)
			}
		})
		if err != nil {
			return err
		}
	}
	return firstError(op, replies)
}
