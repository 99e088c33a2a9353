package rediscache

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
)

const (
	// ttlDefault is how long an unread, unchanged hash stays: long enough that a
	// shop's catalogue stays warm, short enough that what is no longer sold goes.
	ttlDefault = 10 * time.Minute
	// negativeTTLDefault is how long an unknown id stays unknown: it only has to
	// outlast a burst of requests for it.
	negativeTTLDefault = 5 * time.Second
	// timeoutDefault bounds a round trip. It is far above what a healthy Redis
	// takes and far below what a shopper notices.
	timeoutDefault = 150 * time.Millisecond
	// ttlJitter spreads expiry, so that what was filled together does not miss
	// together.
	ttlJitter = 0.1
	// PipelineMax is how many plain commands one pipeline carries, which bounds what
	// one round trip holds in memory on either side.
	PipelineMax = 1000
	// ScriptsMax is how many scripts one pipeline carries. A script takes a real
	// Redis some 20 µs and the embedded one 300 µs, so that a pipeline stays well
	// within timeoutDefault on either; more than that is several round trips.
	ScriptsMax = 100
	// failuresMax is how many round trips in a row may fail before the breaker
	// opens: with timeoutDefault less than half a second on a frozen Redis.
	failuresMax = 3
	// openFor is how long the breaker stays open before one call may try again: a
	// Redis that is back is used that much later at most, and one that hangs costs
	// one caller so often its timeoutDefault.
	openFor = 500 * time.Millisecond
)

// ErrDown says that Redis cannot be reached or does not answer in time. While
// the breaker is open it is returned at once.
var ErrDown = errors.New("redis is down")

// Config is what a Cache needs; zero durations and a nil Logger mean defaults.
type Config struct {
	// Reader is used for reads. Writer, for scripts, must not resend what it
	// has no answer to. NewClients makes both.
	Reader, Writer redis.UniversalClient
	// TTL and NegativeTTL are how long a hash lives, give or take a tenth.
	TTL, NegativeTTL time.Duration
	// Timeout bounds each round trip.
	Timeout   time.Duration
	Logger    *slog.Logger
	KeyPrefix string
	// OnRecovered, where not nil, is called when Redis answers again after the breaker was
	// open. It must not block.
	OnRecovered func()
}

// Cache is the copy of the stock in Redis. It is safe for concurrent use and
// has no goroutine of its own.
type Cache struct {
	reader, writer   redis.UniversalClient
	keys             Keys
	ttl, negativeTTL time.Duration
	timeout          time.Duration
	logger           *slog.Logger
	breaker          *gobreaker.CircuitBreaker[struct{}]
	counts           counts
	leasePrefix      string // tells this process's leases from others'
	leases           atomic.Int64
}

type counts struct {
	hits, negativeHits, misses atomic.Int64
	fills, applies             atomic.Int64
	roundTrips, failures       atomic.Int64
	refusals                   atomic.Int64
}

// Stats counts since New.
type Stats struct {
	// Hits, NegativeHits and Misses count products asked of Get.
	Hits, NegativeHits, Misses int64
	// Fills and Applies count products sent, whether or not they were news.
	Fills, Applies int64
	// RoundTrips counts pipelines sent; Failures, those that Redis did not
	// answer; Refusals, the calls that the open breaker answered.
	RoundTrips, Failures, Refusals int64
}

// New makes a Cache. It does not speak to Redis yet: a Redis that is down at
// start is no different from one that goes down later.
func New(cfg Config) *Cache {
	c := &Cache{
		reader: cfg.Reader, writer: cfg.Writer, keys: Keys{Prefix: cfg.KeyPrefix},
		ttl: cfg.TTL, negativeTTL: cfg.NegativeTTL, timeout: cfg.Timeout, logger: cfg.Logger,
		leasePrefix: crand.Text()[:leasePrefixLength],
	}
	if c.ttl <= 0 {
		c.ttl = ttlDefault
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
	c.breaker = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         "redis",
		Timeout:      openFor,
		ReadyToTrip:  func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= failuresMax },
		IsSuccessful: func(err error) bool { return !errors.Is(err, ErrDown) },
		IsExcluded:   func(err error) bool { return errors.Is(err, errCallerGone) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			if to != gobreaker.StateHalfOpen && from != to {
				c.logger.Warn("redis circuit breaker", "from", from.String(), "to", to.String())
			}
			if to == gobreaker.StateClosed && cfg.OnRecovered != nil {
				cfg.OnRecovered()
			}
		},
	})
	return c
}

