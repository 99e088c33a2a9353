package database

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/decide/counting"
	"onhand/store/database/decide/holderusage"
	"onhand/store/database/decide/keyhash"
	"onhand/store/database/decide/readset"
	"onhand/store/database/dialect"
)

// Bounds of a batch under lock.
const (
	// attemptsMax bounds the attempts that fail for reasons of their own: a lost
	// connection, a server without room, a key that two instances used at once. Such a
	// reason is gone soon, or stays.
	attemptsMax = 8
	// contendedMax bounds the attempts that another transaction got in the way of. So
	// many pauses are longer than a write may take: its deadline comes first.
	contendedMax = 64
	// expireMax and expireLinesMax bound how many overdue reservations one transaction
	// ends for buyers who are short, and how many lines they have together (one
	// reservation is never too many). A full list is ended in a transaction of its own,
	// before the writes.
	expireMax      = 1000
	expireLinesMax = 4000
	// retryPause is the first pause between attempts. It doubles, jittered, up to
	// retryPauseMax.
	retryPause    = 2 * time.Millisecond
	retryPauseMax = 100 * time.Millisecond
	// settingsLocked bounds how long a settings write retries for locked rows: all other
	// writes of this instance wait for it.
	settingsLocked = time.Second
)

var errSettingsLocked = models.Unavailable("another transaction keeps rows locked that these settings change; try again", nil)

// WriteUnderLock decides and commits a batch of writes under lock, in one transaction: each
// write on its own, in order, seeing the effect of those before it. A write that fails
// for business reasons fails alone. When it returns no error, all is committed.
//
// Errors: a *BlockedError when another transaction keeps rows locked that some of the
// writes need; ErrTooLarge; UNAVAILABLE when the database does not answer in time.
// Nothing is known to have happened then; the same keys may be sent again.
func (d *Database) WriteUnderLock(ctx context.Context, writes []models.Write) (models.Outcome, error) {
	if len(writes) > 1 && slices.ContainsFunc(writes, decide.ChangesSettings) {
		return models.Outcome{}, dialect.ErrTooLarge
	}
	// The caller may leave; a batch that was started is finished.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.bounds.write)
	defer cancel()
	l := lockedWrite{
		db: d, began: time.Now(), pause: retryPause, lockWait: d.bounds.lockWait,
		batch: lockedBatch{writes: writes, expired: expiryList{linesMax: d.bounds.expireLines}},
	}
	return l.run(ctx)
}

// lockedBatch is the work of one transaction.
type lockedBatch struct {
	writes  []models.Write
	expired expiryList // overdue reservations to end before the writes
	// first are channels whose first active location the writes need.
	first map[string]bool
}

// missing is what an attempt lacked. The next attempt ends these overdue reservations
// first, and loads the first active location of these channels.
type missing struct {
	overdue []dialect.OverdueLines
	first   map[string]bool
}

func (m missing) none() bool { return len(m.overdue)+len(m.first) == 0 }

// add adds what an attempt lacked to the work of the batch. Both lists only grow: when one
// reservation is ended, the next buyer may be short of another product.
func (b *lockedBatch) add(m missing) {
	b.expired.add(m.overdue)
	if b.first == nil {
		b.first = map[string]bool{}
	}
	maps.Copy(b.first, m.first)
}

// expiries are the writes that end the overdue reservations.
func (b lockedBatch) expiries() []models.Write {
	writes := make([]models.Write, len(b.expired.ids))
	for i, id := range b.expired.ids {
		writes[i] = models.Resolve{ID: id, To: models.ReservationExpired}
	}
	return writes
}

// all is what one transaction decides, in order.
func (b lockedBatch) all() []models.Write { return slices.Concat(b.expiries(), b.writes) }

// expiryList lists overdue reservations that buyers of their products wait for.
type expiryList struct {
	ids      []string
	lines    int
	linesMax int
}

// add adds reservations until the list is full.
func (l *expiryList) add(found []dialect.OverdueLines) {
	for _, r := range found {
		if l.full() {
			return
		}
		l.ids = append(l.ids, r.ID)
		l.lines += r.Lines
	}
}

func (l *expiryList) full() bool { return len(l.ids) >= expireMax || l.lines >= l.linesMax }

