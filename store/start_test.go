package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// syncBuffer is a log that tests read while it is written.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// A start waits for a database that is not up yet, logs what it waits for, and goes
// on as soon as the database is up.
func TestStartBeforeTheDatabase(t *testing.T) {
	t.Parallel()
	server := storetest.PrivatePostgres(t)
	require.NoError(t, server.Stop())
	log := &syncBuffer{}
	s, err := Open(Config{DatabaseURL: storetest.OwnerAccount(server.DSN("postgres")), Logger: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	ended := make(chan error, 1)
	go func() {
		_, err := s.migrateWhenUp(t.Context(), time.Minute, 10*time.Millisecond)
		ended <- err
	}()
	eventually(t, func() bool { return bytes.Contains([]byte(log.String()), []byte("nothing listens at 127.0.0.1:")) })
	require.NoError(t, server.Start())
	require.NoError(t, <-ended)
}

// writerFunc is called for each line of a log; it discards the line.
type writerFunc func()

func (f writerFunc) Write(line []byte) (int, error) {
	f()
	return len(line), nil
}

// A start gives up after its time, or when the program gets a signal to stop, and says
// why.
func TestStartGivesUp(t *testing.T) {
	t.Parallel()
	s, err := Open(Config{DatabaseURL: "postgres://u:hunter2@127.0.0.1:1/x"})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	_, err = s.migrateWhenUp(t.Context(), 20*time.Millisecond, time.Millisecond)
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	require.ErrorContains(t, err, "waited 20ms for the database: nothing listens at 127.0.0.1:1 yet")
	require.NotContains(t, err.Error(), "hunter2")

	ctx, cancel := context.WithCancel(t.Context())
	s.log = slog.New(slog.NewTextHandler(writerFunc(cancel), nil)) // stopped once it has logged that it waits
	_, err = s.migrateWhenUp(ctx, time.Minute, time.Minute)
	require.ErrorContains(t, err, "stopped before the database was ready: nothing listens at 127.0.0.1:1 yet")
}

// An instance that starts reads products into the snapshot cache before a write
// asks for them.
func TestStartPreloads(t *testing.T) {
	t.Parallel()
	url := storetest.Postgres(t)
	first := open(t, Config{DatabaseURL: url})
	stockUp(t, first, 10, "x")
	first.Close()
	s := open(t, Config{DatabaseURL: url})
	w := reserve(rand.Text(), "x", 1, time.Hour)
	eventually(t, func() bool { return len(s.database.MissingOnce(s.database.Prepare(w))) == 0 })
	write(t, s, w)
}
