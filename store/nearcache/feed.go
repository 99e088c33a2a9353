package nearcache

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"onhand/store/backoff"
)

const (
	// topologyCheckInterval is how often the masters of a cluster are listed.
	topologyCheckInterval = time.Second
	// feedReconnectMin and feedReconnectMax bound the wait before the next attempt.
	feedReconnectMin = 50 * time.Millisecond
	feedReconnectMax = time.Second
)

// errTopologyChanged ends the sessions of a cluster whose masters have changed.
var errTopologyChanged = errors.New("the masters of the cluster have changed")

// feedHandler receives what a changeFeed reads. Its methods must not block.
type feedHandler interface {
	// opened says that Redis sends all changes from now on.
	opened()
	// message says that a product has changed. payload is what was published.
	message(productID, payload string)
	// closed says that changes may be missing from now on. It is called after opened.
	closed()
}

// changeFeed follows the changes of all products.
//
// In a cluster it has a session with every master: a node passes messages on to the
// others, but no answer to a ping says that it has.
type changeFeed struct {
	client          redis.UniversalClient
	pattern, prefix string // of the channels
	handler         feedHandler
	clock           func() instant
	logger          *slog.Logger

	sessions    atomic.Pointer[[]*feedSession] // all of them must be fresh; nil: none is open
	connections atomic.Int64
	messages    atomic.Int64
}

func newChangeFeed(config NearCacheConfig, handler feedHandler) *changeFeed {
	prefix := config.StockChannel("")
	logger := config.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &changeFeed{client: config.Client, prefix: prefix, pattern: globQuote(prefix) + "*", handler: handler, clock: config.clock, logger: logger}
}

// globQuote quotes the special characters of a Redis pattern.
func globQuote(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}

// fresh reports whether every session answered a ping that was sent less than freshMax
// ago.
func (f *changeFeed) fresh(now instant) bool {
	sessions := f.sessions.Load()
	if sessions == nil {
		return false
	}
	for _, session := range *sessions {
		sent := session.answered.Load()
		if sent == nil || !now.within(freshMax, *sent) {
			return false
		}
	}
	return true
}

// run keeps the feed open until ctx ends.
func (f *changeFeed) run(ctx context.Context) {
	wait := backoff.Backoff{Min: feedReconnectMin, Max: feedReconnectMax}
	reported := false
	for ctx.Err() == nil {
		before := f.connections.Load()
		servers, err := f.servers(ctx)
		if err == nil {
			err = f.follow(ctx, servers)
		}
		if ctx.Err() != nil {
			return
		}
		if f.connections.Load() > before {
			wait.Reset()
			reported = false
		}
		if !reported {
			reported = true
			f.logger.Info("the near cache lost its feed", "error", err)
		}
		timer := time.NewTimer(wait.Next())
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// servers lists the masters by their addresses.
func (f *changeFeed) servers(ctx context.Context) (map[string]redis.UniversalClient, error) {
	servers := map[string]redis.UniversalClient{}
	cluster, ok := f.client.(*redis.ClusterClient)
	if !ok {
		servers[""] = f.client
		return servers, nil
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var mu sync.Mutex
	err := cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		servers[node.Options().Addr] = node
		return nil
	})
	if err == nil && len(servers) == 0 {
		err = errors.New("the cluster has no master")
	}
	return servers, err
}

// follow has a session with each server until the first one fails.
func (f *changeFeed) follow(ctx context.Context, servers map[string]redis.UniversalClient) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sessions := make([]*feedSession, 0, len(servers))
	var running, unconfirmed sync.WaitGroup
	for _, client := range servers {
		session := &feedSession{feed: f, client: client}
		sessions = append(sessions, session)
		unconfirmed.Add(1)
		confirmed := sync.OnceFunc(unconfirmed.Done)
		running.Go(func() {
			cancel(session.run(ctx, confirmed)) // the first cause counts
			confirmed()
		})
	}
	unconfirmed.Wait()
	if ctx.Err() == nil {
		f.connections.Add(1)
		f.sessions.Store(&sessions)
		f.handler.opened()
		f.awaitChange(ctx, servers, cancel)
		running.Wait()
		f.sessions.Store(nil)
		f.handler.closed()
	}
	running.Wait()
	return context.Cause(ctx)
}

// awaitChange waits until a session ends, or the masters have changed.
func (f *changeFeed) awaitChange(ctx context.Context, servers map[string]redis.UniversalClient, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(topologyCheckInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if now, err := f.servers(ctx); err == nil && !maps.EqualFunc(now, servers, func(a, b redis.UniversalClient) bool { return a == b }) {
			cancel(errTopologyChanged)
			return
		}
	}
}
