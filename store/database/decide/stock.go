package decide

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"onhand/models"
	"onhand/store/database/decide/counting"
)

// adjust decides deltas row by row.
func (d *Decider) adjust(w models.Adjust) models.WriteResult {
	entry := models.StockMovement{Reason: w.Reason, Note: w.Note, Reference: w.Reference, Actor: w.Actor}
	return d.stockRows(w, entry, func(changes *ChangeSet, i int) models.UserError { return d.adjustRow(changes, i, w.Rows[i]) })
}

// set decides counted quantities row by row.
func (d *Decider) set(w models.SetStock) models.WriteResult {
	entry := models.StockMovement{Reason: w.Reason, Note: w.Note, Reference: w.Reference, Actor: w.Actor}
	counts := make([]counting.WrittenCount, 0, len(w.Rows))
	result := d.stockRows(w, entry, func(changes *ChangeSet, i int) models.UserError {
		record, err := d.setRow(changes, i, w.Rows[i], w.OnlyNew)
		if err == nil {
			counts = append(counts, record)
		}
		return err
	})
	if len(result.Errors) == 0 || w.ErrorPolicy == models.RejectFailedRows {
		d.Counts.Record(counts)
	}
	return result
}

// move decides moves row by row.
func (d *Decider) move(w models.MoveStock) models.WriteResult {
	entry := models.StockMovement{Reason: w.Reason, Note: w.Note, Reference: w.Reference, Actor: w.Actor}
	return d.stockRows(w, entry, func(changes *ChangeSet, i int) models.UserError { return d.moveRow(changes, i, w.Rows[i]) })
}

// stockRows decides a bulk write: row adds one row to the change set, or returns why it
// cannot and leaves the change set alone.
func (d *Decider) stockRows(w models.Bulk, entry models.StockMovement, row func(changes *ChangeSet, i int) models.UserError) models.WriteResult {
	var result models.WriteResult
	changes, bad := d.ChangeSet(), models.BadRows(w)
	for i := range w.Size() {
		if errs := bad[i]; errs != nil {
			result.Errors = append(result.Errors, errs...)
		} else if err := row(changes, i); err != nil {
			result.Errors = append(result.Errors, err)
		}
	}
	if len(result.Errors) > 0 && w.Policy() != models.RejectFailedRows {
		return result
	}
	changes.Apply(entry)
	result.Stocks = changes.namedStocks()
	return result
}

// version is the smallest version that the product has once this batch has
// committed.
func (d *Decider) version(p *models.Product) int64 {
	version := p.Version
	for id := range d.changedLevels {
		if id.Product == p.ProductID && (d.VersionPerLevel || version == p.Version) {
			version++
		}
	}
	return version
}

// known returns a row's product, and refuses an unknown product, location or state.
// side is the part of the row that names the level, where there are two.
func (d *Decider) known(i int, id LevelID, state models.State, side ...any) (*models.Product, models.UserError) {
	at := func(field string) []string {
		return models.InputPath(slices.Concat([]any{"rows", i}, side, []any{field})...)
	}
	if new(models.Quantities).Of(state) == nil {
		return nil, models.Invalid(at("state"), "%q is no state of a level", state)
	}
	product := d.Products[id.Product]
	if product == nil {
		return nil, models.NotFound(models.InputPath("rows", i, "productId"), "no product %q", id.Product)
	}
	if _, ok := d.Locations[id.Location]; !ok {
		return nil, models.NotFound(at("locationId"), "no location %q", id.Location)
	}
	return product, nil
}

func (d *Decider) adjustRow(changes *ChangeSet, i int, row models.AdjustRow) models.UserError {
	id := LevelID{row.ProductID, row.LocationID}
	product, err := d.known(i, id, row.State)
	if err != nil {
		return err
	}
	before := changes.level(id).Quantities
	var delta models.Quantities
	*delta.Of(row.State) = row.Delta
	after := before.Plus(delta)
	n := *after.Of(row.State)
	if n > models.QuantityMax {
		return tooMuch(row.ProductID, n, "rows", i, "delta")
	}
	// Taking away may not go below zero; for available, not below the floor.
	floor := 0
	if row.State == models.Available {
		floor = product.Floor()
	}
	if row.Delta < 0 && n < floor {
		if row.State == models.Available { // overdue reservations are ended first
			d.ShortProducts[row.ProductID] = true
		}
		return models.InsufficientStockError{
			Failure: models.Failure{
				Message: d.shortLevel(id, row.State, *before.Of(row.State), floor),
				Path:    models.InputPath("rows", i, "delta"),
			},
			ProductID: row.ProductID, Requested: -row.Delta, Available: max(0, *before.Of(row.State)-floor),
		}
	}
	changes.add(id, delta)
	return nil
}