// lockedWrite is the state of one WriteUnderLock over its attempts.
type lockedWrite struct {
	db       *Database
	batch    lockedBatch
	ended    models.Outcome // of overdue reservations that were ended in transactions of their own
	began    time.Time
	pause    time.Duration
	lockWait time.Duration
	locks    dialect.Locks // of the last attempt that met some
	last     error

	failed, contended int
}

// run repeats attempts until one commits, or one fails for good, or a bound is reached.
func (l *lockedWrite) run(ctx context.Context) (models.Outcome, error) {
	for l.failed < attemptsMax && l.contended < contendedMax && ctx.Err() == nil {
		batch, alone := l.batch, l.batch.expired.full()
		if alone {
			batch.writes = nil
		}
		out, lacks, err := l.db.tryOnce(ctx, batch, l.lockWait)
		switch {
		case err == nil && alone:
			l.ended = l.ended.Then(out)
			l.batch.expired, l.failed = expiryList{linesMax: l.batch.expired.linesMax}, 0 // fewer are left; the deadline bounds the attempts
		case err == nil && lacks.none():
			return l.ended.Then(out), nil
		case err == nil:
			l.batch.add(lacks)
			l.failed++
		default:
			if err := l.fail(ctx, batch, err); err != nil {
				return models.Outcome{}, err
			}
		}
	}
	if l.last != nil && !dialect.Survivable(l.last) {
		return models.Outcome{}, l.db.Fault(l.last)
	}
	return models.Outcome{}, models.Unavailable("the stock is too busy; try again", l.last)
}

// fail notes a failed attempt and pauses. It returns an error when there must be no
// other attempt.
func (l *lockedWrite) fail(ctx context.Context, batch lockedBatch, err error) error {
	switch {
	case errors.Is(err, dialect.ErrLocked) && ctx.Err() == nil:
		if blocked := l.noteLocks(ctx, batch, err); blocked != nil {
			return blocked
		}
	case errors.Is(err, dialect.ErrTooLarge):
		return err
	case ctx.Err() != nil && contended(l.last) && dialect.Survivable(err):
		return nil // out of time, because of other transactions
	case !errors.Is(err, dialect.ErrRetry) || ctx.Err() != nil:
		return l.db.Fault(err)
	default:
		l.last = err
	}
	if contended(err) {
		l.contended++
	} else {
		l.failed++
	}
	l.pause = pauseBetween(ctx, l.pause)
	return nil
}

// noteLocks finds out which rows an attempt could not lock. It returns an error when one
// transaction keeps them locked. A row that passes from one transaction to the next is
// in demand: Postgres queues for it, so the next attempt waits longer.
func (l *lockedWrite) noteLocks(ctx context.Context, batch lockedBatch, err error) error {
	found, rows, probeErr := l.db.blockedWrites(ctx, batch, l.locks)
	if slices.ContainsFunc(rows, func(r []dialect.RowRef) bool { return len(r) > 0 }) {
		return &BlockedError{Rows: rows}
	}
	if slices.ContainsFunc(l.batch.writes, decide.ChangesSettings) && time.Since(l.began) > settingsLocked {
		return errSettingsLocked
	}
	if l.locks != nil {
		l.lockWait = max(l.lockWait, min(2*l.lockWait, lockTimeoutMax))
	}
	l.locks, l.last = found, cmp.Or(probeErr, err)
	return nil
}

// pauseBetween pauses between two attempts, and returns the next pause.
func pauseBetween(ctx context.Context, pause time.Duration) time.Duration {
	select {
	case <-ctx.Done():
	case <-time.After(pause/2 + rand.N(pause)):
	}
	return min(2*pause, retryPauseMax)
}

// contended reports whether another transaction was in the way: a deadlock, a
// serialisation failure, a lock.
func contended(err error) bool {
	var refused *pgconn.PgError
	return errors.Is(err, dialect.ErrLocked) || dialect.Busy(err) ||
		errors.As(err, &refused) && (refused.Code == "40P01" || refused.Code == "40001")
}

