package store

import "context"

// Health is the state of the servers that the store uses.
type Health struct {
	// Database is nil when it answers.
	Database error
	// Redis is nil when it answers. Without it the store is degraded, not down.
	Redis error
}

// Health asks both servers now.
func (s *Store) Health(ctx context.Context) Health {
	_, redisErr := s.cache.Watermark(ctx)
	return Health{Database: s.database.Ping(ctx), Redis: redisErr}
}
