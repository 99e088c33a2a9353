package store

import (
	"log/slog"
	"time"

	"onhand/store/database"
	"onhand/store/groupcommit"
)

// Config configures a Store. Zero values mean defaults.
type Config struct {
	// DatabaseURL is postgres://…, sqlite:PATH or sqlite::memory:.
	DatabaseURL string
	// RedisURL is redis://… or rediss://…; empty for a Redis inside this process.
	RedisURL string
	// TTLDefault is the time to live of a reservation that asks for none.
	TTLDefault time.Duration
	// TTLMax is the longest time to live that a reservation may ask for.
	TTLMax time.Duration
	// RedisTimeout bounds one round trip to Redis.
	RedisTimeout time.Duration
	// CacheTTL is how long a product stays in Redis without a read or a change.
	CacheTTL time.Duration
	// SweepInterval is how often reservations past their time are ended.
	SweepInterval time.Duration
	// EpochCheckInterval is how often epoch, directory and watermark are checked.
	EpochCheckInterval time.Duration
	// AuditInterval is how often the sampled audit takes a step.
	AuditInterval time.Duration
	// KeyPrefix begins every Redis key. It separates shops, or tests, in one Redis.
	KeyPrefix string
	// GroupCommit switches optimisations of the write path off, for benchmarks.
	GroupCommit groupcommit.Config
	// Database switches optimisations of the database off, for benchmarks.
	Database database.Switches
	Logger   *slog.Logger
}

// Defaults of Config.
const (
	ttlDefaultDefault         = 15 * time.Minute
	ttlMaxDefault             = 24 * time.Hour
	cacheTTLDefault           = 10 * time.Minute
	sweepIntervalDefault      = 500 * time.Millisecond
	epochCheckIntervalDefault = time.Second
	auditIntervalDefault      = time.Second
)

func (c *Config) setDefaults() {
	c.TTLDefault = orDefault(c.TTLDefault, ttlDefaultDefault)
	c.TTLMax = orDefault(c.TTLMax, ttlMaxDefault)
	c.CacheTTL = orDefault(c.CacheTTL, cacheTTLDefault)
	c.SweepInterval = orDefault(c.SweepInterval, sweepIntervalDefault)
	c.EpochCheckInterval = orDefault(c.EpochCheckInterval, epochCheckIntervalDefault)
	c.AuditInterval = orDefault(c.AuditInterval, auditIntervalDefault)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}
