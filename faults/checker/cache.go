package checker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"onhand/faults/load"
	"onhand/faults/process"
	"onhand/faults/wait"
)

// CacheLimit is how long Redis may differ from the database once all faults are healed.
const CacheLimit = 2 * time.Second

// CheckCache is I7: within limit Redis has of every product what the database has, and it was never ahead of it.
func (c *Checker) CheckCache(limit time.Duration) {
	c.T.Helper()
	began := time.Now()
	wrong := c.AwaitCache(limit)
	c.Report("I7: Redis differs from the database after "+limit.String(), wrong)
	if len(wrong) == 0 {
		c.T.Logf("Redis equals the database after %s", time.Since(began).Round(time.Millisecond))
	}
	found := c.monitor.Findings()
	if !c.Tolerance.Unreplicated {
		c.Report("I7", found.Ahead)
	}
	if !c.Tolerance.RedisEmptied {
		c.Report("I7", found.Back)
	}
	if found.Comparisons == 0 {
		c.T.Error("I7: Redis was never compared with the database")
	}
}

// AwaitCache waits until Redis equals the database, and lists what differs after limit.
func (c *Checker) AwaitCache(limit time.Duration) (wrong []string) {
	wait.Within(limit, func() bool {
		wrong = c.CacheFaults()
		return len(wrong) == 0
	})
	return wrong
}

// CacheFaults reads all products through every instance, fills Redis with those that it lacks, and compares it with the
// database.
func (c *Checker) CacheFaults() (wrong []string) {
	ctx, cancel := reading()
	defer cancel()
	for _, i := range c.serving() {
		if err := c.fill(ctx, i); err != nil {
			return []string{i.Name + ": " + err.Error()}
		}
	}
	stored, cached, err := c.compare()
	if err != nil {
		return []string{err.Error()}
	}
	for _, id := range c.Target.Products {
		switch inRedis, found := cached[id]; {
		case !found:
			wrong = append(wrong, id+" is not in Redis, although it was read just now")
		case inRedis != stored[id]:
			wrong = append(wrong, differs(id, inRedis, stored[id]))
		}
	}
	return wrong
}

// fill reads all products through an instance, and the limited one, of which Redis may have another epoch's value. Those
// that Redis lacks it reads past the near cache too, which may have answered.
func (c *Checker) fill(ctx context.Context, i *process.Instance) error {
	var page load.PageData
	if err := c.Target.Client.Ask(ctx, i.URL(), load.PageDocument, map[string]any{"ids": append(slices.Clone(c.Target.Products), load.LimitedProduct)}, &page); err != nil {
		return err
	}
	_, cached, err := c.compare()
	for _, id := range c.Target.Products {
		if _, found := cached[id]; err == nil && !found {
			err = c.Target.Client.Ask(ctx, i.URL(), load.PrimaryDocument, map[string]any{"id": id}, &struct{}{})
		}
	}
	return err
}

// CacheContradictions lists products that Redis has and that differ from the database. Redis need not have every product.
func (c *Checker) CacheContradictions() (wrong []string) {
	stored, cached, err := c.compare()
	if err != nil {
		return []string{err.Error()}
	}
	for id, inRedis := range cached {
		if inRedis != stored[id] {
			wrong = append(wrong, differs(id, inRedis, stored[id]))
		}
	}
	return wrong
}

func (c *Checker) compare() (stored, cached map[string]ProductState, err error) {
	ctx, cancel := reading()
	defer cancel()
	stored, epoch, err := c.Stored(ctx)
	if err == nil {
		cached, err = c.Cached(ctx, epoch)
	}
	return stored, cached, err
}

func differs(id string, inRedis, stored ProductState) string {
	return fmt.Sprintf("%s is %+v in Redis, and %+v in the database", id, inRedis, stored)
}