// tryOnce runs a batch once. When buyers are short while reservations of the same
// products are overdue, it writes nothing and returns those reservations; likewise the
// channels whose first location is needed.
func (d *Database) tryOnce(ctx context.Context, b lockedBatch, lockWait time.Duration) (models.Outcome, missing, error) {
	meta, err := d.currentMeta(ctx)
	if err != nil {
		return models.Outcome{}, missing{}, err
	}
	tx, err := d.engine.Begin(ctx, lockWait)
	if err != nil {
		return models.Outcome{}, missing{}, err
	}
	defer tx.Rollback()
	writes := b.all()
	linesMax := d.bounds.reservedLines
	if len(b.writes) <= 1 {
		linesMax = math.MaxInt32
	}
	hashes := meta.secret.HashAll(writes)
	needs := readset.Of(writes, hashes)
	needs.First = decide.SortedKeys(b.first)
	if !d.HolderLimits.On() {
		needs.Held = holderusage.NeededHoldings{}
	}
	unit, err := tx.Load(ctx, needs, linesMax)
	if err != nil {
		return models.Outcome{}, missing{}, err
	}
	if unit.Counts.Entries() > counting.EntriesTotalMax && len(b.writes) > 1 {
		return models.Outcome{}, missing{}, dialect.ErrTooLarge // alone, a write has the whole bound
	}
	if unit.Epoch != meta.Epoch {
		d.notice(unit.Epoch) // another epoch may have another secret
		return models.Outcome{}, missing{}, dialect.ErrRetry
	}
	unit.Holdings.Limits = d.HolderLimits
	unit.CountPurchases(needs.Reservations)
	results := decideAll(unit, writes, hashes)
	if unit.Holdings.Unlocked() { // a reservation became counted before it was locked
		return models.Outcome{}, missing{}, dialect.ErrRetry
	}
	lacks := missing{first: unit.Unplaced}
	if lacks.overdue, err = overdueOfShort(ctx, tx, unit); err != nil || !lacks.none() {
		return models.Outcome{}, lacks, err
	}
	stocks, err := tx.Save(ctx, unit)
	if err != nil {
		return models.Outcome{}, missing{}, err
	}
	d.executor.Learn(unit)
	d.executor.NoteFull(append(unit.Holdings.Full(), unit.Purchases.Full()...))
	return outcomeOf(unit, results[len(b.expired.ids):], stocks), missing{}, nil
}

// decideAll decides writes in order.
func decideAll(unit *decide.UnitOfWork, writes []models.Write, hashes []keyhash.KeyHashes) []models.WriteResult {
	decider := &decide.Decider{UnitOfWork: unit}
	results := make([]models.WriteResult, len(writes))
	for i, w := range writes {
		results[i] = decider.Decide(w, hashes[i])
		for _, s := range results[i].Stocks {
			unit.NamedProducts[s.ProductID] = true
		}
	}
	return results
}

// overdueOfShort lists overdue reservations of products that buyers were short of, and of
// holders that were at a limit, without those that this attempt ends itself.
func overdueOfShort(ctx context.Context, tx dialect.Transaction, unit *decide.UnitOfWork) ([]dialect.OverdueLines, error) {
	short, full := decide.SortedKeys(unit.ShortProducts), unit.Holdings.Full()
	if !unit.AnyOverdue || len(short)+len(full) == 0 {
		return nil, nil
	}
	found, err := tx.OverdueOf(ctx, short, full, expireMax+len(unit.ChangedReservations))
	return slices.DeleteFunc(found, func(r dialect.OverdueLines) bool {
		key, _ := decide.ReservationKey(r.ID)
		return unit.ChangedReservations[key]
	}), err
}

// outcomeOf is the outcome of a committed unit of work. Where results only name
// products, it puts the committed stock.
func outcomeOf(unit *decide.UnitOfWork, results []models.WriteResult, stocks []*models.Stock) models.Outcome {
	out := models.Outcome{Results: results, Stocks: stocks}
	for _, list := range [][]*decide.StoredReservation{unit.ReservationsToSave(true), unit.ReservationsToSave(false)} {
		for _, s := range list {
			at := s.At(unit.Now)
			out.Reservations = append(out.Reservations, &at)
		}
	}
	byID := make(map[string]*models.Stock, len(stocks))
	for _, s := range stocks {
		byID[s.ProductID] = s
	}
	for _, r := range results {
		for i, s := range r.Stocks {
			if committed := byID[s.ProductID]; committed != nil {
				r.Stocks[i] = committed
			}
		}
	}
	return out
}
