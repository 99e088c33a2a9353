package stockfeed

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"onhand/store/backoff"
)

const (
	// channelsMax is how many channels one SUBSCRIBE or UNSUBSCRIBE has.
	channelsMax = 1000
	// commandTimeout bounds connecting, and writing one command.
	commandTimeout = time.Second
	// silentPingsMax is how many intervals may pass without a reply to a ping.
	// Redis replies at once, so that the connection is dead after two, even if TCP
	// has not noticed.
	silentPingsMax = 2.5
	// loneGap is how long nothing came before a lone message. The goroutine that reads has
	// time for its frame then; while messages follow each other, workers write frames
	// beside it.
	loneGap = time.Millisecond
	// reconnectMin and reconnectMax bound the wait before the next connection.
	reconnectMin = 50 * time.Millisecond
	reconnectMax = time.Second
)

// channelHandler receives what a subscriber reads. Its methods are called from
// the goroutine that reads the connection, and must not block.
type channelHandler interface {
	// channels lists every channel to subscribe to after a reconnect.
	channels() []string
	// confirmed says that Redis now sends the messages of the channel. Messages
	// published before may be missing.
	confirmed(channel string)
	// message delivers one message. lone: none came shortly before it.
	message(channel, payload string, lone bool)
	// disconnected says that the connection, and with it every subscription, has
	// ended.
	disconnected()
}

// subscriber keeps channels subscribed on one Redis connection, and reconnects.
//
// It does not use go-redis's own channel of messages, for three reasons seen in
// v9.23.0. Its health check sends pings but does not check the replies, so that
// a half-open connection goes unnoticed until TCP gives up. It reconnects
// silently. It drops messages while its buffer is full. Here every connection
// is a session: any error or silence ends it, and the next one confirms every
// channel again.
type subscriber struct {
	client       redis.UniversalClient
	pingInterval time.Duration
	handler      channelHandler
	logger       *slog.Logger

	mu      sync.Mutex
	pending map[string]bool // by channel: true to subscribe, false to unsubscribe
	wake    chan struct{}

	connected   atomic.Bool
	received    atomic.Pointer[activity] // of the current session
	connections atomic.Int64
	messages    atomic.Int64
}

func newSubscriber(client redis.UniversalClient, pingInterval time.Duration, handler channelHandler, logger *slog.Logger) *subscriber {
	return &subscriber{
		client: client, pingInterval: pingInterval, handler: handler, logger: logger,
		pending: make(map[string]bool), wake: make(chan struct{}, 1),
	}
}

// subscribe and unsubscribe queue commands; they do not block. The last one for
// a channel wins, so that the number of channels bounds the queue.
func (s *subscriber) subscribe(channels ...string)   { s.queue(channels, true) }
func (s *subscriber) unsubscribe(channels ...string) { s.queue(channels, false) }

func (s *subscriber) queue(channels []string, subscribe bool) {
	if len(channels) == 0 {
		return
	}
	s.mu.Lock()
	for _, channel := range channels {
		s.pending[channel] = subscribe
	}
	s.mu.Unlock()
	signal(s.wake)
}

// run keeps a session open until ctx ends.
func (s *subscriber) run(ctx context.Context) {
	wait := backoff.Backoff{Min: reconnectMin, Max: reconnectMax}
	var reported bool
	for ctx.Err() == nil {
		before := s.connections.Load()
		err := s.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if s.connections.Load() > before {
			wait.Reset()
			reported = false
		}
		if !reported {
			reported = true
			s.logger.Warn("redis subscription lost", "error", err)
		}
		if !sleep(ctx, wait.Next()) {
			return
		}
	}
}

// errSilent ends a session in which Redis does not reply to pings.
var errSilent = errors.New("no reply to pings")

// activity is when a connection last received something, on the monotonic
// clock.
type activity struct {
	start time.Time
	last  atomic.Int64 // nanoseconds since start
}

