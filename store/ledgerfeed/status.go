package ledgerfeed

import (
	"cmp"
	"context"
	"slices"

	"onhand/models"
	"onhand/store/database"
)

// transition is what one transaction did to one product.
type transition struct {
	last   *models.StockMovement
	deltas map[string]models.Quantities // by location
}

// statusWatch delivers the transitions of a follower that changed a status.
type statusWatch struct {
	*follower
	source    LedgerSource
	directory DirectorySnapshot
	channel   string
	members   map[string]bool // locations of the channel
	statuses  []models.StockStatus

	open        map[string]*transition // by product; begun, and not ended in the movements read so far
	transitions []*transition          // ended, of one reading
	ready       []*models.Stock        // at most one for each transition
}

// Next implements models.Watch.
func (w *statusWatch) Next(ctx context.Context) (*models.Stock, error) {
	for len(w.ready) == 0 {
		if len(w.transitions) == 0 {
			moved, err := w.read(ctx)
			if err != nil {
				return nil, err
			}
			w.join(moved)
			continue
		}
		err := w.evaluate(ctx)
		if err == nil {
			continue
		}
		if models.CodeOf(err) != models.CodeUnavailable || ctx.Err() != nil {
			return nil, err
		}
		if err := w.backOff(ctx); err != nil {
			return nil, err
		}
	}
	next := w.ready[0]
	w.ready = w.ready[1:]
	return next, nil
}

// join joins movements to transitions.
func (w *statusWatch) join(moved []database.Moved) {
	for _, m := range moved {
		t := w.open[m.ProductID]
		if t == nil || m.First {
			t = &transition{deltas: map[string]models.Quantities{}}
			w.open[m.ProductID] = t
		}
		t.last = m.StockMovement
		t.deltas[m.LocationID] = t.deltas[m.LocationID].Plus(m.Delta)
		if m.Last {
			w.transitions = append(w.transitions, t)
			delete(w.open, m.ProductID)
		}
	}
}

// evaluate finds the transitions that changed a status. Of each product it reads
// the stock after the last transition alone, and undoes one transition after the
// other. To read it after each one would add up the later movements as often.
func (w *statusWatch) evaluate(ctx context.Context) error {
	var refs []database.MovementRef
	refOf := map[string]int{} // by product
	for _, t := range w.transitions {
		at, known := refOf[t.last.ProductID]
		if !known {
			at = len(refs)
			refOf[t.last.ProductID], refs = at, append(refs, database.MovementRef{ProductID: t.last.ProductID})
		}
		refs[at].MovementID = t.last.MovementID
	}
	stocks, err := w.source.ReadStocksAfter(ctx, refs)
	if err != nil {
		return err
	}
	directory := w.directory.Directory()
	if members, known := directory.Channel(w.channel); known { // a deleted channel keeps its last locations
		w.members = members
	}
	changed := make([]*models.Stock, len(w.transitions))
	for i, t := range slices.Backward(w.transitions) {
		at := refOf[t.last.ProductID]
		if after := stocks[at]; after != nil {
			before := t.undo(after, directory)
			changed[i], stocks[at] = w.change(t, after, before), before
		}
	}
	w.ready = append(w.ready, slices.DeleteFunc(changed, func(s *models.Stock) bool { return s == nil })...)
	w.transitions = nil
	return nil
}

// change returns the stock after a transition, if that changed the status to one
// that was asked for; else nil.
func (w *statusWatch) change(t *transition, after, before *models.Stock) *models.Stock {
	if w.channel != "" {
		after, before = after.In(w.members), before.In(w.members)
	}
	was, is := before.Status(), after.Status()
	if was == is || len(w.statuses) > 0 && !slices.Contains(w.statuses, is) {
		return nil
	}
	changed := *after
	changed.Version, changed.AsOf, changed.PreviousStatus = t.last.Version, t.last.CreatedAt, &was
	return &changed
}

// undo returns the stock before the transition.
func (t *transition) undo(stock *models.Stock, directory *models.Directory) *models.Stock {
	before := *stock
	before.Levels = slices.Clone(stock.Levels)
	for location, delta := range t.deltas {
		at := slices.IndexFunc(before.Levels, func(l models.Level) bool { return l.LocationID == location })
		if at < 0 { // the transition removed the level
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