// shortLevel says why a row cannot take its units from one state of a level.
func (d *Decider) shortLevel(id LevelID, state models.State, have, floor int) string {
	switch {
	case d.level(id) == nil && have == 0:
		return fmt.Sprintf("%q has no stock level at %q yet", id.Product, id.Location)
	case floor < 0:
		return fmt.Sprintf("%s of %q at %q is %d, and its backorder limit is %d", state, id.Product, id.Location, have, -floor)
	}
	return fmt.Sprintf("%s of %q at %q is only %d", state, id.Product, id.Location, have)
}

// moveRow moves units from one level and state to another. The units must be there:
// a backorder cannot be moved.
func (d *Decider) moveRow(changes *ChangeSet, i int, row models.MoveRow) models.UserError {
	from, to := LevelID{row.ProductID, row.From.LocationID}, LevelID{row.ProductID, row.To.LocationID}
	if _, err := d.known(i, from, row.From.State, "from"); err != nil {
		return err
	}
	if _, err := d.known(i, to, row.To.State, "to"); err != nil {
		return err
	}
	source := changes.level(from).Quantities
	if have := *source.Of(row.From.State); have < row.Quantity {
		if row.From.State == models.Available { // overdue reservations are ended first
			d.ShortProducts[row.ProductID] = true
		}
		return models.InsufficientStockError{
			Failure: models.Failure{
				Message: d.shortLevel(from, row.From.State, have, 0),
				Path:    models.InputPath("rows", i, "quantity"),
			},
			ProductID: row.ProductID, Requested: row.Quantity, Available: max(0, have),
		}
	}
	target := changes.level(to).Quantities
	if n := *target.Of(row.To.State) + row.Quantity; n > models.QuantityMax {
		return tooMuch(row.ProductID, n, "rows", i, "quantity")
	}
	var out, in models.Quantities
	*out.Of(row.From.State) -= row.Quantity
	*in.Of(row.To.State) += row.Quantity
	changes.add(from, out)
	changes.add(to, in)
	return nil
}

// tooMuch says that a state of a level would exceed its maximum.
func tooMuch(product string, n int, path ...any) models.QuantityLimitExceededError {
	return models.QuantityLimitExceededError{
		Failure:   models.Failure{Message: "a level holds at most " + strconv.Itoa(models.QuantityMax), Path: models.InputPath(path...)},
		ProductID: product, Requested: n, Limit: models.QuantityMax,
	}
}

// setRow sets one state to what was counted, and returns the record of that.
func (d *Decider) setRow(changes *ChangeSet, i int, row models.SetRow, onlyNew bool) (record counting.WrittenCount, refusal models.UserError) {
	id := LevelID{row.ProductID, row.LocationID}
	product, err := d.known(i, id, row.State)
	if err != nil {
		return record, err
	}
	since := 0
	if row.CountedAt != nil {
		if since, err = d.since(i, row); err != nil {
			return record, err
		}
		d.endOverdue(row)
	}
	before := changes.level(id).Quantities
	actual := *before.Of(row.State)
	then := actual - since // when it was counted
	if err := d.countTooLow(product, i, row, then, since); err != nil {
		return record, err
	}
	if n := row.Quantity + since; n > models.QuantityMax {
		return record, tooMuch(row.ProductID, n, "rows", i, "quantity")
	}
	d.endOverdue(row)
	if row.ChangeFromQuantity != nil && *row.ChangeFromQuantity != then {
		is := "is"
		if row.CountedAt != nil {
			is = "was, when it was counted,"
		}
		return record, models.StaleQuantityError{
			Failure: models.Failure{
				Message: fmt.Sprintf("%s of %q at %q %s %d, not %d", row.State, row.ProductID, row.LocationID, is, then, *row.ChangeFromQuantity),
				Path:    models.InputPath("rows", i, "changeFromQuantity"),
			},
			Expected: *row.ChangeFromQuantity, Actual: then, Version: d.version(product),
		}
	}
	if onlyNew {
		if err := d.newRow(i, row); err != nil {
			return record, err
		}
	}
	var delta models.Quantities
	*delta.Of(row.State) = row.Quantity - then
	changes.add(id, delta)
	return counting.WrittenCount{Product: row.ProductID, Location: row.LocationID, State: row.State, CountedAt: d.countedAt(row), Correction: row.Quantity - then}, nil
}

