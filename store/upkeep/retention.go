package upkeep

import (
	"context"
	"log/slog"
	"time"
)

// KeyRetentionInterval is how often old idempotency keys are deleted.
const KeyRetentionInterval = time.Hour

// KeyStore keeps the answers to idempotency keys.
type KeyStore interface {
	// DeleteOldKeys deletes those that are too old to be sent again.
	DeleteOldKeys(ctx context.Context) error
}

// DeleteOldKeys deletes idempotency keys that are too old to be sent again.
func DeleteOldKeys(ctx context.Context, keys KeyStore, log *slog.Logger) {
	if err := keys.DeleteOldKeys(ctx); err != nil {
		log.Debug("old idempotency keys were not deleted", "error", err)
	}
}
