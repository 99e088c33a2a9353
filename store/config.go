package store

import (
	"log/slog"
	"time"

	"onhand/models/holderlimits"
	"onhand/store/database"
	"onhand/store/groupcommit"
)

// Config configures a Store. Zero values mean defaults, of this package or of the one that a
// setting is for, unless the setting says otherwise.
type Config struct {
	// DatabaseURL is postgres://…, sqlite:PATH or sqlite::memory:.
	DatabaseURL string
	// ListenURL is the postgres:// URL for notifications, past a pooler; empty for DatabaseURL.
	ListenURL string
	// ReplicaURL is the postgres:// URL of the read replicas, hot standbys in the order of
	// preference; empty for none. With it the next three settings have no defaults.
	// ReplicaConnections bounds the connections to each.
	ReplicaURL         string
	ReplicaConnections int
	// ReplicaLagMax is how long a read waits for a free connection to the replica, and then
	// again for it to replay what had committed when the read began; ReplicaTimeout bounds
	// the whole read there.
	ReplicaLagMax, ReplicaTimeout time.Duration
	// RedisURL is redis://… or rediss://…; empty for a Redis inside this process.
	RedisURL string
	// ReservationTTL is the time to live of a reservation that asks for none.
	ReservationTTL time.Duration
	// ReservationTTLMax is the longest time to live that a reservation may ask for.
	ReservationTTLMax time.Duration
	// HolderLimits bound what holders of reservations keep. The zero value has none.
	HolderLimits holderlimits.Limits
	// RedisTimeout bounds one round trip to Redis.
	RedisTimeout time.Duration
	// HashTTL is how long a product stays in Redis after its last fill or change.
	HashTTL time.Duration
	// NearCacheBytes bounds the memory of the near cache. 0 switches it off.
	NearCacheBytes int64
	// SweepInterval is how often reservations past their time are ended.
	SweepInterval time.Duration
	// EpochCheckInterval is how often epoch, directory and watermark are checked.
	EpochCheckInterval time.Duration
	// AuditInterval is how often the sampled audit takes a step.
	AuditInterval time.Duration
	// KeyPrefix begins every Redis key. It separates shops, or tests, in one Redis.
	KeyPrefix string
	// GroupCommit switches optimisations of the write path off, for benchmarks.
	GroupCommit groupcommit.CommitterSwitches
	// Database switches optimisations of the database off, for benchmarks.
	Database database.Switches
	Logger   *slog.Logger
}

// Defaults of Config.
const (
	reservationTTLDefault     = 15 * time.Minute
	reservationTTLMaxDefault  = 24 * time.Hour
	sweepIntervalDefault      = 500 * time.Millisecond
	epochCheckIntervalDefault = time.Second
	auditIntervalDefault      = time.Second
)

func (c *Config) setDefaults() {
	c.ReservationTTL = orDefault(c.ReservationTTL, reservationTTLDefault)
	c.ReservationTTLMax = orDefault(c.ReservationTTLMax, reservationTTLMaxDefault)
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
