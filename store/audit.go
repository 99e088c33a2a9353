package store

import (
	"context"
	"errors"
	"fmt"

	"onhand/store/audit"
	"onhand/store/database"
	"onhand/store/readthrough"
)

// auditSettle is how long Redis may be late before the sampled audit counts a
// difference: twice what an instance reads around a write that Redis missed.
const auditSettle = 2 * readthrough.BypassDuration

// Audit compares ledger, levels, reservations and Redis, product by product; see
// [audit.Run]. In a command without REDIS_URL, Redis is left out: the one that
// readers use is inside the server. Tables of a newer program are not audited.
func (s *Store) Audit(ctx context.Context, options audit.Options) (audit.Tally, error) {
	var newer *database.NewerSchemaError
	if err := s.database.RefuseNewer(ctx); errors.As(err, &newer) {
		return audit.Tally{}, fmt.Errorf("the database cannot be used: %w", err)
	}
	subjects := s.audited
	if s.publisher.muted.Load() {
		subjects.Redis = nil
	}
	return audit.Run(ctx, subjects, options)
}

// OutboxLen returns how many changes the relay has not drained yet.
func (s *Store) OutboxLen(ctx context.Context) (int64, error) { return s.database.OutboxLen(ctx) }