// endOverdue has overdue reservations ended first, or their units would add to the count.
func (d *Decider) endOverdue(row models.SetRow) {
	if row.State == models.Available {
		d.ShortProducts[row.ProductID] = true
	}
}

// countTooLow refuses a count below the floor, then or now. What is below it may stay or
// rise.
func (d *Decider) countTooLow(product *models.Product, i int, row models.SetRow, then, since int) models.UserError {
	floor := 0
	if row.State == models.Available {
		floor = product.Floor()
	}
	target := row.Quantity + since
	switch {
	case row.Quantity >= then || min(row.Quantity, target) >= floor:
		return nil
	case since != 0 && row.Quantity >= floor:
		return models.Invalid(models.InputPath("rows", i, "quantity"), "quantity is too low: %s would be %d, because %d were counted and %+d came or went since; it must be at least %d",
			row.State, target, row.Quantity, since, floor)
	}
	return models.Invalid(models.InputPath("rows", i, "quantity"), "quantity must be at least %d", min(floor, then))
}

// since returns what the row's state gained and lost since it was counted. It refuses a
// count from the future, one that is too old, and one that is older than the newest.
func (d *Decider) since(i int, row models.SetRow) (int, models.UserError) {
	ref, path := refOf(row), models.InputPath("rows", i, "countedAt")
	if problem := ref.Problem(d.Now); problem != "" {
		return 0, models.Invalid(path, "countedAt %s", problem)
	}
	if newest := d.Counts.Newest(ref, row.State); newest.After(ref.At) {
		return 0, models.SupersededCountError{
			Failure: models.Failure{
				Message: fmt.Sprintf("%s of %q at %q was counted later already, at %s", row.State, row.ProductID, row.LocationID, counting.Text(newest)),
				Path:    path,
			},
			CountedAt: newest,
		}
	}
	if !ref.At.Before(d.Now) {
		return 0, nil
	}
	since, complete := d.Counts.Since(ref, row.State)
	if !complete {
		return 0, models.Invalid(path, "countedAt %s", counting.TooMuch)
	}
	return since, nil
}

// countedAt is the moment of a row: now, unless it was counted earlier.
func (d *Decider) countedAt(row models.SetRow) time.Time {
	if row.CountedAt == nil || refOf(row).At.After(d.Now) {
		return d.Now
	}
	return refOf(row).At
}

// refOf names the level and the moment that a row was counted at.
func refOf(row models.SetRow) counting.Ref {
	return counting.Ref{Product: row.ProductID, Location: row.LocationID, At: counting.Moment(*row.CountedAt)}
}

// expiryOf is the expiry of the reservation that a movement ends as expired; nil for every
// other movement.
func (u *UnitOfWork) expiryOf(m models.StockMovement) *time.Time {
	key, ok := ReservationKey(m.ReservationID)
	if s := u.Reservations[key]; ok && s != nil && m.Reason == models.ReasonExpired {
		return &s.ExpiresAt
	}
	return nil
}

// newRow refuses a row whose level exists with other quantities than the row says.
func (d *Decider) newRow(i int, row models.SetRow) models.UserError {
	stored := d.level(LevelID{row.ProductID, row.LocationID})
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
		Expected: row.Quantity, Actual: *stored.Of(row.State), Version: d.version(d.Products[row.ProductID]),
	}
}
