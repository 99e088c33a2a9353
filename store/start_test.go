package store

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// journal is a log that tests read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(line)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// TestStartBeforeTheDatabase: a server that is not up yet is waited for, the
// log says for what, and its first moment up is enough.
func TestStartBeforeTheDatabase(t *testing.T) {
	t.Parallel()
	server := storetest.PrivatePostgres(t)
	require.NoError(t, server.Stop())
	log := &journal{}
	s, err := Open(Config{DatabaseURL: server.DSN("postgres"), Logger: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	ended := make(chan error, 1)
	go func() {
		_, err := s.prepare(t.Context(), time.Minute, 10*time.Millisecond)
		ended <- err
	}()
	eventually(t, func() bool { return bytes.Contains([]byte(log.String()), []byte("nothing listens at 127.0.0.1:")) })
	require.NoError(t, server.Start())
	require.NoError(t, <-ended)
}

// writerFunc is called for each line of a log.
type writerFunc func()

func (f writerFunc) Write(line []byte) (int, error) {
	f()
	return len(line), nil
}

// TestStartGivesUp: after its time, or when the program is told to stop, with
// the reason.
func TestStartGivesUp(t *testing.T) {
	t.Parallel()
	s, err := Open(Config{DatabaseURL: "postgres://u:hunter2@127.0.0.1:1/x"})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	_, err = s.prepare(t.Context(), 20*time.Millisecond, time.Millisecond)
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	require.ErrorContains(t, err, "waited 20ms for the database: nothing listens at 127.0.0.1:1 yet")
	require.NotContains(t, err.Error(), "hunter2")

	ctx, cancel := context.WithCancel(t.Context())
	s.log = slog.New(slog.NewTextHandler(writerFunc(cancel), nil)) // told to stop once it has said that it waits
	_, err = s.prepare(ctx, time.Minute, time.Minute)
	require.ErrorContains(t, err, "told to stop before the database was ready: nothing listens at 127.0.0.1:1 yet")
}
