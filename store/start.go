package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"onhand/models"
	"onhand/store/backoff"
	"onhand/store/database"
	"onhand/store/readreplica"
	"onhand/store/readthrough"
	"onhand/store/upkeep"
)

// Bounds of the wait for a database that is not up yet.
const (
	startWait     = 30 * time.Second // altogether
	startInterval = time.Second      // between two attempts, before jitter
	startLogEvery = 10               // attempts after which the same reason is logged again
)

// Migrate brings the database's tables up to date. Several processes may call it
// at the same time.
func (s *Store) Migrate(ctx context.Context) (applied int, err error) {
	release, err := s.database.ClaimMigration(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	return s.database.Migrate(ctx)
}

// MigrateWhenUp is Migrate that waits for a server which is not up yet, for half a
// minute at most, and logs what it waits for. An error that waiting cannot mend,
// such as a wrong password, ends it at once, with a reason in plain words.
func (s *Store) MigrateWhenUp(ctx context.Context) (applied int, err error) {
	return s.migrateWhenUp(ctx, startWait, startInterval)
}

// errNoTables says that a database has no tables of this program.
var errNoTables = errors.New("no such database: there are no tables in it yet; onhand serve, onhand migrate and onhand import --create make them")

// MigrateExisting is MigrateWhenUp for commands that create no database.
//
// Errors: those of MigrateWhenUp; one for a database without tables.
func (s *Store) MigrateExisting(ctx context.Context) (applied int, err error) {
	return s.retryMigration(ctx, startWait, startInterval, func(ctx context.Context) (int, error) {
		made, err := s.database.Made(ctx)
		switch {
		case err != nil:
			return 0, err
		case !made:
			return 0, errNoTables
		}
		return s.Migrate(ctx)
	})
}

func (s *Store) migrateWhenUp(ctx context.Context, wait, interval time.Duration) (applied int, err error) {
	return s.retryMigration(ctx, wait, interval, s.Migrate)
}

func (s *Store) retryMigration(ctx context.Context, wait, interval time.Duration, migrate func(context.Context) (int, error)) (applied int, err error) {
	deadline := time.Now().Add(wait)
	logged := ""
	for attempt := 0; ; attempt++ {
		applied, err = migrate(ctx)
		if err == nil || errors.Is(err, errNoTables) {
			return applied, err
		}
		reason, passes := database.Explain(err)
		switch {
		case ctx.Err() != nil:
			return 0, fmt.Errorf("stopped before the database was ready: %s", cmp.Or(logged, reason))
		case !passes:
			s.log.Debug("the database cannot be used", "error", err)
			return 0, fmt.Errorf("the database cannot be used: %s", reason)
		case !time.Now().Before(deadline):
			return 0, models.Unavailable(fmt.Sprintf("waited %s for the database: %s", wait, reason), nil)
		}
		if reason != logged || attempt%startLogEvery == 0 {
			s.log.Warn("waiting for the database", "because", reason, "for", time.Until(deadline).Round(time.Second))
			logged = reason
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff.Jitter(interval)):
		}
	}
}

// Start begins the periodic work and the delivery to subscribers. It does not wait
// for the servers. It refuses where another process serves the same database and
// the two do not share a Redis.
func (s *Store) Start() error {
	ctx, cancel := context.WithCancel(context.Background())
	if err := s.claim.Acquire(ctx); err != nil {
		cancel()
		return err
	}
	s.stop = cancel
	s.publisher.muted.Store(false)
	if err := s.hub.Start(ctx); err != nil {
		return fmt.Errorf("start hub: %w", err)
	}
	s.near.Start(ctx)
	if err := s.relay.Start(ctx); err != nil {
		return fmt.Errorf("start relay: %w", err)
	}
	s.epochCheck.Run(ctx) // before the first request, so that it finds epoch and directory
	s.running.Go(func() { upkeep.Preload(ctx, s.database, upkeep.PreloadTimeout, s.log) })
	s.running.Go(func() { s.known.Update(ctx) })
	s.sample(ctx) // so that the first writes count
	s.every(ctx, sampleInterval, nil, s.sample)
	s.every(ctx, readthrough.KnownInterval, nil, s.known.Update)
	s.every(ctx, s.config.EpochCheckInterval, s.epoch.Checks(), s.epochCheck.Run)
	for _, probe := range s.replicaReads.Probes() {
		s.running.Go(func() { probe(ctx) })
		s.every(ctx, readreplica.ProbeInterval, nil, probe)
	}
	s.every(ctx, s.config.SweepInterval, nil, s.sweeper.Sweep)
	s.every(ctx, s.config.AuditInterval, nil, s.sampler.Step)
	s.running.Go(func() { s.sampler.Repairer().Run(ctx) })
	s.every(ctx, upkeep.ClaimInterval, nil, s.claim.Renew)
	s.every(ctx, upkeep.KeyRetentionInterval, nil, func(ctx context.Context) { upkeep.DeleteOldKeys(ctx, s.database, s.log) })
	return nil
}

// every runs work periodically until the store is closed.
func (s *Store) every(ctx context.Context, interval time.Duration, wake <-chan struct{}, work func(context.Context)) {
	s.running.Go(func() { upkeep.Every(ctx, interval, wake, work) })
}
