package rediscache

import (
	"bufio"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"onhand/models"
)

// Unpublished returns the products, each once, of which Redis does not show that
// the change or a later one was published in that epoch. One round trip for
// each PipelineMax changes.
func (c *Cache) Unpublished(ctx context.Context, changes []models.Change, epoch string) ([]string, error) {
	var behind []string
	listed := make(map[string]bool)
	for chunk := range slices.Chunk(changes, PipelineMax) {
		commands := make([]*redis.SliceCmd, len(chunk))
		err := c.pipeline(ctx, c.reader, "compare versions", func(p redis.Pipeliner) {
			for i, change := range chunk {
				commands[i] = p.HMGet(ctx, c.keys.Stock(change.ProductID), fieldEpoch, fieldPublished)
			}
		})
		if err != nil {
			return nil, err
		}
		for i, change := range chunk {
			if !listed[change.ProductID] && publishedOf(commands[i], epoch) < change.Version {
				listed[change.ProductID] = true
				behind = append(behind, change.ProductID)
			}
		}
	}
	return behind, nil
}

// publishedOf is the published version in that epoch, -1 where there is none.
func publishedOf(command *redis.SliceCmd, epoch string) int64 {
	values, err := command.Result()
	if err != nil || len(values) != 2 || values[0] != any(epoch) {
		return -1
	}
	text, _ := values[1].(string)
	version, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return -1
	}
	return version
}

// PublishReservations wakes whoever watches these reservations. The messages
// are empty: a reservation's id is the permission to read it, and its contents
// are read from the database. One round trip for each PipelineMax ids.
func (c *Cache) PublishReservations(ctx context.Context, ids []string) error {
	for chunk := range slices.Chunk(ids, PipelineMax) {
		commands := make([]*redis.Cmd, len(chunk))
		err := c.pipeline(ctx, c.writer, "publish reservations", func(p redis.Pipeliner) {
			for i, id := range chunk {
				commands[i] = p.Do(ctx, "publish", c.keys.ReservationChannel(id), "")
			}
		})
		if err != nil {
			return err
		}
		if err := firstOf("publish reservations", commands); err != nil {
			return err
		}
	}
	return nil
}

// Watermark is how far the feed had come when it was last noted, and which Redis
// says so. A database that shows less than the mark went back in time; a Redis
// whose mark or run id is not the one expected was replaced, restored or
// restarted.
type Watermark struct {
	Epoch    string // empty: no mark
	Sequence int64
	// RecordedRunIDs are the run ids when the mark was noted, RunIDs those of now:
	// of all masters, sorted and joined by commas; empty where the server has
	// none. Where they differ, another server serves what this one had saved.
	RecordedRunIDs, RunIDs string
}

// watermarkScript notes how far the feed has come.
//
// KEYS[1] the feed's hash
// ARGV[1] epoch
// ARGV[2] sequence
// ARGV[3] run ids
//
// In the same epoch the larger sequence stays; another epoch is overwritten.
// The run ids are always noted. Returns 1 if the sequence was written, else 0.
// No time to live: a mark that expires would look like a Redis that was
// replaced.
var watermarkScript = redis.NewScript(`
local had = redis.pcall('HMGET', KEYS[1], 'epoch', 'sequence')
if had.err then
  redis.call('DEL', KEYS[1])
  had = {}
end
redis.call('HSET', KEYS[1], 'run_ids', ARGV[3])
if had[1] == ARGV[1] and (tonumber(had[2] or '') or -1) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'sequence', ARGV[2])
return 1
`)

// Watermark reads the watermark and the run ids. One round trip; on a cluster, one more
// to every master at once.
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
	var mark Watermark
	// A mark that is not ours to read is no mark.
	if values, err := hash.Result(); err == nil && len(values) == 3 {
		epoch, _ := values[0].(string)
		text, _ := values[1].(string)
		if sequence, err := strconv.ParseInt(text, 10, 64); err == nil {
			mark.Epoch, mark.Sequence = epoch, sequence
			mark.RecordedRunIDs, _ = values[2].(string)
		}
	}
	if isCluster {
		mark.RunIDs, err = c.runIDs(ctx, cluster)
	} else if text, infoErr := info.Result(); infoErr == nil {
		mark.RunIDs = runID(text)
	}
	return mark, err
}

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

// runID finds the run id in what INFO server answers.
func runID(info string) string {
	lines := bufio.NewScanner(strings.NewReader(info))
	for lines.Scan() {
		if id, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "run_id:"); ok {
			return id
		}
	}
	return ""
}

// SetWatermark notes how far the feed has come, and on which Redis: RunIDs become
// the noted ones.
func (c *Cache) SetWatermark(ctx context.Context, mark Watermark) error {
	return c.run(ctx, "set watermark", watermarkScript, []invocation{{c.keys.Watermark(), []any{mark.Epoch, mark.Sequence, mark.RunIDs}}})
}
