package database

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/dialect"
)

// Bounds of a batch of writes.
const (
	// attemptsMax bounds how often a batch is tried when it fails by itself:
	// connections lost on the way, a server without room, keys met by two copies
	// at once. Such a thing has passed soon, or stays.
	attemptsMax = 8
	// contendedMax bounds how often it is tried when others got in its way
	// (contended): that many pauses are longer than a write has, so that its
	// deadline comes first, and nothing spins where there is none.
	contendedMax = 64
	// reapMax and reapLinesMax bound how many holds past their time one
	// transaction gives back for buyers who were short, and how many lines they
	// have together (one hold is never too many): that many are given back in a
	// transaction of their own, before the writes.
	expireMax      = 1000
	expireLinesMax = 4000
	// retryPause is the first pause between attempts; it doubles, jittered, up
	// to retryPauseMax.
	retryPause    = 2 * time.Millisecond
	retryPauseMax = 100 * time.Millisecond
	// settingsLocked is for how long a settings write asks again for rows that
	// are locked: all other writes of this process wait behind it.
	settingsLocked = time.Second
)

var errSettingsLocked = models.Unavailable("another transaction keeps rows locked that these settings change; try again", nil)

// reaping is a list of holds past their time, to be ended before the writes.
type expiryList struct {
	ids      []string
	lines    int
	linesMax int
}

// add takes holds over until there are enough of them.
func (r *expiryList) add(holds []dialect.OverdueLines) {
	for _, h := range holds {
		if r.full() {
			return
		}
		r.ids = append(r.ids, h.ID)
		r.lines += h.Lines
	}
}

func (r *expiryList) full() bool { return len(r.ids) >= expireMax || r.lines >= r.linesMax }

// Write decides a batch of writes in one transaction: each on its own, in
// order, seeing the effect of those before it. A write that fails for business
// reasons fails alone. When it returns without error, all is committed.
//
// Errors: a *LockedError when one transaction of somebody else keeps rows locked
// that some of the writes need; ErrTooLarge; UNAVAILABLE when the database does
// not answer in time. Nothing is known to have happened then; the same keys may
// be sent again.
func (d *Database) Write(ctx context.Context, writes []models.Write) (models.Outcome, error) {
	if len(writes) > 1 && slices.ContainsFunc(writes, decide.ChangesSettings) {
		return models.Outcome{}, dialect.ErrTooLarge
	}
	// The caller may go away; a batch that was started is finished.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.bounds.write)
	defer cancel()
	return d.write(ctx, writeBatch{writes: writes, expired: expiryList{linesMax: d.bounds.expireLines}})
}

// batch is the work of one transaction.
type writeBatch struct {
	writes  []models.Write
	expired expiryList // holds past their time, to be ended before the writes
}

// expiries end the holds past their time.
func (b writeBatch) expiries() []models.Write {
	writes := make([]models.Write, len(b.expired.ids))
	for i, id := range b.expired.ids {
		writes[i] = models.Resolve{ID: id, To: models.ReservationExpired}
	}
	return writes
}

// all is what one transaction decides, in order.
func (b writeBatch) all() []models.Write { return slices.Concat(b.expiries(), b.writes) }

func (d *Database) write(ctx context.Context, b writeBatch) (models.Outcome, error) {
	var (
		ended    models.Outcome // of holds that were ended apart
		began    = time.Now()
		pause    = retryPause
		lockWait = d.bounds.lockWait
		locks    models.Locks // as of the last attempt that met some
		last     error

		attempts, contentions int
	)
	for attempts < attemptsMax && contentions < contendedMax && ctx.Err() == nil {
		now, apart := b, b.expired.full()
		if apart {
			now.writes = nil
		}
		out, more, err := d.attempt(ctx, now, lockWait)
		switch {
		case err == nil && apart:
			ended = ended.Then(out)
			b.expired, attempts = expiryList{linesMax: b.expired.linesMax}, 0 // that many fewer: the deadline is bound enough
			continue
		case err == nil && len(more) == 0:
			return ended.Then(out), nil
		case err == nil:
			// Giving back for one buyer may leave the next one short of
			// something else, so the list only grows.
			b.expired.add(more)
			attempts++
			continue
		case errors.Is(err, dialect.ErrLocked) && ctx.Err() == nil:
			found, by, probeErr := d.blockedWrites(ctx, now, locks)
			if slices.ContainsFunc(by, func(rows []models.RowRef) bool { return len(rows) > 0 }) {
				return models.Outcome{}, &BlockedError{Rows: by}
			}
			if slices.ContainsFunc(b.writes, decide.ChangesSettings) && time.Since(began) > settingsLocked {
				return models.Outcome{}, errSettingsLocked
			}
			if locks != nil { // other copies' writes: our turn comes, for Postgres keeps a queue
				lockWait = max(lockWait, min(2*lockWait, lockTimeoutMax))
			}
			locks = found
			last = cmp.Or(probeErr, err)
		case errors.Is(err, dialect.ErrTooLarge):
			return models.Outcome{}, err
		case ctx.Err() != nil && contended(last) && dialect.Survivable(err):
			continue // out of time, because of others
		case !errors.Is(err, dialect.ErrRetry) || ctx.Err() != nil:
			return models.Outcome{}, d.Fault(err)
		default:
			last = err
		}
		if contended(err) {
			contentions++
		} else {
			attempts++
		}
		pause = pauseBetween(ctx, pause)
	}
	if last != nil && !dialect.Survivable(last) {
		return models.Outcome{}, d.Fault(last)
	}
	return models.Outcome{}, models.Unavailable("the stock is too busy; try again", last)
}

