package rediscache

import (
	crand "crypto/rand"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"onhand/store/outage"
)

const (
	// hashTTLDefault keeps the catalogue of a shop cached. It drops products that are
	// neither read nor changed any more.
	hashTTLDefault = 10 * time.Minute
	// negativeTTLDefault outlasts a burst of requests for an unknown id.
	negativeTTLDefault = 5 * time.Second
	// ttlJitter spreads expiry, so that hashes filled together do not expire
	// together.
	ttlJitter = 0.1
	// timeoutDefault is far more than a healthy Redis needs for a round trip, and
	// far less than a shopper notices.
	timeoutDefault = 150 * time.Millisecond
)

// ErrDown says that Redis cannot be reached or did not answer in time. While
// the circuit breaker is open every call returns it at once.
var ErrDown = errors.New("redis is down")

// CacheConfig configures a Cache. Zero durations and a nil Logger mean defaults.
type CacheConfig struct {
	// Reader serves reads. Writer serves writes and must not retry a command
	// whose answer was lost. NewClients makes both.
	Reader, Writer redis.UniversalClient
	// TTL and NegativeTTL are the times to live of a hash and of a negative
	// entry, give or take a tenth.
	TTL, NegativeTTL time.Duration
	// Timeout bounds each round trip.
	Timeout   time.Duration
	Logger    *slog.Logger
	KeyPrefix string
	// OnRecovered, unless nil, is called when the circuit breaker closes again.
	// It must not block.
	OnRecovered func()
	// OnReplaced, unless nil, is called when the Sentinels or the nodes of a cluster have
	// named a new master, before anything is read from it: it may lack the last writes. It
	// must not block.
	OnReplaced func()
	// OnAhead, unless nil, is called when Redis refuses a write because the hash has
	// a newer version of the same epoch. It must not block.
	OnAhead func(productID, epoch string, version int64)
}

// Cache reads and writes the stock in Redis. It is safe for concurrent use and
// has no goroutine of its own.
type Cache struct {
	reader, writer   redis.UniversalClient
	servers          [2]*servers // of both
	keys             Keys
	ttl, negativeTTL time.Duration
	timeout          time.Duration
	logger           *slog.Logger
	breaker          *gobreaker.CircuitBreaker[struct{}]
	outage           *outage.Log
	failure          atomic.Pointer[error] // of the last round trip that Redis did not answer
	counters         counters
	onAhead          func(productID, epoch string, version int64)
	leasePrefix      string // tells the leases of this instance from those of others
	leases           atomic.Int64
}

type counters struct {
	hits, negativeHits, misses atomic.Int64
	fills, applies             atomic.Int64
	roundTrips, failures       atomic.Int64
	refusals                   atomic.Int64
}

// Stats counts events since New.
type Stats struct {
	// Hits, NegativeHits and Misses count the products that Get was asked for.
	Hits, NegativeHits, Misses int64
	// Fills and Applies count the products that were sent to Redis, whether or
	// not Redis had a newer version.
	Fills, Applies int64
	// RoundTrips counts the pipelines that were sent, and Failures those that
	// Redis did not answer. Refusals counts the calls that the open circuit
	// breaker answered.
	RoundTrips, Failures, Refusals int64
}

// New makes a Cache. It does not connect: a Redis that is down now is handled
// like one that goes down later.
func New(cfg CacheConfig) *Cache {
	c := &Cache{
		reader: cfg.Reader, writer: cfg.Writer, keys: Keys{Prefix: cfg.KeyPrefix},
		ttl: cfg.TTL, negativeTTL: cfg.NegativeTTL, timeout: cfg.Timeout, logger: cfg.Logger, onAhead: cfg.OnAhead,
		leasePrefix: crand.Text()[:leasePrefixLength],
	}
	if c.ttl <= 0 {
		c.ttl = hashTTLDefault
	}
	if c.negativeTTL <= 0 {
		c.negativeTTL = negativeTTLDefault
	}
	if c.timeout <= 0 {
		c.timeout = timeoutDefault
	}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	c.outage = outage.New("redis", c.logger, func() int64 { return c.counters.failures.Load() + c.counters.refusals.Load() })
	c.breaker = c.newBreaker(cfg.OnRecovered)
	c.servers = [2]*servers{followServers(c.reader, cfg.OnReplaced), followServers(c.writer, cfg.OnReplaced)}
	return c
}

// Stop ends the log of outages. Calls go on working.
func (c *Cache) Stop() { c.outage.Stop() }

// Keys returns the names of this cache's keys and channels.
func (c *Cache) Keys() Keys { return c.keys }

// Healthy reports whether the circuit breaker is closed.
func (c *Cache) Healthy() bool { return c.breaker.State() == gobreaker.StateClosed }

// Stats returns the counters.
func (c *Cache) Stats() Stats {
	n := &c.counters
	return Stats{
		Hits: n.hits.Load(), NegativeHits: n.negativeHits.Load(), Misses: n.misses.Load(),
		Fills: n.fills.Load(), Applies: n.applies.Load(),
		RoundTrips: n.roundTrips.Load(), Failures: n.failures.Load(), Refusals: n.refusals.Load(),
	}
}

// jitteredMillis moves a time to live by up to ttlJitter, in milliseconds.
func jitteredMillis(ttl time.Duration) int64 {
	factor := 1 + ttlJitter*(2*rand.Float64()-1)
	return max(1, int64(float64(ttl.Milliseconds())*factor))
}