func (a *activity) touch() { a.last.Store(int64(time.Since(a.start))) }

func (a *activity) idle() time.Duration { return time.Since(a.start) - time.Duration(a.last.Load()) }

// silence is how long ago the connection last received something; very long without a
// connection.
func (s *subscriber) silence() time.Duration {
	received := s.received.Load()
	if received == nil || !s.connected.Load() {
		return time.Duration(math.MaxInt64)
	}
	return received.idle()
}

// session connects, subscribes to all channels, and serves until an error.
func (s *subscriber) session(ctx context.Context) error {
	// The list of channels below includes what is pending now.
	s.mu.Lock()
	clear(s.pending)
	s.mu.Unlock()

	ps := s.client.Subscribe(ctx)
	defer func() { _ = ps.Close() }()
	if err := s.command(ctx, func(ctx context.Context) error { return ps.Ping(ctx) }); err != nil {
		return err
	}
	received := &activity{start: time.Now()}
	s.received.Store(received)
	failed := make(chan error, 1)
	go func() { failed <- s.read(ctx, ps, received) }()
	err := s.sendSubscribe(ctx, ps, s.handler.channels())
	if err == nil {
		if s.connections.Add(1) > 1 {
			s.logger.Info("redis subscription restored")
		}
		s.connected.Store(true)
		err = s.serve(ctx, ps, received, failed)
	}
	s.connected.Store(false)
	_ = ps.Close() // ends read
	<-failed
	s.handler.disconnected()
	return err
}

// serve sends pending commands and checks the connection until it fails. It
// puts the error of read back, because session waits for it.
func (s *subscriber) serve(ctx context.Context, ps *redis.PubSub, received *activity, failed chan error) error {
	ticker := time.NewTicker(s.pingInterval)
	defer ticker.Stop()
	silenceMax := time.Duration(silentPingsMax * float64(s.pingInterval))
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			failed <- err
			return err
		case <-s.wake:
			err = s.sendPending(ctx, ps)
		case <-ticker.C:
			if received.idle() > silenceMax {
				return errSilent
			}
			err = s.command(ctx, func(ctx context.Context) error { return ps.Ping(ctx) })
		}
		if err != nil {
			return err
		}
	}
}

// read passes on what Redis sends, until the connection fails or is closed.
func (s *subscriber) read(ctx context.Context, ps *redis.PubSub, received *activity) error {
	for {
		reply, err := ps.Receive(ctx)
		if err != nil {
			return err
		}
		lone := received.idle() >= loneGap
		received.touch()
		switch reply := reply.(type) {
		case *redis.Subscription:
			if reply.Kind == "subscribe" {
				s.handler.confirmed(reply.Channel)
			}
		case *redis.Message:
			s.messages.Add(1)
			s.handler.message(reply.Channel, reply.Payload, lone)
		}
	}
}

// sendPending sends the pending commands. Their order does not matter, because
// each channel is in one of them.
func (s *subscriber) sendPending(ctx context.Context, ps *redis.PubSub) error {
	var added, removed []string
	s.mu.Lock()
	for channel, subscribe := range s.pending {
		if subscribe {
			added = append(added, channel)
		} else {
			removed = append(removed, channel)
		}
	}
	clear(s.pending)
	s.mu.Unlock()
	for chunk := range slices.Chunk(removed, channelsMax) {
		err := s.command(ctx, func(ctx context.Context) error { return ps.Unsubscribe(ctx, chunk...) })
		if err != nil {
			return err
		}
	}
	return s.sendSubscribe(ctx, ps, added)
}

func (s *subscriber) sendSubscribe(ctx context.Context, ps *redis.PubSub, channels []string) error {
	for chunk := range slices.Chunk(channels, channelsMax) {
		err := s.command(ctx, func(ctx context.Context) error { return ps.Subscribe(ctx, chunk...) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *subscriber) command(ctx context.Context, send func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	return send(ctx)
}
