package rediscache

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"onhand/models"
)

// unpublishedVersion is lower than every version.
const unpublishedVersion = -1

// Unpublished returns the products, each once, for which Redis does not show
// that the change or a later one was published in that epoch. It takes one
// round trip for each PipelineMax changes.
func (c *Cache) Unpublished(ctx context.Context, changes []models.Change, epoch string) ([]string, error) {
	var unpublished []string
	listed := make(map[string]bool)
	for chunk := range slices.Chunk(changes, PipelineMax) {
		replies := make([]*redis.SliceCmd, len(chunk))
		err := c.pipeline(ctx, c.reader, "compare versions", func(p redis.Pipeliner) {
			for i, change := range chunk {
				replies[i] = p.HMGet(ctx, c.keys.Stock(change.ProductID), fieldEpoch, fieldPublished)
			}
		})
		if err != nil {
			return nil, err
		}
		for i, change := range chunk {
			if !listed[change.ProductID] && publishedVersion(replies[i], epoch) < change.Version {
				listed[change.ProductID] = true
				unpublished = append(unpublished, change.ProductID)
			}
		}
	}
	return unpublished, nil
}

// publishedVersion is the version that was published in that epoch.
func publishedVersion(reply *redis.SliceCmd, epoch string) int64 {
	values, err := reply.Result()
	if err != nil || len(values) != 2 || values[0] != any(epoch) {
		return unpublishedVersion
	}
	text, _ := values[1].(string)
	version, ok := parseVersion(text)
	if !ok {
		return unpublishedVersion
	}
	return version
}

// PublishReservations notifies the watchers of these reservations. The messages
// are empty, because the id of a reservation is the permission to read it; the
// watchers read its contents from the database. It takes one round trip for
// each PipelineMax ids.
func (c *Cache) PublishReservations(ctx context.Context, ids []string) error {
	return c.writeEach(ctx, "publish reservations", ids, func(p redis.Pipeliner, id string) *redis.Cmd {
		return p.Do(ctx, "publish", c.keys.ReservationChannel(id), "")
	})
}

// PublishDirectory notifies all instances that locations or channels have changed.
func (c *Cache) PublishDirectory(ctx context.Context) error {
	return c.pipeline(ctx, c.writer, "publish directory", func(p redis.Pipeliner) {
		p.Publish(ctx, c.keys.DirectoryChannel(), "")
	})
}
