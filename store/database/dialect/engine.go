package dialect

import (
	"context"
	"io/fs"
	"time"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/decide/readset"
)

// Engine is what differs between the engines in code.
type Engine interface {
	// Begin starts a write transaction, which ends with Save or Rollback. It waits
	// no longer than lockWait for one row.
	Begin(ctx context.Context, lockWait time.Duration) (Transaction, error)
	// Locked reports which of these rows other transactions have locked. It looks in
	// a transaction of its own.
	Locked(ctx context.Context, products []string, reservations [][16]byte) (Locks, error)
	// Overdue lists active reservations past their expiry, oldest first, with their
	// products: at most limit reservations, and no more when those have linesMax
	// lines together. It leaves out those with one of the products without.
	Overdue(ctx context.Context, limit, linesMax int, without []string) ([]OverdueReservation, error)
	// LinesOf lists the products of reservations.
	LinesOf(ctx context.Context, reservations [][16]byte) (map[[16]byte][]string, error)
	// Drain claims up to limit outbox rows, oldest first, and calls publish with their
	// changes. If that returns nil it deletes them, and returns how many there were. Rows
	// that another instance has claimed are left out. The server takes the rows back from a
	// process that is silent for idle.
	//
	// Where the outbox has at most ahead rows, publish also gets the stock of their
	// products, as of the claim or later, if it could be read in the same round trip.
	Drain(ctx context.Context, limit, ahead int, idle time.Duration, publish func(context.Context, []models.Change, []*models.Stock) error) (drained int, err error)
	// Listen calls wake when it listens and then for every change by an outside
	// writer, until the connection is lost or ctx ends.
	//
	// Errors: models.ErrNoNotifications.
	Listen(ctx context.Context, wake func()) error
	// ListenAt has Listen connect by another URL: past a pooler that is between. It is
	// called before Listen.
	//
	// Errors: models.ErrNoNotifications; a URL that cannot be parsed, without its password.
	ListenAt(url string) error
	// Claim registers this process with the database without waiting.
	//
	// Errors: ErrClaimed, ErrNoClaim.
	Claim(ctx context.Context, exclusive bool) (*Claim, error)
	// ClaimMigration registers this process as the one that migrates, without
	// waiting.
	//
	// Errors: ErrClaimed, ErrNoClaim.
	ClaimMigration() (release func(), err error)
	// Migrations returns the engine's migrations and goose's name of the engine.
	Migrations() (dialect string, files fs.FS)
}

// Transaction is one write transaction of an engine. Its rows are locked until
// Save or Rollback.
type Transaction interface {
	// Expire ends the reservations that are still active and past their expiry. It
	// skips reservations that another transaction has locked. It also locks and loads
	// the levels of the products, and before them the rows of the holders, all in at most
	// one round trip. The unit of work has the reservations that it ended.
	Expire(ctx context.Context, reservations [][16]byte, products, holders []string) (*decide.UnitOfWork, error)
	// Load locks and reads what the batch needs, in at most one round trip. When its
	// reservations have more lines than linesMax, it reads no levels and returns
	// ErrTooLarge.
	Load(ctx context.Context, w readset.ReadSet, linesMax int) (*decide.UnitOfWork, error)
	// OverdueOf lists active reservations past their expiry that hold one of the
	// products, or are counted for one of the holders, oldest first, at most limit.
	OverdueOf(ctx context.Context, products, holders []string, limit int) ([]OverdueLines, error)
	// Save writes what was decided and commits, in at most one round trip. It
	// returns the committed stock of the products that were changed or named.
	Save(ctx context.Context, u *decide.UnitOfWork) ([]*models.Stock, error)
	// Rollback ends the transaction without effect. After Save it does nothing.
	Rollback()
}

// Claim registers one process with a database: shared, or exclusive. It ends with
// the process.
type Claim struct {
	// Alive checks the claim; nil where it lives as long as the process.
	Alive func(context.Context) error
	// End ends the claim; nil where there is nothing to do.
	End func()
}

// Check reports whether the claim still holds; a lost connection ends one.
func (c *Claim) Check(ctx context.Context) error {
	if c.Alive == nil {
		return nil
	}
	return c.Alive(ctx)
}

// Release ends the claim.
func (c *Claim) Release() {
	if c.End != nil {
		c.End()
	}
}

// ReservedLinesMax bounds the lines of all reservations that a batch of several writes
// may load.
const ReservedLinesMax = 10_000

// Switches turn off optimisations of the write path, for benchmarks that measure what
// each gains.
type Switches struct {
	NoPolling         bool // of connections for answers (postgres/polling.go)
	NoHandwrittenJSON bool // (decide/json.go)
	NoConditional     bool // decrement for contended products (optimistic/contention.go)
}
