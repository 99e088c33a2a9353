package rediscache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"onhand/tracing"
)

const (
	// failuresMax is how many round trips in a row may fail before the breaker
	// opens. With timeoutDefault a frozen Redis is given up after half a second.
	failuresMax = 3
	// breakerOpenTimeout is how long the breaker stays open before one call may
	// try Redis again. It bounds how late a recovered Redis is used, and how often
	// a caller waits CacheConfig.Timeout for a Redis that hangs.
	breakerOpenTimeout = 500 * time.Millisecond
)

// newBreaker makes the circuit breaker of c. It counts only ErrDown as a failure,
// and does not count round trips that the caller gave up. While it is open or tries,
// Redis counts as away.
func (c *Cache) newBreaker(onRecovered func()) *gobreaker.CircuitBreaker[struct{}] {
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         "redis",
		Timeout:      breakerOpenTimeout,
		ReadyToTrip:  func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= failuresMax },
		IsSuccessful: func(err error) bool { return !errors.Is(err, ErrDown) },
		IsExcluded:   func(err error) bool { return errors.Is(err, errCallerGone) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				c.outage.Away(c.lastFailure())
			case gobreaker.StateClosed:
				c.outage.Back()
				if onRecovered != nil {
					onRecovered()
				}
			}
		},
	})
}

// errCallerGone marks a round trip that ended because its caller gave up. Such
// a round trip says nothing about Redis.
var errCallerGone = errors.New("caller gone")

// callerGone reports whether a failed round trip is the caller's doing: the
// caller cancelled before the limit, or its deadline left Redis less than half
// of the limit.
func callerGone(ctx context.Context, took, limit time.Duration) bool {
	if errors.Is(ctx.Err(), context.Canceled) {
		return took < limit
	}
	return ctx.Err() != nil && took < limit/2
}

// roundTrip runs send within the time limit and through the circuit breaker.
// The error of send must be that of the round trip as a whole; send handles the
// errors with which Redis answered single commands.
func (c *Cache) roundTrip(ctx context.Context, op string, send func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	ctx, span := tracing.Start(ctx, op)
	defer span.End()
	span.Text("db.system.name", "redis")
	_, err := c.breaker.Execute(func() (struct{}, error) {
		return struct{}{}, c.timedRoundTrip(ctx, send)
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		c.counters.refusals.Add(1)
		c.reloadTopology(ctx)
		err = ErrDown
	}
	if err != nil {
		span.Fail("no answer")
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// timedRoundTrip runs send within the time limit and classifies its failure.
func (c *Cache) timedRoundTrip(ctx context.Context, send func(context.Context) error) error {
	c.counters.roundTrips.Add(1)
	start := time.Now()
	bounded, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err := send(bounded)
	switch {
	case !isUnavailable(err):
		return err
	case callerGone(ctx, time.Since(start), c.timeout):
		return fmt.Errorf("%w: %w", errCallerGone, ctx.Err())
	}
	c.counters.failures.Add(1)
	c.reloadTopology(ctx)
	err = fmt.Errorf("%w: %w", ErrDown, err)
	c.failure.Store(&err)
	return err
}

// lastFailure is why the last round trip failed that Redis did not answer.
func (c *Cache) lastFailure() error {
	if err := c.failure.Load(); err != nil {
		return *err
	}
	return ErrDown
}

// reloadTopology makes the clients of a cluster ask which node serves which
// slots. After a failed call another node may serve them, and the next attempt
// of the open breaker should know. It does not wait; go-redis limits it to five
// reloads a second.
func (c *Cache) reloadTopology(ctx context.Context) {
	for _, client := range []redis.UniversalClient{c.reader, c.writer} {
		if cluster, ok := client.(*redis.ClusterClient); ok {
			cluster.ReloadState(ctx)
		}
	}
}

// unavailablePrefixes begin the error replies of a Redis that runs but cannot
// serve: it is starting, failing over, out of connections, or refuses our login.
var unavailablePrefixes = []string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS",
	"max number of clients", "NOAUTH", "WRONGPASS", "MISCONF"}

// isUnavailable reports whether err means that Redis did not serve, as opposed to
// an error reply to one command.
func isUnavailable(err error) bool {
	if err == nil {
		return false
	}
	var reply redis.Error
	if !errors.As(err, &reply) {
		return true
	}
	for _, prefix := range unavailablePrefixes {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}
