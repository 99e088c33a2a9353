package outage

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Interval is how often an outage that lasts is logged.
const Interval = 30 * time.Second

// Log logs the outages of one server. It is safe for concurrent use.
type Log struct {
	server string
	logger *slog.Logger
	failed func() int64

	away atomic.Bool

	mu      sync.Mutex
	stopped bool
	began   time.Time
	before  int64 // calls that had failed when the outage began
	timer   *time.Timer
}

// New makes the Log of a server that can be reached, as far as is known. failed
// returns how many calls have failed so far because it could not be.
func New(server string, logger *slog.Logger, failed func() int64) *Log {
	return &Log{server: server, logger: logger, failed: failed}
}

// Away notes that the server cannot be reached, and why.
func (l *Log) Away(why error) {
	if l.away.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || l.away.Load() {
		return
	}
	l.away.Store(true)
	l.began, l.before = time.Now(), l.failed()
	l.logger.Warn("a server cannot be reached", "server", l.server, "error", why)
	l.timer = time.AfterFunc(Interval, l.repeat)
}

// Lasts reports whether the server cannot be reached, as far as is known.
func (l *Log) Lasts() bool { return l.away.Load() }

// repeat logs an outage that lasts.
func (l *Log) repeat() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || !l.away.Load() {
		return
	}
	l.logger.Warn("a server still cannot be reached", "server", l.server, "for", l.lasted(), "failed", l.failed()-l.before)
	l.timer.Reset(Interval)
}

// Back notes that the server can be reached.
func (l *Log) Back() {
	if !l.away.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || !l.away.Load() {
		return
	}
	l.away.Store(false)
	l.timer.Stop()
	l.logger.Warn("a server can be reached again", "server", l.server, "after", l.lasted(), "failed", l.failed()-l.before)
}

// Stop ends all logging. It may be called more than once.
func (l *Log) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	if l.timer != nil {
		l.timer.Stop()
	}
}

func (l *Log) lasted() time.Duration { return time.Since(l.began).Round(time.Millisecond) }
