package database

import (
	"fmt"
	"strconv"

	"onhand/models"
)

// adjust decides deltas row by row.
func (d *decider) adjust(w models.Adjust) models.WriteResult {
	var result models.WriteResult
	draft := d.draft()
	for i, row := range w.Rows {
		if err := d.adjustRow(draft, i, row); err != nil {
			result.Errors = append(result.Errors, err)
		}
	}
	if len(result.Errors) > 0 && w.ErrorPolicy != models.RejectFailedRows {
		return result
	}
	draft.apply(models.StockMovement{Reason: w.Reason, Reference: w.Reference, Actor: w.Actor})
	result.Stocks = draft.named()
	return result
}

// named are the draft's products, in id order, to be filled in after the commit.
func (d *draft) named() []*models.Stock {
	set := map[string]bool{}
	for _, id := range d.order {
		set[id.product] = true
	}
	var out []*models.Stock
	for _, id := range sortedKeys(set) {
		out = append(out, &models.Stock{Product: models.Product{ProductID: id}})
	}
	return out
}

// set decides counted quantities: every row or none.
func (d *decider) set(w models.SetStock) models.WriteResult {
	var result models.WriteResult
	draft := d.draft()
	for i, row := range w.Rows {
		err := d.setRow(draft, i, row)
		if err == nil && w.OnlyNew {
			err = d.newRow(i, row)
		}
		if err != nil {
			result.Errors = append(result.Errors, err)
		}
	}
	if len(result.Errors) > 0 {
		return result
	}
	draft.apply(models.StockMovement{Reason: w.Reason, Reference: w.Reference, Actor: w.Actor})
	result.Stocks = draft.named()
	return result
}

func (d *decider) setRow(draft *draft, i int, row models.SetRow) models.UserError {
	id := levelID{row.ProductID, row.LocationID}
	product, err := d.known(i, id, row.State)
	if err != nil {
		return err
	}
	floor := 0
	if row.State == models.Available {
		floor = product.Floor()
	}
	if row.Quantity < floor {
		return models.Invalid(models.InputPath("rows", i, "quantity"), "quantity must be at least %d", floor)
	}
	before := draft.now(id).Quantities
	var delta models.Quantities
	*delta.Of(row.State) = row.Quantity - *before.Of(row.State)
	draft.move(id, delta)
	return nil
}

// newRow refuses a row whose level is there and holds anything but what the
// row says.
func (d *decider) newRow(i int, row models.SetRow) models.UserError {
	stored := d.level(levelID{row.ProductID, row.LocationID})
	var want models.Quantities
	*want.Of(row.State) = row.Quantity
	if stored == nil || stored.Quantities == want {
		return nil
	}
	return models.StaleQuantityError{
		Failure: models.Failure{
			Message: fmt.Sprintf("%q at %q is stocked already", row.ProductID, row.LocationID),
			Path:    models.InputPath("rows", i, "quantity"),
		},
		Expected: row.Quantity, Actual: *stored.Of(row.State), Version: d.products[row.ProductID].Version,
	}
}

// known finds a row's product and location, and refuses what is no state.
func (d *decider) known(i int, id levelID, state models.State) (*models.Product, models.UserError) {
	if new(models.Quantities).Of(state) == nil {
		return nil, models.Invalid(models.InputPath("rows", i, "state"), "%q is no state of a level", state)
	}
	product := d.products[id.product]
	if product == nil {
		return nil, models.NotFound(models.InputPath("rows", i, "productId"), "no product %q", id.product)
	}
	if _, ok := d.locations[id.location]; !ok {
		return nil, models.NotFound(models.InputPath("rows", i, "locationId"), "no location %q", id.location)
	}
	return product, nil
}

func (d *decider) adjustRow(draft *draft, i int, row models.AdjustRow) models.UserError {
	id := levelID{row.ProductID, row.LocationID}
	product, err := d.known(i, id, row.State)
	if err != nil {
		return err
	}
	before := draft.now(id).Quantities
	var delta models.Quantities
	*delta.Of(row.State) = row.Delta
	after := before.Plus(delta)
	n := *after.Of(row.State)
	if n > models.QuantityMax {
		return models.QuantityLimitExceededError{
			Failure:   models.Failure{Message: "a level holds at most " + strconv.Itoa(models.QuantityMax), Path: models.InputPath("rows", i, "delta")},
			ProductID: row.ProductID, Requested: n, Limit: models.QuantityMax,
		}
	}
	// Taking away may not go below zero; for available, not below the floor.
	floor := 0
	if row.State == models.Available {
		floor = product.Floor()
	}
	if row.Delta < 0 && n < floor {
		if row.State == models.Available { // holds past their time are ended first
			d.shortOf[row.ProductID] = true
		}
		return models.InsufficientStockError{
			Failure: models.Failure{
				Message: fmt.Sprintf("%s of %q at %q is %d", row.State, row.ProductID, row.LocationID, *before.Of(row.State)),
				Path:    models.InputPath("rows", i, "delta"),
			},
			ProductID: row.ProductID, Requested: -row.Delta, Available: max(0, *before.Of(row.State)-floor),
		}
	}
	draft.move(id, delta)
	return nil
}
