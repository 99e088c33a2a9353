package store

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/store/storetest"
)

// logBuffer is a log that several goroutines write.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// outageLinesMax is how many lines of the log one outage may take, while it lasts
// less than half a minute: that the server is away, and what stops meanwhile.
const outageLinesMax = 5

// While Redis is away the log says so once, whatever is asked meanwhile, and blames
// no other server. It says when Redis is back.
func TestLogOfARedisOutage(t *testing.T) {
	t.Parallel()
	log, redis := &logBuffer{}, storetest.Redis(t)
	s := open(t, Config{
		DatabaseURL: storetest.Postgres(t), RedisURL: redis.URL(), Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	stockUp(t, s, 5, "x")
	drained(t, s)
	require.Empty(t, log.String())
	require.NoError(t, redis.Kill())
	for i := range 100 {
		write(t, s, receive(fmt.Sprint(i), "x", 1))
		read(t, s, "x")
	}
	eventually(t, func() bool { return s.relay.Stats().Failures > 3 })
	text := log.String()
	require.Equal(t, 1, strings.Count(text, `msg="a server cannot be reached" server=redis`), text)
	require.Contains(t, text, "redis is down")
	require.NotContains(t, text, "database")
	require.NotContains(t, text, "INTERNAL")
	require.NotContains(t, text, "level=ERROR")
	require.LessOrEqual(t, strings.Count(text, "\n"), outageLinesMax, text)

	require.NoError(t, redis.Start())
	eventually(t, func() bool { return strings.Contains(log.String(), `msg="a server can be reached again" server=redis`) })
	drained(t, s)
	require.NotContains(t, log.String(), "database")
}

// An embedded Redis on a busy machine answers late, far later than a real one may. It
// is not away, and the log says nothing.
func TestBusyEmbeddedRedis(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	s := open(t, Config{DatabaseURL: "sqlite::memory:", Logger: slog.New(slog.NewTextHandler(log, nil))})
	stockUp(t, s, 5, "x", "y", "z")
	for i := range 3 {
		s.embedded.server.Lock()
		time.AfterFunc(400*time.Millisecond, s.embedded.server.Unlock)
		write(t, s, receive(fmt.Sprint(i), "x", 1))
		for _, id := range []string{"x", "y", "z"} {
			read(t, s, id)
		}
		drained(t, s)
	}
	require.Empty(t, log.String())
	require.Zero(t, s.cache.Stats().Failures)
}

// While the database is away the log says so once, and names it.
func TestLogOfADatabaseOutage(t *testing.T) {
	t.Parallel()
	log, postgres := &logBuffer{}, storetest.PrivatePostgres(t)
	s := open(t, Config{
		DatabaseURL: postgres.DSN("postgres"), RedisURL: storetest.Redis(t).URL(), Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	stockUp(t, s, 5, "x")
	drained(t, s)
	require.NoError(t, postgres.Kill())
	for i := range 20 {
		_, err := s.Write(t.Context(), receive(fmt.Sprint(i), "x", 1))
		require.Error(t, err)
	}
	eventually(t, func() bool { return strings.Contains(log.String(), "server=database") })
	require.NoError(t, postgres.Start())
	eventually(t, func() bool {
		return strings.Contains(log.String(), `msg="a server can be reached again" server=database`)
	})
	text := log.String()
	require.Equal(t, 1, strings.Count(text, `msg="a server cannot be reached" server=database`), text)
	require.NotContains(t, text, "server=redis")
	require.LessOrEqual(t, strings.Count(text, "level=WARN"), outageLinesMax, text)
}
