package rediscache

import (
	"context"
	"slices"
	"strconv"

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
// Returns 1 if the hash was written, 0 if it does not have the lease, the stored
// version as text if that is newer, or the error with which Redis refused the
// write.
//
//   - The hash does not have the lease of a fill: nothing is written. A write
//     after the lease may have been lost.
//   - The stored version is newer, in the same epoch: nothing is written.
//   - The stored version is not a whole number up to VersionMax, so that
//     another program wrote it: it counts as none. No reader believes it.
//   - The stored version is equal: the hash is written again, for it may have
//     lost fields. The message is published only if this version was not. A fill
//     keeps the field "published".
//   - Otherwise (older, another epoch, another type, no hash): it is written.
//
// HSET runs before HDEL, because Redis refuses a script for lack of memory only
// at its first write. The script then removes the hash, so that readers do not
// find an older value, and publishes all the same.
var setScript = redis.NewScript(`
local version_max = ` + strconv.Itoa(VersionMax) + `
local stored = redis.pcall('HMGET', KEYS[1], 'epoch', 'version', 'published', 'lease')
if ARGV[6] ~= '' and stored[4] ~= ARGV[6] then return 0 end
if stored.err then
  redis.call('DEL', KEYS[1])
  stored = {}
end
local version, published = tonumber(ARGV[2]), false
local stored_version = stored[1] == ARGV[1] and string.match(stored[2] or '', '^%d+$') and tonumber(stored[2])
if stored_version and stored_version <= version_max then
  if stored_version > version then return stored[2] end
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

// setCall is one call of setScript.
type setCall struct {
	scriptCall
	productID, epoch string
}

// setAll runs setScript for each call, ScriptsMax in a round trip. It reports the
// hashes that are ahead.
func (c *Cache) setAll(ctx context.Context, op string, calls []setCall) error {
	for chunk := range slices.Chunk(calls, ScriptsMax) {
		scripts := make([]scriptCall, len(chunk))
		for i, call := range chunk {
			scripts[i] = call.scriptCall
		}
		replies, err := c.runScript(ctx, op, setScript, scripts)
		for i, reply := range replies {
			c.reportAhead(chunk[i], reply)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// reportAhead reports a write that was refused because the hash is newer. That is
// usual where two instances commit one after the other and their writes arrive in
// reverse order. It is a fault where another program wrote the version.
func (c *Cache) reportAhead(call setCall, reply *redis.Cmd) {
	text, ok := reply.Val().(string)
	if !ok || c.onAhead == nil {
		return
	}
	if version, ok := parseVersion(text); ok {
		c.onAhead(call.productID, call.epoch, version)
	}
}

// runScript sends one pipeline of EVALSHA. A call that Redis answers with
// NOSCRIPT is sent once more by EVAL, which also loads the script. Redis does so
// after a restart or a flush, and a new node of a cluster does. The replies are
// nil if a round trip failed.
func (c *Cache) runScript(ctx context.Context, op string, script *redis.Script, calls []scriptCall) ([]*redis.Cmd, error) {
	replies := make([]*redis.Cmd, len(calls))
	err := c.pipeline(ctx, c.writer, op, func(p redis.Pipeliner) {
		for i, call := range calls {
			replies[i] = script.EvalSha(ctx, p, []string{call.key}, call.args...)
		}
	})
	if err != nil {
		return nil, err
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
			return nil, err
		}
	}
	return replies, firstError(op, replies)
}
