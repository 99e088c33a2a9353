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
	reapMax      = 1000
	reapLinesMax = 4000
	// heldLinesMax bounds the lines of all reservations that a batch of several
	// writes may work on.
	heldLinesMax = 10_000
	// retryPause is the first pause between attempts; it doubles, jittered, up
	// to retryPauseMax.
	retryPause    = 2 * time.Millisecond
	retryPauseMax = 100 * time.Millisecond
	// settingsLocked is for how long a settings write asks again for rows that
	// are locked: all other writes of this process wait behind it.
	settingsLocked = time.Second
)

var (
	// errRetry is what engines wrap around failures that another attempt may
	// well survive; errLocked, around those of a lock that was not had in time.
	errRetry  = errors.New("try again")
	errLocked = errors.New("locked by somebody else")

	errSettingsLocked = models.Unavailable("somebody else keeps rows locked that these settings change; try again", nil)

	// ErrTooLarge refuses a batch of several writes whose reservations have too
	// many lines together, or of which one changes settings: such writes go
	// alone. Nothing was written; send its halves.
	ErrTooLarge = errors.New("the batch is too large for one transaction")
)

// transaction is one write transaction of an engine. Its rows are locked until
// save or rollback.
type transaction interface {
	// expire ends those of the holds that are still active and past their time,
	// passing over those somebody else works on, and loads the levels of these
	// products, locked, in at most one round trip. What it ended is in held.
	expire(ctx context.Context, holds [][16]byte, products []string) (*view, error)
	// load locks and reads what is wanted, in at most one round trip. When the
	// reservations wanted have more lines than linesMax, it reads no levels and
	// returns ErrTooLarge.
	load(ctx context.Context, w wants, linesMax int) (*view, error)
	// dueOf finds active holds past their time that hold one of the products,
	// oldest first, at most limit.
	dueOf(ctx context.Context, products []string, limit int) ([]dueHold, error)
	// save writes what was decided and commits, in at most one round trip. It
	// returns the products that watchers and answers are told of, as committed.
	save(ctx context.Context, v *view) ([]*models.Stock, error)
	// rollback ends the transaction without effect. After save it does nothing.
	rollback()
}

// dueHold is a hold past its time.
type dueHold struct {
	id    string
	lines int
}

// reaping is a list of holds past their time, to be ended before the writes.
type reaping struct {
	ids      []string
	lines    int
	linesMax int
}

// add takes holds over until there are enough of them.
func (r *reaping) add(holds []dueHold) {
	for _, h := range holds {
		if r.full() {
			return
		}
		r.ids = append(r.ids, h.id)
		r.lines += h.lines
	}
}

func (r *reaping) full() bool { return len(r.ids) >= reapMax || r.lines >= r.linesMax }

// Write decides a batch of writes in one transaction: each on its own, in
// order, seeing the effect of those before it. A write that fails for business
// reasons fails alone. When it returns without error, all is committed.
//
// Errors: a *LockedError when one transaction of somebody else keeps rows locked
// that some of the writes need; ErrTooLarge; UNAVAILABLE when the database does
// not answer in time. Nothing is known to have happened then; the same keys may
// be sent again.
func (d *Database) Write(ctx context.Context, writes []models.Write) (models.Outcome, error) {
	if len(writes) > 1 && slices.ContainsFunc(writes, Alone) {
		return models.Outcome{}, ErrTooLarge
	}
	// The caller may go away; a batch that was started is finished.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.bounds.write)
	defer cancel()
	return d.write(ctx, batch{writes: writes, reap: reaping{linesMax: d.bounds.reapLines}})
}

// batch is the work of one transaction.
type batch struct {
	writes []models.Write
	reap   reaping // holds past their time, to be ended before the writes
}

// expiries end the holds past their time.
func (b batch) expiries() []models.Write {
	writes := make([]models.Write, len(b.reap.ids))
	for i, id := range b.reap.ids {
		writes[i] = models.Resolve{ID: id, To: models.ReservationExpired}
	}
	return writes
}

// all is what one transaction decides, in order.
func (b batch) all() []models.Write { return slices.Concat(b.expiries(), b.writes) }

