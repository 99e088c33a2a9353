package faults

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestF07PostgresKilled: Postgres is shut down at once three times and killed once, under load. Customers are told to
// try again, and a COMMIT whose answer was lost is settled by its key: each operation happens once.
func TestF07PostgresKilled(t *testing.T) {
	s := Open(t, Plan{Short: true, PrivatePostgres: true})
	load := s.Load()
	for _, fault := range []func() error{s.Postgres.Abort, s.Postgres.Abort, s.Postgres.Abort, s.Postgres.Kill} {
		load.More(250)
		s.Outage(func() { s.Must(fault(), s.Postgres.Start()) })
	}
	load.More(250)
	load.Stop()
	assert.Positive(t, load.Codes.Count("UNAVAILABLE"), "nobody noticed")
	assert.Empty(t, load.Codes.unexpected())
	assert.Empty(t, load.PageCodes.unexpected())
	s.Check()
}
