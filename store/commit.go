package store

import (
	"context"

	"onhand/store/database"
	"onhand/store/groupcommit"
)

// batches is the database as group commit sees it.
type batches struct{ *database.Database }

// Begin implements groupcommit.Database.
func (b batches) Begin() groupcommit.Batch { return b.Database.Begin() }

// publisher is the store as group commit sees it.
type publisher struct{ *Store }

// Publish implements groupcommit.Publisher.
func (p publisher) Publish(ctx context.Context, result database.BatchResult) {
	committed := false
	for _, attempt := range result.Attempts {
		p.metrics.ran(attempt.Writes, attempt.Took, attempt.Err)
		committed = committed || attempt.Err == nil
	}
	if committed {
		p.tell(ctx, result.Outcome)
	}
}
