package ledgerfeed

import (
	"cmp"
	"context"
	"slices"

	"onhand/models"
	"onhand/store/database"
)

// productChange is what one transaction did to one product.
type productChange struct {
	last   *models.StockMovement
	deltas map[string]models.Quantities // by location
}

// statusWatch delivers the product changes of a follower that changed a status.
type statusWatch struct {
	*follower
	source    LedgerSource
	directory DirectorySnapshot
	channel   string
	view      *models.ChannelMembers // of the channel
	statuses  []models.StockStatus

	open    map[string]*productChange   // by product; begun, and not ended in the movements read so far
	changes []*productChange            // ended, of one reading
	ready   []*models.StockStatusChange // at most one for each change
}

// Next implements models.Watch.
func (w *statusWatch) Next(ctx context.Context) (*models.StockStatusChange, error) {
	for len(w.ready) == 0 {
		if len(w.changes) == 0 {
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

// join joins movements to product changes.
func (w *statusWatch) join(moved []database.Moved) {
	for _, m := range moved {
		c := w.open[m.ProductID]
		if c == nil || m.First {
			c = &productChange{deltas: map[string]models.Quantities{}}
			w.open[m.ProductID] = c
		}
		c.last = m.StockMovement
		c.deltas[m.LocationID] = c.deltas[m.LocationID].Plus(m.Delta)
		if m.Last {
			w.changes = append(w.changes, c)
			delete(w.open, m.ProductID)
		}
	}
}

// evaluate finds the product changes that changed a status. Of each product it reads
// the stock after the last change alone, and undoes one change after the
// other. To read it after each one would add up the later movements as often.
func (w *statusWatch) evaluate(ctx context.Context) error {
	var refs []database.MovementRef
	refOf := map[string]int{} // by product
	for _, c := range w.changes {
		at, known := refOf[c.last.ProductID]
		if !known {
			at = len(refs)
			refOf[c.last.ProductID], refs = at, append(refs, database.MovementRef{ProductID: c.last.ProductID})
		}
		refs[at].MovementID = c.last.MovementID
	}
	stocks, err := w.source.ReadStocksAfter(ctx, refs)
	if err != nil {
		return err
	}
	directory := w.directory.Directory()
	if view, known := directory.Channel(w.channel); known { // a deleted channel keeps its last locations
		w.view = view
	}
	changed := make([]*models.StockStatusChange, len(w.changes))
	for i, c := range slices.Backward(w.changes) {
		at := refOf[c.last.ProductID]
		if after := stocks[at]; after != nil {
			before := c.undo(after, directory)
			changed[i], stocks[at] = w.change(c, after, before, directory), before
		}
	}
	w.ready = append(w.ready, slices.DeleteFunc(changed, func(c *models.StockStatusChange) bool { return c == nil })...)
	w.changes = nil
	return nil
}

// change returns what a product change did to the status, if that is now one that was
// asked for; else nil.
func (w *statusWatch) change(c *productChange, after, before *models.Stock, directory *models.Directory) *models.StockStatusChange {
	if w.channel != "" {
		after, before = after.In(w.view), before.In(w.view)
	}
	after, before = directory.Placed(after, w.channel), directory.Placed(before, w.channel)
	was, is := before.Status(), after.Status()
	if was == is || len(w.statuses) > 0 && !slices.Contains(w.statuses, is) {
		return nil
	}
	return &models.StockStatusChange{
		Product: after.Product, Status: is, PreviousStatus: was,
		Version: c.last.Version, OccurredAt: c.last.CreatedAt, Channel: w.channel,
	}
}

// undo returns the stock before the change.
func (c *productChange) undo(stock *models.Stock, directory *models.Directory) *models.Stock {
	before := *stock
	before.Levels = slices.Clone(stock.Levels)
	for location, delta := range c.deltas {
		at := slices.IndexFunc(before.Levels, func(l models.Level) bool { return l.LocationID == location })
		if at < 0 { // the change removed the level
			place := directory.LocationNamed(location)
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
