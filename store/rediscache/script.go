package rediscache

import (
	"context"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// setScript writes one product's hash, unless Redis has something newer.
//
// KEYS[1] -> hash of the product
// --
// ARGV[1] -> product id
// ARGV[2] -> version
// ARGV[3] -> epoch
// ARGV[4] -> quantity
// ARGV[5] -> stock in its compact form; empty for a negative entry
// ARGV[6] -> time to live in milliseconds
// ARGV[7] -> lease of a fill; empty otherwise
// ARGV[8] -> channel to publish on; absent if nothing is published
// ARGV[9] -> message to publish
//
// Returns 1 if the hash was written, 0 if it does not have the lease, the stored
// version as text if that is newer, or the error with which Redis refused the
// write.
//
//   - The hash does not have the lease of a fill: nothing is written. A write
//     after the lease may have been lost.
//   - The stored version is newer, in the same epoch: nothing is written.
//   - The stored version is not a whole number up to HashVersionMax, so that
//     another program wrote it: it counts as none. No reader believes it.
//   - The stored version is equal: the hash is written again, for it may have
//     lost fields. The message is published only if this version was not. A fill
//     keeps the field "published".
//   - Otherwise (older, another epoch, another type, no hash): it is written.
//
// HSET runs before HDEL, because Redis refuses a script for lack of memory only
// at its first write. The script then removes the hash, so that readers do not
// find an older value, and publishes all the same. HDEL runs only where HMGET found
// a field to remove.
var setScript = redis.NewScript(`
local version_max = ` + strconv.Itoa(HashVersionMax) + `
local key, version_text, epoch, stock, channel = KEYS[1], ARGV[2], ARGV[3], ARGV[5], ARGV[8]
local stored = redis.pcall('HMGET', key, 'epoch', 'version', 'published', 'lease', 'missing')
if ARGV[7] ~= '' and stored[4] ~= ARGV[7] then return 0 end
if stored.err then
  redis.call('DEL', key)
  stored = {}
end
local version, published = tonumber(version_text), false
local stored_version = stored[1] == epoch and string.match(stored[2] or '', '^%d+$') and tonumber(stored[2])
if stored_version and stored_version <= version_max then
  if stored_version > version then return stored[2] end
  published = stored_version == version and tonumber(stored[3] or '') == version
end
local reply
if stock == '' then
  reply = redis.pcall('HSET', key, 'product_id', ARGV[1], 'version', version_text, 'epoch', epoch, 'missing', '1')
elseif channel then
  reply = redis.pcall('HSET', key, 'product_id', ARGV[1], 'quantity', ARGV[4], 'version', version_text, 'epoch', epoch, 'stock', stock, 'published', version_text)
else
  reply = redis.pcall('HSET', key, 'product_id', ARGV[1], 'quantity', ARGV[4], 'version', version_text, 'epoch', epoch, 'stock', stock)
end
local refused = type(reply) == 'table'
if refused then
  redis.call('DEL', key)
else
  if stock == '' then
    redis.call('HDEL', key, 'quantity', 'stock', 'published', 'lease')
  elseif stored[3] and not channel and not published then
    redis.call('HDEL', key, 'missing', 'lease', 'published')
  elseif stored[4] or stored[5] then
    redis.call('HDEL', key, 'missing', 'lease')
  end
  redis.call('PEXPIRE', key, ARGV[6])
end
if channel and not published then
  redis.call('PUBLISH', channel, ARGV[9])
end
if refused then return reply end
return 1
`)

// scriptCall is one call of a script: KEYS[1] and ARGV.
type scriptCall struct {
	key       string
	args      []any
	publishes bool
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

// Wake runs setScript without an effect, so that Redis is awake when a commit is applied a
// moment later: an idle one takes several times as long. Errors do not matter.
func (c *Cache) Wake(ctx context.Context) {
	if !c.Healthy() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	const noLease = "-" // so that nothing is written
	setScript.EvalSha(ctx, c.writer, []string{c.keys.Stock("")}, "", "0", "", "", "", 1, noLease)
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
		if calls[0].publishes {
			// Redis writes first to the client that it answered last. With an answer before
			// the script, subscribers come first.
			p.Do(ctx, "hget", calls[0].key, "version")
		}
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
