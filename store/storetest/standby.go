package storetest

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// standbys numbers the replication slots. A slot keeps the log that its standby has not read yet.
var standbys atomic.Int64

// StartStandby starts a hot standby of the primary, made by a base backup. From then on the primary answers no COMMIT before
// the standby has it on its disk: a primary has at most one of them. The caller must Close it.
func StartStandby(ctx context.Context, primary *PostgresServer, opts ...Option) (*PostgresServer, error) {
	return startStandby(ctx, primary, []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"}, "sync", opts)
}

// StartReplica is StartStandby, but no COMMIT waits for the replica. A primary may have several.
func StartReplica(ctx context.Context, primary *PostgresServer, opts ...Option) (*PostgresServer, error) {
	return startStandby(ctx, primary, nil, "async", opts)
}

func startStandby(ctx context.Context, primary *PostgresServer, settings []string, kind string, opts []Option) (*PostgresServer, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	programs, err := findPostgres()
	if err != nil {
		return nil, err
	}
	p := newPostgres(programs, primary.account, collect(opts))
	if err := p.prepare(); err != nil {
		return nil, err
	}
	slot := fmt.Sprint("standby", standbys.Add(1))
	err = p.run("pg_basebackup", exec.Command(filepath.Join(programs, "pg_basebackup"), "--dbname="+primary.DSN("postgres"), "--pgdata="+p.data(),
		"--checkpoint=fast", "--write-recovery-conf", "--create-slot", "--slot="+slot, "--no-sync"))
	if err == nil {
		err = p.open()
	}
	if err == nil {
		err = primary.awaitStandby(ctx, settings, slot, kind)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// awaitStandby changes the settings of replication, and waits until the standby streams.
func (p *PostgresServer) awaitStandby(ctx context.Context, settings []string, slot, kind string) error {
	connection, err := pgx.Connect(ctx, p.DSN("postgres"))
	if err != nil {
		return err
	}
	defer connection.Close(context.WithoutCancel(ctx))
	for _, statement := range settings {
		if _, err := connection.Exec(ctx, statement); err != nil {
			return err
		}
	}
	for following := false; !following; time.Sleep(pollEvery) {
		err := connection.QueryRow(ctx, `SELECT count(*) > 0 FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid
			WHERE s.slot_name = $1 AND r.state = 'streaming' AND r.sync_state = $2`, slot, kind).Scan(&following)
		if err != nil {
			return fmt.Errorf("the standby does not follow: %w", err)
		}
	}
	return nil
}

// PauseReplay has a standby receive the log and replay none of it, until ResumeReplay.
func (p *PostgresServer) PauseReplay(ctx context.Context) error {
	return p.execute(ctx, "postgres", "SELECT pg_wal_replay_pause()")
}

// ResumeReplay ends PauseReplay.
func (p *PostgresServer) ResumeReplay(ctx context.Context) error {
	return p.execute(ctx, "postgres", "SELECT pg_wal_replay_resume()")
}

// Promote makes a standby a primary, and waits until it accepts writes.
func (p *PostgresServer) Promote(ctx context.Context) error {
	connection, err := pgx.Connect(ctx, p.DSN("postgres"))
	if err != nil {
		return err
	}
	defer connection.Close(context.WithoutCancel(ctx))
	var promoted bool
	if err := connection.QueryRow(ctx, "SELECT pg_promote(true, $1)", int(startLimit.Seconds())).Scan(&promoted); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	if !promoted {
		return fmt.Errorf("promote: it did not within %s", startLimit)
	}
	return nil
}
