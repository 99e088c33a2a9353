package decide

import (
	"maps"
	"slices"

	"onhand/models"
	"onhand/models/channel"
)

// SettingsChange has the products, locations and channels that a write creates or
// changes, by id.
type SettingsChange struct {
	Products  map[string]models.Product
	Locations map[string]models.Location
	Channels  map[string]models.Channel
	// Relisted are channels whose list of locations is replaced.
	Relisted map[string]bool
}

// ChangesSettings reports whether a write changes settings and so needs a batch of its
// own: other writes of the batch would have been decided on the old settings.
func ChangesSettings(w models.Write) bool {
	switch w.(type) {
	case models.UpsertProducts, models.UpsertLocations, models.UpsertChannels:
		return true
	}
	return false
}

// settingsRows decides the rows of a settings write one by one. ok is false when one
// failed row rejects them all.
func settingsRows(w models.Bulk, row func(i int) []models.UserError) (errs []models.UserError, ok bool) {
	bad := models.BadRows(w)
	for i := range w.Size() {
		found := bad[i]
		if found == nil {
			found = row(i)
		}
		errs = append(errs, found...)
	}
	return errs, len(errs) == 0 || w.Policy() == models.RejectFailedRows
}

func (d *Decider) upsertProducts(w models.UpsertProducts) models.WriteResult {
	next := make(map[string]models.Product, len(w.Rows))
	errs, ok := settingsRows(w, func(i int) []models.UserError {
		row := w.Rows[i]
		next[row.ProductID] = row.ApplyTo(d.Products[row.ProductID])
		return nil
	})
	result := models.WriteResult{Errors: errs}
	if ok {
		d.Settings.Products = next
		for _, p := range InOrder(next) {
			result.Stocks = append(result.Stocks, &models.Stock{Product: models.Product{ProductID: p.ProductID}})
		}
	}
	return result
}

func (d *Decider) upsertLocations(w models.UpsertLocations) models.WriteResult {
	next := make(map[string]models.Location, len(w.Rows))
	errs, ok := settingsRows(w, func(i int) []models.UserError {
		row := w.Rows[i]
		var old *models.Location
		if known, there := d.Locations[row.LocationID]; there {
			old = &known
		}
		next[row.LocationID] = row.ApplyTo(old)
		return nil
	})
	result := models.WriteResult{Errors: errs}
	if ok {
		d.Settings.Locations = next
		result.Locations = slices.Sorted(maps.Keys(next))
	}
	return result
}

func (d *Decider) upsertChannels(w models.UpsertChannels) models.WriteResult {
	next, relisted := make(map[string]models.Channel, len(w.Rows)), map[string]bool{}
	products := map[string]models.Product{} // with other buffers
	errs, ok := settingsRows(w, func(i int) (errs []models.UserError) {
		row := w.Rows[i]
		for j, id := range row.LocationIDs {
			if _, known := d.Locations[id]; !known {
				errs = append(errs, models.NotFound(models.InputPath("rows", i, "locationIds", j), "no location %q", id))
			}
		}
		var old *models.Channel
		if known := d.Channels[row.ChannelID]; known != nil {
			old = &known.Channel
			errs = append(errs, revisionsLeft(old, i)...)
		}
		buffered, bufferErrs := d.buffered(products, row, i)
		errs = append(errs, bufferErrs...)
		if errs != nil {
			return errs
		}
		next[row.ChannelID] = row.ApplyTo(old)
		relisted[row.ChannelID] = row.LocationIDs != nil
		maps.Copy(products, buffered)
		return nil
	})
	result := models.WriteResult{Errors: errs}
	if ok {
		d.Settings.Channels, d.Settings.Relisted, d.Settings.Products = next, relisted, products
		for _, p := range InOrder(products) {
			result.Stocks = append(result.Stocks, &models.Stock{Product: models.Product{ProductID: p.ProductID}})
		}
		result.Channels = slices.Sorted(maps.Keys(next))
	}
	return result
}

// buffered returns the products of a channel's row with their new buffers. earlier has
// the products of the rows before.
func (d *Decider) buffered(earlier map[string]models.Product, row models.ChannelRow, i int) (products map[string]models.Product, errs []models.UserError) {
	products = make(map[string]models.Product, len(row.ProductBuffers))
	for j, b := range row.ProductBuffers {
		path := models.InputPath("rows", i, "productBuffers", j, "productId")
		p, changed := earlier[b.ProductID]
		if known := d.Products[b.ProductID]; known != nil && !changed {
			p = *known
		} else if known == nil {
			errs = append(errs, models.NotFound(path, "no product %q", b.ProductID))
			continue
		}
		p.Buffers = p.Buffers.With(row.ChannelID, b.Buffer)
		if len(p.Buffers) > channel.BuffersMax {
			errs = append(errs, models.Invalid(path, "the product %q must have at most %d buffers", b.ProductID, channel.BuffersMax))
		}
		products[b.ProductID] = p
	}
	return products, errs
}

// revisionsLeft refuses the change of a channel that has changed too often.
func revisionsLeft(c *models.Channel, row int) []models.UserError {
	if c.Revision <= channel.RevisionMax-channel.RevisionReserve {
		return nil
	}
	return []models.UserError{models.Invalid(models.InputPath("rows", row, "channelId"),
		"the channel %q has changed too often, up to revision %d: make another channel", c.ChannelID, c.Revision)}
}

// Any reports whether anything was created or changed.
func (s *SettingsChange) Any() bool { return len(s.Products)+len(s.Locations)+len(s.Channels) > 0 }
