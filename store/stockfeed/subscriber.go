package stockfeed

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"onhand/store/backoff"
)

const (
	// channelsMax is how many channels one SUBSCRIBE or UNSUBSCRIBE names.
	channelsMax = 1000
	// commandTimeout bounds connecting and writing one command.
	commandTimeout = time.Second
	// silentPings is how many pings may go unanswered. Redis answers at once, so
	// more than two means that the connection is dead, whatever TCP thinks.
	silentPings = 2.5
	// reconnectMin and reconnectMax bound the wait before connecting again.
	reconnectMin = 50 * time.Millisecond
	reconnectMax = time.Second
)

// audience is whom a subscriber serves. Its methods are called from the
// goroutine that reads the connection and must not block.
type audience interface {
	// channels lists every channel that is wanted now.
	channels() []string
	// confirmed: Redis has just begun to send this channel's messages. Messages
	// before this moment were lost.
	confirmed(channel string)
	// message: one message arrived.
	message(channel, payload string)
	// lost: the connection is gone, and with it every subscription.
	lost()
}

// subscriber keeps the wanted channels subscribed on one connection.
//
// It does not use go-redis's own channel of messages, for three reasons seen
// in v9.23.0: its health check writes pings but never asks whether they are
// answered, so a half-open connection goes unnoticed until TCP gives up; it
// reconnects without a word; and it drops messages when its buffer stays full.
// Here every connection is one session: any error or silence ends it, and the
// next one confirms every channel anew.
type subscriber struct {
	client    redis.UniversalClient
	pingEvery time.Duration
	audience  audience
	logger    *slog.Logger

	mu      sync.Mutex
	changes map[string]bool // not yet sent: true to subscribe, false to unsubscribe
	wake    chan struct{}

	connected atomic.Bool
	sessions  atomic.Int64
	messages  atomic.Int64
}

func newSubscriber(client redis.UniversalClient, pingEvery time.Duration, to audience, logger *slog.Logger) *subscriber {
	return &subscriber{
		client: client, pingEvery: pingEvery, audience: to, logger: logger,
		changes: make(map[string]bool), wake: make(chan struct{}, 1),
	}
}

// want and drop say what is to be subscribed. They only note it; the latest
// word for a channel counts, so the notes are bounded by the channels.
func (s *subscriber) want(channels ...string) { s.note(channels, true) }
func (s *subscriber) drop(channels ...string) { s.note(channels, false) }

func (s *subscriber) note(channels []string, wanted bool) {
	if len(channels) == 0 {
		return
	}
	s.mu.Lock()
	for _, channel := range channels {
		s.changes[channel] = wanted
	}
	s.mu.Unlock()
	poke(s.wake)
}

// run keeps a session open until ctx ends.
func (s *subscriber) run(ctx context.Context) {
	wait := backoff.Backoff{Min: reconnectMin, Max: reconnectMax}
	var reported bool
	for ctx.Err() == nil {
		before := s.sessions.Load()
		err := s.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if s.sessions.Load() > before {
			wait.Reset()
			reported = false
		}
		if !reported {
			reported = true
			s.logger.Warn("redis subscription lost", "error", err)
		}
		if !pause(ctx, wait.Next()) {
			return
		}
	}
}

// errSilent ends a session whose server answers no pings.
var errSilent = errors.New("no answer to pings")

// hearing is when a connection said something last, on a clock that nobody sets.
type hearing struct {
	since time.Time
	after atomic.Int64 // nanoseconds since
}

func (h *hearing) now() { h.after.Store(int64(time.Since(h.since))) }

func (h *hearing) ago() time.Duration { return time.Since(h.since) - time.Duration(h.after.Load()) }

// session connects, subscribes everything, and serves until something fails.
func (s *subscriber) session(ctx context.Context) error {
	// What is noted up to here is in the list of channels below.
	s.mu.Lock()
	clear(s.changes)
	s.mu.Unlock()

	ps := s.client.Subscribe(ctx)
	defer func() { _ = ps.Close() }()
	if err := s.command(ctx, func(ctx context.Context) error { return ps.Ping(ctx) }); err != nil {
		return err
	}
	heard := &hearing{since: time.Now()}
	broken := make(chan error, 1)
	go func() { broken <- s.read(ctx, ps, heard) }()
	err := s.subscribe(ctx, ps, s.audience.channels())
	if err == nil {
		if s.sessions.Add(1) > 1 {
			s.logger.Info("redis subscription restored")
		}
		s.connected.Store(true)
		err = s.serve(ctx, ps, heard, broken)
	}
	s.connected.Store(false)
	_ = ps.Close() // which ends read
	<-broken
	s.audience.lost()
	return err
}

// serve sends what is noted and watches the connection until it fails. The
// reader's error is put back for session, which waits for it.
func (s *subscriber) serve(ctx context.Context, ps *redis.PubSub, heard *hearing, broken chan error) error {
	ticker := time.NewTicker(s.pingEvery)
	defer ticker.Stop()
	silence := time.Duration(silentPings * float64(s.pingEvery))
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-broken:
			broken <- err
			return err
		case <-s.wake:
			err = s.send(ctx, ps)
		case <-ticker.C:
			if heard.ago() > silence {
				return errSilent
			}
			err = s.command(ctx, func(ctx context.Context) error { return ps.Ping(ctx) })
		}
		if err != nil {
			return err
		}
	}
}

// read hands on what arrives until the connection fails or is closed.
func (s *subscriber) read(ctx context.Context, ps *redis.PubSub, heard *hearing) error {
	for {
		received, err := ps.Receive(ctx)
		if err != nil {
			return err
		}
		heard.now()
		switch received := received.(type) {
		case *redis.Subscription:
			if received.Kind == "subscribe" {
				s.audience.confirmed(received.Channel)
			}
		case *redis.Message:
			s.messages.Add(1)
			s.audience.message(received.Channel, received.Payload)
		}
	}
}

// send carries out what was noted. Unsubscribing goes first, but no channel is
// in both lists.
func (s *subscriber) send(ctx context.Context, ps *redis.PubSub) error {
	var on, off []string
	s.mu.Lock()
	for channel, wanted := range s.changes {
		if wanted {
			on = append(on, channel)
		} else {
			off = append(off, channel)
		}
	}
	clear(s.changes)
	s.mu.Unlock()
	for chunk := range slices.Chunk(off, channelsMax) {
		err := s.command(ctx, func(ctx context.Context) error { return ps.Unsubscribe(ctx, chunk...) })
		if err != nil {
			return err
		}
	}
	return s.subscribe(ctx, ps, on)
}

func (s *subscriber) subscribe(ctx context.Context, ps *redis.PubSub, channels []string) error {
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
