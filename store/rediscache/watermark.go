package rediscache

import (
	"bufio"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Watermark is how far the outbox had come when the watermark was recorded. A
// database with a lower sequence was restored from a backup. A Redis with another
// watermark or run id than expected was restarted, restored or replaced.
type Watermark struct {
	Epoch    string // empty: none is recorded
	Sequence int64
	// RecordedRunIDs are the run ids of Redis when the watermark was recorded, and
	// RunIDs those of now: of every master, sorted, joined by commas, empty where
	// the server has none. Where the two differ, another server serves the data
	// that an earlier one had saved.
	RecordedRunIDs, RunIDs string
}

// watermarkScript records a watermark.
//
// KEYS[1] -> hash of the watermark
// --
// ARGV[1] -> epoch
// ARGV[2] -> sequence
// ARGV[3] -> run ids
//
// Returns 1 if epoch and sequence were written, 0 if they were not.
//
// In the same epoch the higher sequence stays. The run ids are always written.
// The hash has no time to live: an expired watermark would look like a Redis
// that was replaced.
var watermarkScript = redis.NewScript(`
local stored = redis.pcall('HMGET', KEYS[1], 'epoch', 'sequence')
if stored.err then
  redis.call('DEL', KEYS[1])
  stored = {}
end
redis.call('HSET', KEYS[1], 'run_ids', ARGV[3])
if stored[1] == ARGV[1] and (tonumber(stored[2] or '') or -1) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'sequence', ARGV[2])
return 1
`)

// Watermark reads the recorded watermark and the current run ids. It takes one
// round trip, and on a cluster another one to all masters at once.
func (c *Cache) Watermark(ctx context.Context) (Watermark, error) {
	cluster, isCluster := c.reader.(*redis.ClusterClient)
	var hash *redis.SliceCmd
	var info *redis.StringCmd
	err := c.pipeline(ctx, c.reader, "read watermark", func(p redis.Pipeliner) {
		hash = p.HMGet(ctx, c.keys.Watermark(), fieldEpoch, fieldSequence, fieldRunIDs)
		if !isCluster {
			info = p.Info(ctx, "server")
		}
	})
	if err != nil {
		return Watermark{}, err
	}
	watermark := decodeWatermark(hash)
	if isCluster {
		watermark.RunIDs, err = c.runIDs(ctx, cluster)
	} else if text, infoErr := info.Result(); infoErr == nil {
		watermark.RunIDs = runID(text)
	}
	return watermark, err
}

// decodeWatermark reads the recorded part. An invalid hash is no watermark.
func decodeWatermark(hash *redis.SliceCmd) Watermark {
	values, err := hash.Result()
	if err != nil || len(values) != 3 {
		return Watermark{}
	}
	epoch, _ := values[0].(string)
	text, _ := values[1].(string)
	recorded, _ := values[2].(string)
	sequence, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return Watermark{}
	}
	return Watermark{Epoch: epoch, Sequence: sequence, RecordedRunIDs: recorded}
}

// runIDs reads the run id of every master of a cluster.
func (c *Cache) runIDs(ctx context.Context, cluster *redis.ClusterClient) (string, error) {
	var mu sync.Mutex
	var ids []string
	err := c.roundTrip(ctx, "read run ids", func(ctx context.Context) error {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
			text, err := master.Info(ctx, "server").Result()
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			ids = append(ids, runID(text))
			return nil
		})
	})
	slices.Sort(ids)
	return strings.Join(ids, ","), err
}

// runID finds the run id in the reply to INFO server.
func runID(info string) string {
	lines := bufio.NewScanner(strings.NewReader(info))
	for lines.Scan() {
		if id, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "run_id:"); ok {
			return id
		}
	}
	return ""
}

// SetWatermark records a watermark. Its RunIDs become the recorded ones.
func (c *Cache) SetWatermark(ctx context.Context, w Watermark) error {
	call := scriptCall{key: c.keys.Watermark(), args: []any{w.Epoch, w.Sequence, w.RunIDs}}
	_, err := c.runScript(ctx, "record watermark", watermarkScript, []scriptCall{call})
	return err
}
