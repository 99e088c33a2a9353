package database

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"onhand/models"
)

// Bounds of a batch of writes.
const (
	// attemptsMax bounds how often a batch is tried: deadlocks, serialisation
	// failures, connections lost on the way, keys met by two copies at once.
	attemptsMax = 8
	// reapMax bounds how many holds past their time are looked up at once for
	// buyers who were short. From there on they are given back in a transaction
	// of their own, before the writes.
	reapMax = 1000
	// retryPause is the first pause between attempts; it doubles, jittered.
	retryPause = 2 * time.Millisecond
)

// errRetry is what engines wrap around failures that another attempt may
// well survive.
var errRetry = errors.New("try again")

// transaction is one write transaction of an engine. Its rows are locked until
// save or rollback.
type transaction interface {
	// due picks active holds past their time, oldest first, at most limit,
	// passing over those somebody else works on. They stay locked.
	due(ctx context.Context, limit int) ([]string, error)
	// load locks and reads what is wanted, in at most one round trip.
	load(ctx context.Context, w wants) (*view, error)
	// dueOf finds active holds past their time that hold one of the products.
	dueOf(ctx context.Context, products []string, limit int) ([]string, error)
	// save writes what was decided, reads the touched products back and
	// commits, in at most one round trip.
	save(ctx context.Context, v *view) ([]*models.Stock, error)
	// rollback ends the transaction without effect. After save it does nothing.
	rollback()
}

// Outcome is what a batch of writes came to, after its commit.
type Outcome struct {
	// Results are in the order of the writes.
	Results []models.WriteResult
	// Stocks are the products that were touched or are named by a result, as
	// committed, to be told to Redis.
	Stocks []*models.Stock
	// Reservations are those that changed.
	Reservations []*models.Reservation
}

// Write decides a batch of writes in one transaction: each on its own, in
// order, seeing the effect of those before it. A write that fails for business
// reasons fails alone. When it returns without error, all is committed.
//
// Errors: UNAVAILABLE when the database does not answer in time, or there is
// no room. Nothing is known to have happened then; the same keys may be sent
// again.
func (d *Database) Write(ctx context.Context, writes []models.Write) (Outcome, error) {
	// The caller may go away; a batch that was started is finished.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	return d.write(ctx, writes, 0)
}

// ExpireDue ends active holds whose time is over, oldest first, at most limit.
// It passes over what another copy is expiring. It returns what it ended.
func (d *Database) ExpireDue(ctx context.Context, limit int) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return d.write(ctx, nil, limit)
}

func (d *Database) write(ctx context.Context, writes []models.Write, due int) (Outcome, error) {
	var (
		reap  []string // holds past their time, to be ended first
		ended Outcome  // of those that were ended apart
		pause = retryPause
		last  error
	)
	for attempt := 0; attempt < attemptsMax; attempt++ {
		batch, apart := writes, len(reap) >= reapMax
		if apart {
			batch = nil
		}
		out, more, err := d.attempt(ctx, batch, due, reap)
		switch {
		case err == nil && apart:
			ended = ended.then(out)
			reap, attempt = nil, 0 // that many fewer: the deadline is bound enough
			continue
		case err == nil && len(more) == 0:
			return ended.then(out), nil
		case err == nil:
			// Giving back for one buyer may leave the next one short of
			// something else, so the list only grows.
			reap = append(reap, more...)
			continue
		case !errors.Is(err, errRetry) || ctx.Err() != nil:
			return Outcome{}, d.fault(err)
		}
		last = err
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, 100*time.Millisecond)
	}
	return Outcome{}, models.Unavailable("the stock is too busy; try again", last)
}

// attempt runs the batch once. When buyers were short while holds of the same
// products are past their time, nothing is written, and those holds are
// returned: the next attempt ends them first.
func (d *Database) attempt(ctx context.Context, writes []models.Write, due int, reap []string) (Outcome, []string, error) {
	meta, err := d.knownMeta(ctx)
	if err != nil {
		return Outcome{}, nil, err
	}
	if meta.secret == "" {
		if _, err := d.ReadMeta(ctx); err != nil {
			return Outcome{}, nil, err
		}
		meta = d.meta.Load()
	}
	tx, err := d.engine.begin(ctx)
	if err != nil {
		return Outcome{}, nil, err
	}
	defer tx.rollback()
	if due > 0 {
		if reap, err = tx.due(ctx, due); err != nil || len(reap) == 0 {
			return Outcome{}, nil, err
		}
	}
	all := make([]models.Write, 0, len(reap)+len(writes))
	for _, id := range reap {
		all = append(all, models.Resolve{ID: id, To: models.ReservationExpired})
	}
	all = append(all, writes...)
	v, err := tx.load(ctx, wantsOf(all, meta.secret))
	if err != nil {
		return Outcome{}, nil, err
	}
	if v.epoch != meta.Epoch {
		d.notice(v.epoch) // another history, another secret
		return Outcome{}, nil, errRetry
	}
	return d.finish(ctx, tx, v, all, len(reap), meta.secret)
}

