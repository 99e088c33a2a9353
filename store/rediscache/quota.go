package rediscache

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"onhand/models/quota"
)

// spendScript takes what was used from the bucket of a quota.
//
// KEYS[1] -> hash of the bucket
// --
// ARGV[1] -> units that were used
// ARGV[2] -> units of a full bucket
// ARGV[3] -> milliseconds in which an empty bucket fills
//
// Returns the units that are left, which may be negative, and the units used since the
// hash was made, both as text.
//
// It takes the time from Redis, so that the clocks of instances do not matter. A bucket
// is never lower than minus a full one, and its hash lives for as long as it fills from
// there. A key of another type counts as none.
var spendScript = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local cost, most, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local stored = redis.pcall('HMGET', KEYS[1], 'left', 'at', 'used')
if stored.err then
  redis.call('DEL', KEYS[1])
  stored = {}
end
local left, at, used = tonumber(stored[1] or ''), tonumber(stored[2] or ''), tonumber(stored[3] or '')
if not (left and at and used) then
  left, at, used = most, now, 0
end
left = math.max(-most, math.min(most, left + math.max(0, now - at) * most / window) - cost)
local left_text, used_text = string.format('%.6f', left), string.format('%.0f', used + cost)
redis.call('HSET', KEYS[1], 'left', left_text, 'at', string.format('%.0f', now), 'used', used_text)
redis.call('PEXPIRE', KEYS[1], 2 * window)
return {left_text, used_text}
`)

// Spend takes uses from their buckets, and returns the buckets in the same order, in one
// round trip for each ScriptsMax of them. After an error some may have been taken.
func (c *Cache) Spend(ctx context.Context, uses []quota.Use) ([]quota.Balance, error) {
	balances := make([]quota.Balance, 0, len(uses))
	for first := 0; first < len(uses); first += ScriptsMax {
		chunk := uses[first:min(first+ScriptsMax, len(uses))]
		calls := make([]scriptCall, len(chunk))
		for i, use := range chunk {
			calls[i] = scriptCall{key: c.keys.Quota(use.Bucket), args: []any{use.Cost, use.Quota.Cost, use.Quota.Window.Milliseconds()}}
		}
		replies, err := c.runScript(ctx, "spend quotas", spendScript, calls)
		if err != nil {
			return nil, err
		}
		for _, reply := range replies {
			balance, err := readBalance(reply)
			if err != nil {
				return nil, err
			}
			balances = append(balances, balance)
		}
	}
	return balances, nil
}

func readBalance(reply *redis.Cmd) (balance quota.Balance, err error) {
	texts, err := reply.StringSlice()
	if err != nil || len(texts) != 2 {
		return balance, fmt.Errorf("spend quotas: an answer of %d texts: %w", len(texts), err)
	}
	if balance.Left, err = strconv.ParseFloat(texts[0], 64); err != nil {
		return balance, err
	}
	balance.Used, err = strconv.ParseFloat(texts[1], 64)
	return balance, err
}
