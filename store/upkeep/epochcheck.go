package upkeep

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"onhand/store/database"
	"onhand/store/outage"
	"onhand/store/rediscache"
)

const (
	// EpochCheckTimeout bounds one check.
	EpochCheckTimeout = 2 * time.Second
	// redisAwayChecks is how many checks in a row Redis must fail to count as away.
	// One late answer does not count.
	redisAwayChecks = 2
	// redisBackBypass is how long the cache is bypassed after Redis was away. The
	// relay retries every two seconds, and until then Redis has the values from
	// before the outage.
	redisBackBypass = 3 * time.Second
)

// MetaSource is the database's account of itself.
type MetaSource interface {
	ReadMeta(ctx context.Context) (database.Meta, error)
	// NewEpoch starts a new epoch unless the database has left the old one already.
	NewEpoch(ctx context.Context, old string) error
}

// WatermarkStore keeps the watermark in Redis.
type WatermarkStore interface {
	Watermark(ctx context.Context) (rediscache.Watermark, error)
	// CloseSeparated closes the connections to nodes of a cluster, where there is one, that do
	// not reach the others.
	CloseSeparated(ctx context.Context)
	// ConfirmMaster asks the Sentinels, where there are some, whether the master was replaced.
	ConfirmMaster(ctx context.Context)
	SetWatermark(ctx context.Context, watermark rediscache.Watermark) error
}

// BypassSwitch has all products read from the database for a while.
type BypassSwitch interface{ BypassAll(duration time.Duration) }

// Refresher delivers to subscribers what they watch, read again.
type Refresher interface{ Refresh() }

// EpochCheck notices a database or a Redis that went back in time: restored from
// a backup, replaced, or failed over without its last writes. It then starts a
// new epoch, so that no value of the lost time is used. It also keeps the
// directory up to date. Run it from one goroutine at a time.
type EpochCheck struct {
	Epoch       *CurrentEpoch
	Database    MetaSource
	Cache       WatermarkStore
	Directory   *DirectoryCache
	Reader      BypassSwitch
	Subscribers Refresher
	// Interval is the time between checks.
	Interval time.Duration
	// Outage logs whether the database can be reached; nil where nothing does.
	Outage *outage.Log
	Logger *slog.Logger

	sequence      int64 // of the database at the last check, in the current epoch
	redisFailures int   // checks in a row that Redis did not answer
}

// Run checks once.
func (c *EpochCheck) Run(parent context.Context) {
	ctx, cancel := context.WithTimeout(parent, EpochCheckTimeout)
	defer cancel()
	c.Cache.CloseSeparated(ctx) // first: such a node names masters that were replaced
	watermark, watermarkErr := c.Cache.Watermark(ctx)
	c.bypassAfterOutage(watermarkErr)
	if watermarkErr == nil {
		c.Cache.ConfirmMaster(ctx)
	}
	meta, err := c.Database.ReadMeta(ctx)
	c.noteDatabase(parent, err)
	if err != nil {
		return
	}
	if watermarkErr == nil && watermark.Epoch != meta.Epoch {
		// Another instance may have started an epoch between the two readings.
		watermark, watermarkErr = c.Cache.Watermark(ctx)
	}
	if reason := c.wentBack(watermark, watermarkErr, meta); reason != "" {
		c.Logger.Warn("starting a new epoch: everything cached is read again", "reason", reason)
		if err := c.Database.NewEpoch(ctx, meta.Epoch); err != nil {
			c.Logger.Error("the new epoch was not started", "error", err)
			return
		}
		if meta, err = c.Database.ReadMeta(ctx); err != nil {
			return
		}
	}
	known := c.Epoch.Epoch()
	changed := known != "" && known != meta.Epoch
	c.Epoch.set(meta.Epoch)
	c.sequence = meta.Sequence
	if watermarkErr == nil {
		watermark = rediscache.Watermark{Epoch: meta.Epoch, Sequence: meta.Sequence, RunIDs: watermark.RunIDs}
		if err := c.Cache.SetWatermark(ctx, watermark); err != nil {
			c.Logger.Debug("the watermark was not set", "error", err)
		}
	}
	if changed {
		c.Subscribers.Refresh() // they may have seen values of the lost time
	}
	c.Directory.Follow(ctx, meta.DirectoryVersion, changed)
}

// noteDatabase logs when the database begins to answer, or not to. At the end of the
// process nothing is asked.
func (c *EpochCheck) noteDatabase(ctx context.Context, err error) {
	switch {
	case c.Outage == nil || ctx.Err() != nil:
	case err != nil:
		c.Outage.Away(err)
	default:
		c.Outage.Back()
	}
}

// bypassAfterOutage keeps readers from a Redis that was away. When it is back it
// has missed the changes of the meantime, and a client that has read a new value
// from the database would see an older one. The relay repairs Redis first.
func (c *EpochCheck) bypassAfterOutage(err error) {
	if !errors.Is(err, rediscache.ErrDown) {
		c.redisFailures = 0
		return
	}
	if c.redisFailures++; c.redisFailures >= redisAwayChecks {
		c.Reader.BypassAll(redisBackBypass + c.Interval)
	}
}

// BypassReplaced keeps readers from a Redis that has replaced the one before, as from one
// that was away.
func (c *EpochCheck) BypassReplaced() { c.Reader.BypassAll(redisBackBypass + c.Interval) }

// wentBack returns what went back in time, as the reason for a new epoch; empty
// when nothing did.
func (c *EpochCheck) wentBack(watermark rediscache.Watermark, watermarkErr error, meta database.Meta) string {
	known := c.Epoch.Epoch()
	switch {
	case known == meta.Epoch && meta.Sequence < c.sequence:
		return "the database is older than this instance has seen it"
	case watermarkErr != nil:
		return ""
	case watermark.Epoch != meta.Epoch && (watermark.Epoch != "" || known != "" && known != meta.Epoch):
		// Neither Redis nor this instance knows the database's epoch as the latest. It
		// may be an earlier one that came back with a backup, and Redis may still have
		// values from after the backup.
		return "redis does not know the database's epoch (do two databases share one redis?)"
	case watermark.Epoch == "":
		return ""
	case meta.Sequence < watermark.Sequence:
		return "the database is older than the watermark in redis"
	case watermark.RecordedRunIDs != watermark.RunIDs:
		return "another redis server serves what the last one had saved"
	}
	return ""
}
