package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"onhand/store/database"
)

// claimEvery is how often a claim is looked after: a connection that was lost
// has taken an advisory lock with it.
const claimEvery = 5 * time.Second

// errAlone and errShared are what a process is told that must not start.
var (
	errAlone = errors.New("another Onhand process serves this database. Without REDIS_URL each process has a Redis of its own " +
		"and does not hear of the other's changes: set the same REDIS_URL for both, or stop the other one")
	errShared = errors.New("another Onhand process serves this database with a Redis of its own, which takes changes away from ours: " +
		"start it with the same REDIS_URL, or stop it")
)

// claim sees to it that processes which do not share a Redis do not share a
// database: with the embedded Redis this process must be the only one. Commands
// that do not serve (migrate, import) need no claim: the outbox tells whoever
// serves of what they change.
//
// A database that cannot say is served all the same. So is, on Postgres with a
// real Redis, one that is claimed: a lock left behind by a pooler must not keep
// a shop closed.
func (s *Store) claim(ctx context.Context) error {
	alone := s.embedded != nil
	claim, err := s.database.Claim(ctx, alone)
	refusal := errShared
	if alone {
		refusal = errAlone
	}
	s.claimed = time.Now()
	switch {
	case err == nil:
		s.holding, s.warned = claim, false
	case errors.Is(err, database.ErrClaimed) && (alone || strings.HasPrefix(s.config.DatabaseURL, "sqlite:")):
		return fmt.Errorf("%w (%w)", refusal, err)
	case errors.Is(err, database.ErrClaimed):
		s.warnOfClaim(refusal)
	case errors.Is(err, database.ErrNoClaim):
		s.warned = true // nothing to be done about it
		s.log.Debug("this process cannot tell whether it shares the database", "error", err)
	default:
		s.log.Debug("the database was not claimed yet", "error", err)
	}
	return nil
}

// keepClaim holds on to the claim, and takes it again where it was lost.
func (s *Store) keepClaim(ctx context.Context) {
	if time.Since(s.claimed) < claimEvery {
		return
	}
	s.claimed = time.Now()
	if s.holding != nil {
		if s.holding.Check(ctx) == nil {
			return
		}
		s.releaseClaim()
	}
	if err := s.claim(ctx); err != nil {
		s.warnOfClaim(err)
	}
}

// warnOfClaim says it once.
func (s *Store) warnOfClaim(err error) {
	if !s.warned {
		s.warned = true
		s.log.Error("changes may be missed", "error", err)
	}
}

func (s *Store) releaseClaim() {
	if s.holding != nil {
		s.holding.Release()
		s.holding = nil
	}
}
