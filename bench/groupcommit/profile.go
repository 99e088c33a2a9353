package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"strings"

	"github.com/jackc/pgx/v5"
)

// statementsShown is how many statements a profile lists.
const statementsShown = 25

var notInSlug = regexp.MustCompile(`[^a-z0-9]+`)

func slug(name string) string {
	return strings.Trim(notInSlug.ReplaceAllString(strings.ToLower(name), "-"), "-")
}

// profileCPU writes a CPU profile of this process into a file until it is stopped. Without a file it does nothing.
func profileCPU(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

// startProfile begins a CPU profile of this process and a count of the database's statements; stop writes both. Without
// --profile it does nothing.
func (c *measureCommand) startProfile(ctx context.Context, name string) (stop func() error, err error) {
	if c.Profile == "" {
		return func() error { return nil }, nil
	}
	conn, err := pgx.Connect(ctx, c.servers.Postgres.DSN("postgres"))
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements"); err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "SELECT pg_stat_statements_reset(), pg_stat_reset_shared('wal')"); err != nil {
		return nil, err
	}
	stopCPU, err := profileCPU(filepath.Join(c.Profile, name+".cpu.prof"))
	if err != nil {
		return nil, err
	}
	return func() error {
		err := stopCPU()
		err = errors.Join(err, writeStatements(ctx, conn, filepath.Join(c.Profile, name+".statements.txt")))
		return errors.Join(err, conn.Close(ctx))
	}, nil
}

// writeStatements lists the statements that took the database's time, and how much went through its log.
func writeStatements(ctx context.Context, conn *pgx.Conn, path string) error {
	var out strings.Builder
	var records, bytes, syncs int64
	err := conn.QueryRow(ctx, "SELECT wal_records, wal_bytes::bigint, wal_sync FROM pg_stat_wal").Scan(&records, &bytes, &syncs)
	if err != nil {
		return err
	}
	fmt.Fprintf(&out, "wal: %d records, %d bytes, %d syncs\n\n   total ms  planning ms    calls    mean ms       rows   blocks hit  statement\n", records, bytes, syncs)
	rows, err := conn.Query(ctx, `SELECT total_exec_time, total_plan_time, calls, mean_exec_time, rows, shared_blks_hit, toplevel, regexp_replace(query, '\s+', ' ', 'g')
		FROM pg_stat_statements ORDER BY total_exec_time + total_plan_time DESC LIMIT $1`, statementsShown)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var total, planning, mean float64
		var calls, count, hit int64
		var top bool
		var query string
		if err := rows.Scan(&total, &planning, &calls, &mean, &count, &hit, &top, &query); err != nil {
			return err
		}
		if !top {
			query = "  in a trigger: " + query
		}
		fmt.Fprintf(&out, "%11.1f %12.1f %8d %10.3f %10d %12d  %.220s\n", total, planning, calls, mean, count, hit, query)
	}
	return errors.Join(rows.Err(), os.WriteFile(path, []byte(out.String()), 0o644))
}
