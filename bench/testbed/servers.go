package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"onhand/store/storetest"
)

// Servers are those of one run.
type Servers struct {
	Postgres *storetest.PostgresServer
	Redis    *storetest.RedisServer // a cache: nothing kept on disk
	durable  *storetest.RedisServer // nil until wanted
}

// Option is a further setting of Postgres.
type Option = storetest.Option

// WithConnections has Postgres take so many connections.
func WithConnections(most string) Option { return storetest.WithSetting("max_connections", most) }

// Start starts Postgres and Redis with the settings of a Debian package where storetest has others. profiled also
// counts statements.
func Start(profiled bool, more ...Option) (*Servers, error) {
	options := []storetest.Option{
		storetest.WithSetting("shared_buffers", "128MB"),
		storetest.WithSetting("max_connections", "100"),
	}
	if profiled {
		options = append(options, storetest.WithSetting("shared_preload_libraries", "pg_stat_statements"),
			storetest.WithSetting("pg_stat_statements.track", "all"),
			storetest.WithSetting("pg_stat_statements.track_planning", "on"))
	}
	var (
		s   Servers
		err error
	)
	if s.Postgres, err = storetest.StartPostgres(append(options, more...)...); err != nil {
		return nil, err
	}
	if s.Redis, err = storetest.StartRedis(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &s, nil
}

// DurableRedis starts the Redis that fsyncs every write, once.
func (s *Servers) DurableRedis() (_ *storetest.RedisServer, err error) {
	if s.durable == nil {
		s.durable, err = storetest.StartRedis(storetest.WithSetting("appendonly", "yes"), storetest.WithSetting("appendfsync", "always"))
	}
	return s.durable, err
}

// Close ends the servers and removes their files.
func (s *Servers) Close() error {
	errs := []error{s.Postgres.Close()}
	if s.Redis != nil {
		errs = append(errs, s.Redis.Close())
	}
	if s.durable != nil {
		errs = append(errs, s.durable.Close())
	}
	return errors.Join(errs...)
}

// Database makes an empty database and opens a connection to it for the benchmark.
func (s *Servers) Database(ctx context.Context, name string) (url string, admin *pgx.Conn, err error) {
	if err := s.Postgres.CreateDatabase(ctx, name); err != nil {
		return "", nil, err
	}
	url = s.Postgres.DSN(name)
	admin, err = pgx.Connect(ctx, url)
	return url, admin, err
}

// RedisFigure is a number that Redis reports in a section of INFO.
//
// Errors: those of the client; a field that is missing or no number.
func RedisFigure(ctx context.Context, client redis.UniversalClient, section, field string) (float64, error) {
	info, err := client.Info(ctx, section).Result()
	if err != nil {
		return 0, err
	}
	return figureOf(info, field)
}

func figureOf(info, field string) (float64, error) {
	for line := range strings.Lines(info) {
		if value, found := strings.CutPrefix(line, field+":"); found {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("no %s in INFO", field)
}

// described are the settings of Postgres that decide what a commit costs.
var described = []string{"server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers", "max_wal_size"}

// Describe prints what the figures are measured on.
func (s *Servers) Describe(ctx context.Context, out io.Writer) error {
	conn, err := pgx.Connect(ctx, s.Postgres.DSN("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // only read
	var settings []string
	for _, name := range described {
		var value string
		if err := conn.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value); err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
		settings = append(settings, name+" "+value)
	}
	took, err := fsyncTime()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d cores, %s. Postgres: %s; the same for all variants.\nOne fsync takes %.2f ms here.\n",
		runtime.NumCPU(), runtime.Version(), strings.Join(settings, ", "), took.Seconds()*1000)
	return err
}

// fsyncTime is how long the disk under the servers takes to keep one page, the mean of a hundred.
func fsyncTime() (time.Duration, error) {
	const syncs = 100
	file, err := os.CreateTemp("", "onhand-fsync-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(file.Name()) }() // a temporary file
	defer func() { _ = file.Close() }()
	page := make([]byte, 8192)
	start := time.Now()
	for range syncs {
		if _, err := file.WriteAt(page, 0); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
	}
	return time.Since(start) / syncs, nil
}
