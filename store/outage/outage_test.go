package outage_test

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/store/outage"
)

// lockedText is a log that timers write too.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lockedText) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

// plain is a log without times.
func plain(text io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(text, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// An outage is three lines and one more every 30 s, however many calls fail.
func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text lockedText
		var failed atomic.Int64
		failed.Store(5) // of an earlier outage
		l := outage.New("redis", plain(&text), failed.Load)
		l.Back()
		for range 100 {
			l.Away(errors.New("connection refused"))
			failed.Add(3)
		}
		assert.Equal(t, "level=WARN msg=\"a server cannot be reached\" server=redis error=\"connection refused\"\n", text.String())
		text.Reset()
		time.Sleep(2*outage.Interval + time.Second)
		synctest.Wait()
		assert.Equal(t, "level=WARN msg=\"a server still cannot be reached\" server=redis for=30s failed=300\n"+
			"level=WARN msg=\"a server still cannot be reached\" server=redis for=1m0s failed=300\n", text.String())
		text.Reset()
		failed.Add(1)
		for range 10 {
			l.Back()
		}
		time.Sleep(10 * outage.Interval)
		synctest.Wait()
		assert.Equal(t, "level=WARN msg=\"a server can be reached again\" server=redis after=1m1s failed=301\n", text.String())
		text.Reset()

		l.Away(errors.New("again"))
		assert.Contains(t, text.String(), "again")
		text.Reset()
		l.Stop()
		time.Sleep(10 * outage.Interval)
		synctest.Wait()
		l.Back()
		l.Away(errors.New("late"))
		l.Stop()
		assert.Empty(t, text.String())
	})
}
