package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"onhand/store"
	storeaudit "onhand/store/audit"
)

// checkAuditDatabase refuses what cannot be audited from outside the server.
func checkAuditDatabase(address string) error {
	path, isSQLite := strings.CutPrefix(address, "sqlite:")
	switch {
	case address == "", isSQLite && path != "" && path != ":memory:", strings.HasPrefix(address, "postgres://"), strings.HasPrefix(address, "postgresql://"):
		return nil
	case path == ":memory:":
		return errors.New("--audit-database: a database in the server's memory cannot be audited from outside")
	}
	return errors.New("--audit-database must be postgres://… or sqlite:PATH")
}

// auditStore does what "onhand audit" does: it compares ledger, levels, reservations and, where there is an address,
// Redis. Then it waits until the relay has drained the outbox.
func auditStore(ctx context.Context, config Config, report *AuditFindings) error {
	s, err := store.Open(store.Config{DatabaseURL: config.AuditDatabase, RedisURL: config.AuditRedis})
	if err != nil {
		return err
	}
	defer s.Close()
	found, err := s.Audit(ctx, storeaudit.Options{
		Settle: config.Settle, Found: func(d storeaudit.Difference) { report.differ("%s", d) },
	})
	if err != nil {
		return err
	}
	report.Database, report.Redis = true, found.Redis
	report.Levels, report.Movements, report.Hashes = int(found.Levels), int(found.Movements), int(found.Hashes)
	deadline := time.Now().Add(config.Settle)
	for left := found.OutboxRows; left > 0; {
		if time.Now().After(deadline) {
			report.differ("the outbox still has %d rows after %s", left, config.Settle)
			return nil
		}
		if err := waitUntil(ctx, time.Now().Add(settleEvery)); err != nil {
			return err
		}
		if left, err = s.OutboxLen(ctx); err != nil {
			return err
		}
	}
	return nil
}
