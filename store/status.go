package store

import (
	"cmp"
	"context"
	"slices"

	"onhand/models"
	"onhand/store/database"
)

// WatchStatus watches changes of status, from now on: each product whose status
// became another one by a movement of its stock, whoever moved it, with the
// status before. Channel, where not empty, says whose stock; statuses and
// products narrow, where there are any.
//
// It follows the ledger, so that none is missed, and keeps nothing of products
// that are silent: the stock after a movement is that of today without what
// came later, and the stock before it, that without the movement. What one
// transaction did to a product counts as one step. Settings are today's: a
// change of settings alone is no movement.
func (s *Store) WatchStatus(ctx context.Context, channel string, statuses []models.StockStatus, products []string) (models.Watch[*models.Stock], error) {
	f, err := s.follow(func() (*database.Feed, error) { return s.database.FeedOfProducts(ctx, products) })
	if err != nil {
		return nil, err
	}
	return &statusWatch{follower: f, store: s, channel: channel, statuses: statuses, open: map[string]*step{}}, nil
}

// step is what one transaction did to one product.
type step struct {
	last   *models.StockMovement
	deltas map[string]models.Quantities // by location
}

type statusWatch struct {
	*follower
	store    *Store
	channel  string
	members  map[string]bool // the channel's
	statuses []models.StockStatus

	open  map[string]*step // by product: begun and not ended in the movements read so far
	steps []*step          // ended; those of one reading
	ready []*models.Stock  // at most one for each step
}

// Next implements models.Watch.
func (w *statusWatch) Next(ctx context.Context) (*models.Stock, error) {
	for len(w.ready) == 0 {
		if len(w.steps) == 0 {
			moved, err := w.read(ctx)
			if err != nil {
				return nil, err
			}
			w.gather(moved)
			continue
		}
		err := w.judge(ctx)
		if err == nil {
			continue
		}
		if models.CodeOf(err) != models.CodeUnavailable || ctx.Err() != nil {
			return nil, err
		}
		if err := w.wait(ctx, nil, true); err != nil { // and ask again
			return nil, err
		}
	}
	next := w.ready[0]
	w.ready = w.ready[1:]
	return next, nil
}

// gather puts movements together to steps.
func (w *statusWatch) gather(moved []database.Moved) {
	for _, m := range moved {
		begun := w.open[m.ProductID]
		if begun == nil || m.First {
			begun = &step{deltas: map[string]models.Quantities{}}
			w.open[m.ProductID] = begun
		}
		begun.last = m.StockMovement
		begun.deltas[m.LocationID] = begun.deltas[m.LocationID].Plus(m.Delta)
		if m.Last {
			w.steps = append(w.steps, begun)
			delete(w.open, m.ProductID)
		}
	}
}

// judge finds the steps that changed a status. Of each product it reads the
// stock after the last step alone, and goes back from there: to read it after
// each of them would add up what came later as often.
func (w *statusWatch) judge(ctx context.Context) error {
	var places []database.Place
	place := map[string]int{} // by product
	for _, s := range w.steps {
		at, known := place[s.last.ProductID]
		if !known {
			at = len(places)
			place[s.last.ProductID], places = at, append(places, database.Place{ProductID: s.last.ProductID})
		}
		places[at].MovementID = s.last.MovementID
	}
	stocks, err := w.store.database.ReadStocksAfter(ctx, places)
	if err != nil {
		return err
	}
	directory := w.store.Directory()
	if members, known := directory.Channel(w.channel); known { // a channel that is gone keeps its last locations
		w.members = members
	}
	changed := make([]*models.Stock, len(w.steps))
	for i, s := range slices.Backward(w.steps) {
		at := place[s.last.ProductID]
		if after := stocks[at]; after != nil {
			before := s.undo(after, directory)
			changed[i], stocks[at] = w.change(s, after, before), before
		}
	}
	w.ready = append(w.ready, slices.DeleteFunc(changed, func(s *models.Stock) bool { return s == nil })...)
	w.steps = nil
	return nil
}

// change is the stock after a step, if that changed a status that was asked for.
func (w *statusWatch) change(s *step, after, before *models.Stock) *models.Stock {
	if w.channel != "" {
		after, before = after.In(w.members), before.In(w.members)
	}
	was, is := before.Status(), after.Status()
	if was == is || len(w.statuses) > 0 && !slices.Contains(w.statuses, is) {
		return nil
	}
	changed := *after
	changed.Version, changed.AsOf, changed.PreviousStatus = s.last.Version, s.last.CreatedAt, &was
	return &changed
}

// undo is the stock before the step.
func (s *step) undo(stock *models.Stock, directory *models.Directory) *models.Stock {
	before := *stock
	before.Levels = slices.Clone(stock.Levels)
	for location, delta := range s.deltas {
		at := slices.IndexFunc(before.Levels, func(l models.Level) bool { return l.LocationID == location })
		if at < 0 { // the step removed the level
			place, _ := directory.Location(location)
			before.Levels = append(before.Levels, models.Level{
				ProductID: stock.ProductID, LocationID: location, Active: place.Active, Priority: place.Priority,
			})
			at = len(before.Levels) - 1
		}
		before.Levels[at].Quantities = before.Levels[at].Minus(delta)
	}
	slices.SortFunc(before.Levels, func(a, b models.Level) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.LocationID, b.LocationID))
	})
	return &before
}