func (d *Database) finish(ctx context.Context, tx transaction, v *view, all []models.Write, reaped int, secret string) (Outcome, []string, error) {
	decider := &decider{view: v, secret: secret}
	results := make([]models.WriteResult, len(all))
	for i, w := range all {
		results[i] = decider.decide(w)
		for _, s := range results[i].Stocks {
			v.named[s.ProductID] = true
		}
	}
	if v.anyDue && len(v.shortOf) > 0 {
		more, err := tx.dueOf(ctx, sortedKeys(v.shortOf), reapMax+len(v.changed))
		if err != nil {
			return Outcome{}, nil, err
		}
		more = slices.DeleteFunc(more, func(id string) bool { // those this attempt ended itself
			key, _ := reservationKey(id)
			return v.changed[key]
		})
		if len(more) > 0 {
			return Outcome{}, more, nil
		}
	}
	stocks, err := tx.save(ctx, v)
	if err != nil {
		return Outcome{}, nil, err
	}
	out := Outcome{Results: results[reaped:], Stocks: stocks}
	for _, list := range [][]*storedReservation{v.reservations(true), v.reservations(false)} {
		for _, s := range list {
			at := s.At(v.now)
			out.Reservations = append(out.Reservations, &at)
		}
	}
	fillStocks(out)
	return out, nil, nil
}

// then is the outcome of o followed by later: the newest of every stock.
func (o Outcome) then(later Outcome) Outcome {
	if len(o.Reservations) == 0 {
		return later
	}
	newer := make(map[string]bool, len(later.Stocks))
	for _, s := range later.Stocks {
		newer[s.ProductID] = true
	}
	for _, s := range o.Stocks {
		if !newer[s.ProductID] {
			later.Stocks = append(later.Stocks, s)
		}
	}
	later.Reservations = append(o.Reservations, later.Reservations...)
	return later
}

// fillStocks puts the committed stocks where results only named the products.
func fillStocks(out Outcome) {
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

// wantsOf collects what a batch touches.
func wantsOf(writes []models.Write, secret string) wants {
	w := collector{products: map[string]bool{}, locations: map[string]bool{}, channels: map[string]bool{}, reservations: map[[16]byte]bool{}, keys: map[[16]byte]bool{}, updated: map[[16]byte]bool{}}
	for _, write := range writes {
		if write.Key() != "" {
			w.keys[derive(secret, "key", write.Key())] = true
			// The key of a hold is on record as the id made from it.
			w.reservations[derive(secret, "reservation", write.Key())] = true
		}
		switch write := write.(type) {
		case models.Reserve:
			w.lines(write.Lines)
			if write.Channel != "" {
				w.channels[write.Channel] = true
			}
		case models.UpdateReservation:
			w.reservation(write.ID)
			if key, ok := reservationKey(write.ID); ok {
				w.updated[key] = true
			}
			w.lines(write.Lines)
		case models.ExtendReservation:
			w.reservation(write.ID)
		case models.Resolve:
			w.reservation(write.ID)
		case models.Adjust:
			for _, row := range write.Rows {
				w.products[row.ProductID] = true
				w.locations[row.LocationID] = true
			}
		case models.SetStock:
			for _, row := range write.Rows {
				w.products[row.ProductID] = true
				w.locations[row.LocationID] = true
			}
		}
	}
	return wants{
		products: sortedKeys(w.products), locations: sortedKeys(w.locations), channels: sortedKeys(w.channels),
		reservations: binaryKeys(w.reservations), keys: binaryKeys(w.keys), updated: binaryKeys(w.updated),
	}
}

// collector gathers wants without repeats.
type collector struct {
	products, locations, channels map[string]bool
	reservations, keys, updated   map[[16]byte]bool
}

func (c *collector) lines(lines []models.Line) {
	for _, l := range lines {
		c.products[l.ProductID] = true
		if l.LocationID != "" {
			c.locations[l.LocationID] = true
		}
	}
}

func (c *collector) reservation(id string) {
	if key, ok := reservationKey(id); ok {
		c.reservations[key] = true
	}
}

func sortedKeys(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func binaryKeys(set map[[16]byte]bool) [][16]byte {
	out := make([][16]byte, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b [16]byte) int { return slices.Compare(a[:], b[:]) })
	return out
}
