package store

import (
	"context"
	"time"
)

// preloadMax bounds how long a start reads products into the snapshot cache.
const preloadMax = 10 * time.Second

// preload reads products into the snapshot cache. Those that it does not reach within
// the bound are read when a write needs them.
func (s *Store) preload(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := s.database.Preload(ctx); err != nil && ctx.Err() == nil {
		s.log.Debug("products were not preloaded", "error", err)
	}
}
