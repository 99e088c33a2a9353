package nearcache

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// pingInterval is how often the feed is checked. Three pings in a row may be late
	// before reads ask Redis.
	pingInterval = 200 * time.Millisecond
	// silenceMax is how long Redis may send nothing before the connection is given up.
	silenceMax = 2500 * time.Millisecond
	// commandTimeout bounds connecting, and writing one command.
	commandTimeout = time.Second
)

// errSilentFeed ends a session in which Redis does not answer pings. errResubscribed
// ends one whose connection the library has replaced.
var (
	errSilentFeed   = errors.New("no answer to pings")
	errResubscribed = errors.New("subscribed twice")
)

// feedSession is one connection with the pattern subscription. Any error or silence
// ends it. go-redis would reconnect and subscribe again by itself, so a session reads
// nothing any more after its first error.
type feedSession struct {
	feed     *changeFeed
	client   redis.UniversalClient
	answered atomic.Pointer[instant] // when the last answered ping was sent; nil before
	received atomic.Int64            // when something last came, on the monotonic clock
}

// run connects, subscribes, and serves until an error. It calls confirmed once all
// changes arrive and a ping was answered.
func (s *feedSession) run(ctx context.Context, confirmed func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ps := s.client.Subscribe(ctx)
	s.received.Store(s.feed.clock().monotonic)
	err := s.command(ctx, func(ctx context.Context) error { return ps.PSubscribe(ctx, s.feed.pattern) })
	if err != nil {
		_ = ps.Close()
		return err
	}
	subscribed := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		cancel(s.read(ctx, ps, subscribed, confirmed))
	}()
	cancel(s.ping(ctx, ps, subscribed)) // the first cause counts
	_ = ps.Close()                      // ends read
	<-done
	return context.Cause(ctx)
}

// ping sends a ping every pingInterval once Redis has confirmed the subscription, until
// it fails or Redis is silent.
func (s *feedSession) ping(ctx context.Context, ps *redis.PubSub, subscribed <-chan struct{}) error {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	wait := subscribed // the first ping follows the confirmation at once
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wait:
			wait = nil
		case <-ticker.C:
		}
		now := s.feed.clock()
		if now.monotonic-s.received.Load() > int64(silenceMax) {
			return errSilentFeed
		}
		if wait != nil {
			continue
		}
		if err := s.command(ctx, func(ctx context.Context) error { return ps.Ping(ctx, now.encode()) }); err != nil {
			return err
		}
	}
}

// read passes on what Redis sends, until the connection fails or the session ends.
func (s *feedSession) read(ctx context.Context, ps *redis.PubSub, subscribed chan struct{}, confirmed func()) error {
	for first := true; ; {
		reply, err := ps.Receive(ctx)
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.received.Store(s.feed.clock().monotonic)
		switch reply := reply.(type) {
		case *redis.Subscription:
			if !first {
				return errResubscribed
			}
			first = false
			close(subscribed)
		case *redis.Message:
			s.feed.messages.Add(1)
			if id, ok := strings.CutPrefix(reply.Channel, s.feed.prefix); ok {
				s.feed.handler.message(id, reply.Payload)
			}
		case *redis.Pong:
			if sent, ok := decodeInstant(reply.Payload); ok {
				s.answered.Store(&sent)
				confirmed()
			}
		}
	}
}

func (s *feedSession) command(ctx context.Context, send func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	return send(ctx)
}

// encode writes an instant as the payload of a ping. Redis sends it back.
func (i instant) encode() string {
	return strconv.FormatInt(i.monotonic, 10) + " " + strconv.FormatInt(i.wall, 10)
}

func decodeInstant(text string) (i instant, ok bool) {
	monotonic, wall, ok := strings.Cut(text, " ")
	var errs [2]error
	i.monotonic, errs[0] = strconv.ParseInt(monotonic, 10, 64)
	i.wall, errs[1] = strconv.ParseInt(wall, 10, 64)
	return i, ok && errs[0] == nil && errs[1] == nil
}
