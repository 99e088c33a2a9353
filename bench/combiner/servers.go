package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/store/storetest"
)

// servers are the private servers of a run. Both sides of every row use the same.
type servers struct {
	postgres *storetest.PostgresServer
	redis    *storetest.RedisServer // a cache: nothing kept on disk
	durable  *storetest.RedisServer // appendfsync always; nil until wanted
}

// startServers starts them with the settings of a fresh Debian package where storetest has others of its own.
func startServers(profiled bool) (*servers, error) {
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
		s   servers
		err error
	)
	if s.postgres, err = storetest.StartPostgres(options...); err != nil {
		return nil, err
	}
	if s.redis, err = storetest.StartRedis(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return &s, nil
}

// durableRedis starts the Redis that fsyncs every write, once.
func (s *servers) durableRedis() (_ *storetest.RedisServer, err error) {
	if s.durable == nil {
		s.durable, err = storetest.StartRedis(storetest.WithSetting("appendonly", "yes"), storetest.WithSetting("appendfsync", "always"))
	}
	return s.durable, err
}

func (s *servers) close() error {
	errs := []error{s.postgres.Close()}
	if s.redis != nil {
		errs = append(errs, s.redis.Close())
	}
	if s.durable != nil {
		errs = append(errs, s.durable.Close())
	}
	return errors.Join(errs...)
}

// database makes an empty database and a connection to it for ourselves.
func (s *servers) database(ctx context.Context, name string) (url string, admin *pgx.Conn, err error) {
	if err := s.postgres.CreateDatabase(ctx, name); err != nil {
		return "", nil, err
	}
	url = s.postgres.DSN(name)
	admin, err = pgx.Connect(ctx, url)
	return url, admin, err
}

// describe prints what the figures were measured on.
func (s *servers) describe(ctx context.Context, out io.Writer) error {
	conn, err := pgx.Connect(ctx, s.postgres.DSN("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var settings []string
	for _, name := range []string{"server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers", "max_wal_size"} {
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
	_, err = fmt.Fprintf(out, "Postgres: %s; the same for all.\nOne fsync takes %.2f ms here.\n", strings.Join(settings, ", "), took.Seconds()*1000)
	return err
}

// fsyncTime is what the disk under the servers takes to keep one page, the mean of a hundred.
func fsyncTime() (time.Duration, error) {
	const syncs = 100
	file, err := os.CreateTemp("", "onhand-fsync-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
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