func (d *Database) write(ctx context.Context, b batch) (models.Outcome, error) {
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
		now, apart := b, b.reap.full()
		if apart {
			now.writes = nil
		}
		out, more, err := d.attempt(ctx, now, lockWait)
		switch {
		case err == nil && apart:
			ended = ended.Then(out)
			b.reap, attempts = reaping{linesMax: b.reap.linesMax}, 0 // that many fewer: the deadline is bound enough
			continue
		case err == nil && len(more) == 0:
			return ended.Then(out), nil
		case err == nil:
			// Giving back for one buyer may leave the next one short of
			// something else, so the list only grows.
			b.reap.add(more)
			attempts++
			continue
		case errors.Is(err, errLocked) && ctx.Err() == nil:
			found, by, probeErr := d.whoWaits(ctx, now, locks)
			if slices.ContainsFunc(by, func(rows []models.RowRef) bool { return len(rows) > 0 }) {
				return models.Outcome{}, &LockedError{By: by}
			}
			if slices.ContainsFunc(b.writes, Alone) && time.Since(began) > settingsLocked {
				return models.Outcome{}, errSettingsLocked
			}
			if locks != nil { // other copies' writes: our turn comes, for Postgres keeps a queue
				lockWait = max(lockWait, min(2*lockWait, lockTimeoutMax))
			}
			locks = found
			last = cmp.Or(probeErr, err)
		case errors.Is(err, ErrTooLarge):
			return models.Outcome{}, err
		case ctx.Err() != nil && contended(last) && d.engine.survivable(err):
			continue // out of time, because of others
		case !errors.Is(err, errRetry) || ctx.Err() != nil:
			return models.Outcome{}, d.fault(err)
		default:
			last = err
		}
		if contended(err) {
			contentions++
		} else {
			attempts++
		}
		pause = rest(ctx, pause)
	}
	if last != nil && !d.engine.survivable(last) {
		return models.Outcome{}, d.fault(last)
	}
	return models.Outcome{}, models.Unavailable("the stock is too busy; try again", last)
}

// rest pauses between two attempts, and gives the next pause.
func rest(ctx context.Context, pause time.Duration) time.Duration {
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
	return errors.Is(err, errLocked) || busy(err) ||
		errors.As(err, &refused) && (refused.Code == "40P01" || refused.Code == "40001")
}

// attempt runs the batch once. When buyers were short while holds of the same
// products are past their time, nothing is written, and those holds are
// returned: the next attempt ends them first.
func (d *Database) attempt(ctx context.Context, b batch, lockWait time.Duration) (models.Outcome, []dueHold, error) {
	meta, err := d.trustedMeta(ctx)
	if err != nil {
		return models.Outcome{}, nil, err
	}
	tx, err := d.engine.begin(ctx, lockWait)
	if err != nil {
		return models.Outcome{}, nil, err
	}
	defer tx.rollback()
	writes := b.all()
	linesMax := d.bounds.heldLines
	if len(b.writes) <= 1 {
		linesMax = math.MaxInt32
	}
	hashes := hashesOf(meta.secret, writes)
	v, err := tx.load(ctx, wantsOf(writes, hashes), linesMax)
	if err != nil {
		return models.Outcome{}, nil, err
	}
	if v.epoch != meta.Epoch {
		d.notice(v.epoch) // another history, another secret
		return models.Outcome{}, nil, errRetry
	}
	return d.finish(ctx, tx, v, writes, len(b.reap.ids), hashes)
}

// trustedMeta is the remembered meta with its secret, read where it is missing.
func (d *Database) trustedMeta(ctx context.Context) (*Meta, error) {
	if m := d.meta.Load(); m != nil && m.secret != "" {
		return m, nil
	}
	m, err := d.ReadMeta(ctx)
	return &m, err
}

func (d *Database) finish(ctx context.Context, tx transaction, v *view, writes []models.Write, reaped int, hashes []keyHashes) (models.Outcome, []dueHold, error) {
	decider := &decider{view: v}
	results := make([]models.WriteResult, len(writes))
	for i, w := range writes {
		results[i] = decider.decide(w, hashes[i])
		for _, s := range results[i].Stocks {
			v.named[s.ProductID] = true
		}
	}
	if short := sortedKeys(v.shortOf); v.anyDue && len(short) > 0 {
		more, err := tx.dueOf(ctx, short, reapMax+len(v.changed))
		if err != nil {
			return models.Outcome{}, nil, err
		}
		more = slices.DeleteFunc(more, func(h dueHold) bool { // those this attempt ended itself
			key, _ := reservationKey(h.id)
			return v.changed[key]
		})
		if len(more) > 0 {
			return models.Outcome{}, more, nil
		}
	}
	stocks, err := tx.save(ctx, v)
	if err != nil {
		return models.Outcome{}, nil, err
	}
	d.learn(v)
	out := models.Outcome{Results: results[reaped:], Stocks: stocks}
	for _, list := range [][]*storedReservation{v.reservations(true), v.reservations(false)} {
		for _, s := range list {
			at := s.At(v.now)
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
