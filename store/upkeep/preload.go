package upkeep

import (
	"context"
	"log/slog"
	"time"
)

// PreloadTimeout bounds the preload of an instance that starts.
const PreloadTimeout = 10 * time.Second

// PreloadSource reads products into the snapshot cache.
type PreloadSource interface {
	Preload(ctx context.Context) error
}

// Preload fills the snapshot cache for at most timeout, so that an instance that
// starts in a rush decides its first reservations on it. Products that are not
// reached are read when a write asks for them.
func Preload(ctx context.Context, source PreloadSource, timeout time.Duration, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := source.Preload(ctx); err != nil && ctx.Err() == nil {
		log.Debug("products were not preloaded", "error", err)
	}
}