// Keys gives the names this cache uses, for whoever subscribes to its channels.
func (c *Cache) Keys() Keys { return c.keys }

// Healthy tells whether calls are let through to Redis.
func (c *Cache) Healthy() bool { return c.breaker.State() == gobreaker.StateClosed }

// Stats returns the counters.
func (c *Cache) Stats() Stats {
	return Stats{
		Hits: c.counts.hits.Load(), NegativeHits: c.counts.negativeHits.Load(), Misses: c.counts.misses.Load(),
		Fills: c.counts.fills.Load(), Applies: c.counts.applies.Load(),
		RoundTrips: c.counts.roundTrips.Load(), Failures: c.counts.failures.Load(),
		Refusals: c.counts.refusals.Load(),
	}
}

// errCallerGone marks a round trip that ended because its caller did not wait:
// that says nothing about Redis.
var errCallerGone = errors.New("caller gone")

// callerGone tells whether a trip failed for its caller's sake: the caller
// cancelled before the limit, or came with so little time left that Redis had
// less than half of the limit.
func callerGone(ctx context.Context, took, limit time.Duration) bool {
	if errors.Is(ctx.Err(), context.Canceled) {
		return took < limit
	}
	return ctx.Err() != nil && took < limit/2
}

// roundTrip runs do within the time limit and the circuit breaker. Errors that
// Redis answered single commands with are do's to look at; what do returns
// must be the error of the trip as a whole.
func (c *Cache) roundTrip(ctx context.Context, what string, do func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	_, err := c.breaker.Execute(func() (struct{}, error) {
		c.counts.roundTrips.Add(1)
		began := time.Now()
		bounded, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		err := do(bounded)
		switch {
		case !unreachable(err):
			return struct{}{}, err
		case callerGone(ctx, time.Since(began), c.timeout):
			return struct{}{}, fmt.Errorf("%w: %w", errCallerGone, ctx.Err())
		}
		c.counts.failures.Add(1)
		c.doubtTopology(ctx)
		return struct{}{}, fmt.Errorf("%w: %w", ErrDown, err)
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		c.counts.refusals.Add(1)
		c.doubtTopology(ctx)
		err = ErrDown
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// doubtTopology has the clients of a cluster ask who serves what: after a call
// that failed, somebody else may; and with the breaker open its next try, soon
// after, should know. It waits for nothing, and asks at most five times a second,
// as the library has it.
func (c *Cache) doubtTopology(ctx context.Context) {
	for _, client := range []redis.UniversalClient{c.reader, c.writer} {
		if cluster, is := client.(*redis.ClusterClient); is {
			cluster.ReloadState(ctx)
		}
	}
}

// notServing begins the answers of a Redis that is there but cannot serve:
// starting, failing over, full of clients, or not letting us in.
var notServing = []string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS",
	"max number of clients", "NOAUTH", "WRONGPASS", "MISCONF"}

// unreachable tells a failure of Redis from an answer of Redis.
func unreachable(err error) bool {
	if err == nil {
		return false
	}
	var answer redis.Error
	if !errors.As(err, &answer) {
		return true
	}
	for _, prefix := range notServing {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// pipeline sends the commands that queue adds in one round trip. It fails only
// when the trip did; what single commands were answered is in the commands.
func (c *Cache) pipeline(ctx context.Context, client redis.UniversalClient, what string, queue func(redis.Pipeliner)) error {
	return c.roundTrip(ctx, what, func(ctx context.Context) error {
		p := client.Pipeline()
		queue(p)
		if p.Len() == 0 {
			return nil
		}
		commands, err := p.Exec(ctx)
		if err == nil {
			return nil
		}
		// Exec returns the first error of any command; one that was answered must
		// not hide one that was not.
		for _, command := range commands {
			if e := command.Err(); unreachable(e) {
				return e
			}
		}
		if unreachable(err) {
			return err
		}
		return nil
	})
}

// jittered moves a time to live by up to a tenth, in milliseconds.
func jittered(ttl time.Duration) int64 {
	factor := 1 + ttlJitter*(2*rand.Float64()-1)
	return max(1, int64(float64(ttl.Milliseconds())*factor))
}
