package store

import (
	"crypto/rand"
	"net/url"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// embeddedTimeout bounds one round trip to the embedded Redis. One in this process is
// never away. When it answers late the machine is busy, and a script takes it fifteen
// times as long as a real Redis.
const embeddedTimeout = 5 * time.Second

// embeddedTick is how often the clock of the embedded Redis is moved forward. It
// does not move by itself.
const embeddedTick = 200 * time.Millisecond

// embeddedRedis is a Redis inside this process, on a loopback port with a random
// password: for a trial without servers, and for tests.
type embeddedRedis struct {
	server   *miniredis.Miniredis
	password string
	stop     chan struct{}
	stopped  chan struct{}
}

func startEmbeddedRedis() (*embeddedRedis, error) {
	e := &embeddedRedis{server: miniredis.NewMiniRedis(), password: rand.Text(), stop: make(chan struct{}), stopped: make(chan struct{})}
	e.server.RequireAuth(e.password)
	if err := e.server.StartAddr("127.0.0.1:0"); err != nil {
		return nil, err
	}
	go e.tick()
	return e, nil
}

func (e *embeddedRedis) tick() {
	defer close(e.stopped)
	ticker := time.NewTicker(embeddedTick)
	defer ticker.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-ticker.C:
			e.server.FastForward(embeddedTick)
		}
	}
}

func (e *embeddedRedis) url() string {
	u := url.URL{Scheme: "redis", Host: e.server.Addr(), User: url.UserPassword("", e.password)}
	return u.String()
}

func (e *embeddedRedis) close() {
	select {
	case <-e.stop:
		return
	default:
	}
	close(e.stop)
	<-e.stopped
	e.server.Close()
}
