package upkeep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"onhand/store/database"
)

// ClaimInterval is how often a claim is renewed. A connection that was lost has
// taken its advisory lock with it.
const ClaimInterval = 5 * time.Second

// errServedByAnother and errServedWithoutRedis refuse the start of an instance.
var (
	errServedByAnother = errors.New("another Onhand process serves this database. Without REDIS_URL each process has a Redis of its own " +
		"and does not hear of the other's changes: set the same REDIS_URL for both, or stop the other one")
	errServedWithoutRedis = errors.New("another Onhand process serves this database with a Redis of its own, which takes changes away from ours: " +
		"start it with the same REDIS_URL, or stop it")
)

// ClaimSource claims the database for this process, or answers
// database.ErrClaimed or database.ErrNoClaim.
type ClaimSource interface {
	Claim(ctx context.Context, exclusive bool) (*database.Claim, error)
}

// ServingClaim keeps instances that do not share a Redis from serving one
// database: an instance whose Redis is embedded must be the only one. Commands
// that do not serve need no claim, because the outbox has what they change.
// Call its methods one after the other.
type ServingClaim struct {
	Database ClaimSource
	// Exclusive excludes every other instance.
	Exclusive bool
	// Mandatory refuses to serve beside another claim even where Exclusive is not
	// set. Without it, an instance with a real Redis only warns: a lock that a
	// connection pooler left behind must not keep a shop closed.
	Mandatory bool
	Logger    *slog.Logger

	claim  *database.Claim // nil: none
	warned bool
}

// Acquire claims the database. The error refuses the start. A database that
// cannot be asked, or has no locks, is served all the same.
func (c *ServingClaim) Acquire(ctx context.Context) error {
	claim, err := c.Database.Claim(ctx, c.Exclusive)
	refusal := errServedWithoutRedis
	if c.Exclusive {
		refusal = errServedByAnother
	}
	switch {
	case err == nil:
		c.claim, c.warned = claim, false
	case errors.Is(err, database.ErrClaimed) && (c.Exclusive || c.Mandatory):
		return fmt.Errorf("%w (%w)", refusal, err)
	case errors.Is(err, database.ErrClaimed):
		c.warnOnce(refusal)
	case errors.Is(err, database.ErrNoClaim):
		c.warned = true // nothing can be done about it
		c.Logger.Debug("this process cannot find out whether it shares the database", "error", err)
	default:
		c.Logger.Debug("the database was not claimed yet", "error", err)
	}
	return nil
}

// Renew checks the claim, and claims the database again when it was lost.
func (c *ServingClaim) Renew(ctx context.Context) {
	if c.claim != nil {
		if c.claim.Check(ctx) == nil {
			return
		}
		c.Release()
	}
	if err := c.Acquire(ctx); err != nil {
		c.warnOnce(err)
	}
}

// Release ends the claim, if there is one.
func (c *ServingClaim) Release() {
	if c.claim != nil {
		c.claim.Release()
		c.claim = nil
	}
}

func (c *ServingClaim) warnOnce(err error) {
	if !c.warned {
		c.warned = true
		c.Logger.Error("changes may be missed", "error", err)
	}
}