// rest pauses between two attempts, and gives the next pause.
func pauseBetween(ctx context.Context, pause time.Duration) time.Duration {
	select {
	case <-ctx.Done():
	case <-time.After(pause/2 + rand.N(pause)):
	}
	return min(2*pause, retryPauseMax)
}

// contended tells that somebody else was in the way: a deadlock, a serialisation
// failure, a lock. Trying again is worth while as long as there is time.
func contended(err error) bool {
	var refused *pgconn.PgError
	return errors.Is(err, dialect.ErrLocked) || dialect.Busy(err) ||
		errors.As(err, &refused) && (refused.Code == "40P01" || refused.Code == "40001")
}

// attempt runs the batch once. When buyers were short while holds of the same
// products are past their time, nothing is written, and those holds are
// returned: the next attempt ends them first.
func (d *Database) attempt(ctx context.Context, b writeBatch, lockWait time.Duration) (models.Outcome, []dialect.OverdueLines, error) {
	meta, err := d.currentMeta(ctx)
	if err != nil {
		return models.Outcome{}, nil, err
	}
	tx, err := d.engine.Begin(ctx, lockWait)
	if err != nil {
		return models.Outcome{}, nil, err
	}
	defer tx.Rollback()
	writes := b.all()
	linesMax := d.bounds.reservedLines
	if len(b.writes) <= 1 {
		linesMax = math.MaxInt32
	}
	hashes := meta.secret.HashAll(writes)
	v, err := tx.Load(ctx, decide.ReadSetOf(writes, hashes), linesMax)
	if err != nil {
		return models.Outcome{}, nil, err
	}
	if v.Epoch != meta.Epoch {
		d.notice(v.Epoch) // another history, another secret
		return models.Outcome{}, nil, dialect.ErrRetry
	}
	return d.finish(ctx, tx, v, writes, len(b.expired.ids), hashes)
}

// trustedMeta is the remembered meta with its secret, read where it is missing.
func (d *Database) currentMeta(ctx context.Context) (*Meta, error) {
	if m := d.meta.Load(); m != nil && m.secret != nil {
		return m, nil
	}
	m, err := d.ReadMeta(ctx)
	return &m, err
}

func (d *Database) finish(ctx context.Context, tx dialect.Transaction, v *decide.UnitOfWork, writes []models.Write, reaped int, hashes []decide.KeyHashes) (models.Outcome, []dialect.OverdueLines, error) {
	decider := &decide.Decider{UnitOfWork: v}
	results := make([]models.WriteResult, len(writes))
	for i, w := range writes {
		results[i] = decider.Decide(w, hashes[i])
		for _, s := range results[i].Stocks {
			v.NamedProducts[s.ProductID] = true
		}
	}
	if short := decide.SortedKeys(v.ShortProducts); v.AnyOverdue && len(short) > 0 {
		more, err := tx.OverdueOf(ctx, short, expireMax+len(v.ChangedReservations))
		if err != nil {
			return models.Outcome{}, nil, err
		}
		more = slices.DeleteFunc(more, func(h dialect.OverdueLines) bool { // those this attempt ended itself
			key, _ := decide.ReservationKey(h.ID)
			return v.ChangedReservations[key]
		})
		if len(more) > 0 {
			return models.Outcome{}, more, nil
		}
	}
	stocks, err := tx.Save(ctx, v)
	if err != nil {
		return models.Outcome{}, nil, err
	}
	d.executor.Learn(v)
	out := models.Outcome{Results: results[reaped:], Stocks: stocks}
	for _, list := range [][]*decide.StoredReservation{v.ReservationsToSave(true), v.ReservationsToSave(false)} {
		for _, s := range list {
			at := s.At(v.Now)
			out.Reservations = append(out.Reservations, &at)
		}
	}
	fillStocks(out)
	return out, nil, nil
}

// fillStocks puts the committed stocks where results only named the products.
func fillStocks(out models.Outcome) {
	byID := make(map[string]*models.Stock, len(out.Stocks))
	for _, s := range out.Stocks {
		byID[s.ProductID] = s
	}
	for _, r := range out.Results {
		for i, s := range r.Stocks {
			if committed := byID[s.ProductID]; committed != nil {
				r.Stocks[i] = committed
			}
		}
	}
}
