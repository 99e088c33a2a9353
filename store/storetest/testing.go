package storetest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// databaseLimit bounds creating and dropping a test's database, which take some 30 ms.
const databaseLimit = 30 * time.Second

// identifierBytesMax is the length at which Postgres truncates a name, which could make two names one.
const identifierBytesMax = 63

// shared is the one Postgres of this test process.
var shared struct {
	mu      sync.Mutex
	started bool
	server  *PostgresServer
	err     error
}

var databaseCount atomic.Int64

// parallelMin is how many tests run at once at least. Tests with servers wait for them, and for deadlines, most of their
// time. Under the race detector, which runs with -short, they compute more.
const (
	parallelMin      = 6
	parallelMinShort = 4
)

// Main is for TestMain: it runs the tests, several at once (parallelMin), stops the shared server, and exits. Without it
// the server ends a moment after the process.
func Main(m *testing.M) {
	moreParallel()
	code := m.Run()
	if err := closeShared(); err != nil {
		fmt.Fprintln(os.Stderr, "storetest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// moreParallel raises the number of tests that run at once, unless a flag sets it.
func moreParallel() {
	flag.Parse()
	least := parallelMin
	if testing.Short() {
		least = parallelMinShort
	}
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "test.parallel" })
	if !set && runtime.GOMAXPROCS(0) < least {
		_ = flag.Set("test.parallel", strconv.Itoa(least))
	}
}

// Postgres returns the DSN of a fresh empty database, dropped when the test ends. All tests of the process share one
// server, started for the first of them; a test that stops or freezes its server must use PrivatePostgres.
func Postgres(t testing.TB) string {
	t.Helper()
	server, err := sharedPostgres()
	requireServer(t, err)
	name := databaseName(t.Name())
	ctx, cancel := context.WithTimeout(context.Background(), databaseLimit)
	defer cancel()
	requireServer(t, server.CreateDatabase(ctx, name))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), databaseLimit)
		defer cancel()
		if err := errors.Join(server.checkAccounts(name), server.DropDatabase(ctx, name)); err != nil {
			t.Errorf("storetest: %v", err)
		}
	})
	return server.DSN(name)
}

// PrivatePostgres returns a server for this test alone, closed when the test ends. It takes a second or two to start.
func PrivatePostgres(t testing.TB, opts ...Option) *PostgresServer {
	t.Helper()
	server, err := StartPostgres(opts...)
	requireServer(t, err)
	closeAtEnd(t, func() error { return errors.Join(server.checkAccounts(""), server.Close()) })
	return server
}

// Redis returns a server for this test alone, closed when the test ends. It starts in some 20 ms.
func Redis(t testing.TB, opts ...Option) *RedisServer {
	t.Helper()
	server, err := StartRedis(append([]Option{withoutScripts}, opts...)...)
	requireServer(t, err)
	closeAtEnd(t, server.Close)
	return server
}

// NearCacheBytes is the memory for the near cache of a test's store: NEAR_CACHE_BYTES, or else 64 MiB. With
// NEAR_CACHE_BYTES=0 every test runs without a near cache.
func NearCacheBytes(t testing.TB) int64 {
	t.Helper()
	setting := os.Getenv("NEAR_CACHE_BYTES")
	if setting == "" {
		return 64 << 20
	}
	bytes, err := strconv.ParseInt(setting, 10, 64)
	if err != nil {
		t.Fatalf("storetest: NEAR_CACHE_BYTES: %v", err)
	}
	return bytes
}

func closeAtEnd(t testing.TB, closeServer func() error) {
	t.Cleanup(func() {
		if err := closeServer(); err != nil {
			t.Errorf("storetest: %v", err)
		}
	})
}

// requireServer ends the test when there is no server for it. A machine without the programs must not look as if the tests
// had passed, unless the environment says that it may.
func requireServer(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrNotInstalled) && os.Getenv("ONHAND_TEST_SERVERS") == "embedded":
		t.Skipf("skipped, for ONHAND_TEST_SERVERS=embedded: %v", err)
	default:
		t.Fatalf("storetest: %v", err)
	}
}

func sharedPostgres() (*PostgresServer, error) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.started {
		shared.server, shared.err = StartPostgres()
		shared.started = true
	}
	return shared.server, shared.err
}

func closeShared() error {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil {
		return nil
	}
	return shared.server.Close()
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// databaseName makes a unique name from the test's, so that a log line or a psql session shows the test.
func databaseName(test string) string {
	end := fmt.Sprintf("_%d", databaseCount.Add(1))
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(test), "_"), "_")
	return name[:min(len(name), identifierBytesMax-len(end))] + end
}
