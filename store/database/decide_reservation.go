package database

import (
	"fmt"
	"slices"

	"onhand/models"
)

// reserve decides a new hold: every line, or none.
func (d *decider) reserve(w models.Reserve) models.WriteResult {
	if result, ok := d.unknownChannel(w.Channel); !ok {
		return result
	}
	draft := d.draft()
	lines, errs := d.allocate(draft, w.Lines, w.Channel, w.AllowPartial)
	if lines == nil {
		return models.WriteResult{Errors: errs}
	}
	key := d.hashes.reservation
	s := &storedReservation{
		key: key, fingerprint: slices.Clone(d.hashes.print[:]),
		Reservation: models.Reservation{
			ID: reservationID(key[:]), State: models.ReservationActive, Lines: lines, Channel: w.Channel,
			Owner: w.OwnerRef, CreatedAt: d.now, ExpiresAt: d.now.Add(w.ReservationTTL()), Version: 1,
		},
	}
	draft.apply(models.StockMovement{Reason: models.ReasonReserved, ReservationID: s.ID})
	d.put(s)
	at := s.At(d.now)
	return models.WriteResult{Reservation: &at, Errors: errs}
}

func (d *decider) unknownChannel(channel string) (models.WriteResult, bool) {
	if channel == "" || d.channels[channel] != nil {
		return models.WriteResult{}, true
	}
	return models.WriteResult{Errors: []models.UserError{
		models.NotFound(models.InputPath("channel"), "no channel %q", channel),
	}}, false
}

// update replaces an active hold's lines: the old ones are given back and the
// new ones taken in one step.
func (d *decider) update(w models.UpdateReservation) models.WriteResult {
	s, result := d.inState(w.ID, models.ReservationActive)
	if s == nil {
		return result
	}
	draft := d.draft()
	for _, line := range s.Lines {
		draft.shift(line.ProductID, line.Allocations, models.Reserved, models.Available)
	}
	lines, errs := d.allocate(draft, w.Lines, s.Channel, w.AllowPartial)
	if lines == nil {
		at := s.At(d.now)
		return models.WriteResult{Reservation: &at, Errors: errs}
	}
	next := *s
	next.Lines = lines
	if w.TTL > 0 {
		next.ExpiresAt = d.now.Add(w.TTL)
	}
	draft.apply(models.StockMovement{Reason: models.ReasonUpdated, ReservationID: s.ID})
	d.put(&next)
	at := next.At(d.now)
	return models.WriteResult{Reservation: &at, Errors: errs}
}

// extend restarts an active hold's time to live.
func (d *decider) extend(w models.ExtendReservation) models.WriteResult {
	s, result := d.inState(w.ID, models.ReservationActive)
	if s == nil {
		return result
	}
	next := *s
	next.ExpiresAt = d.now.Add(w.ReservationTTL())
	d.put(&next)
	at := next.At(d.now)
	return models.WriteResult{Reservation: &at}
}

// inState finds a reservation in the state a write needs; where it is not, the
// result says why.
func (d *decider) inState(id string, want models.ReservationState) (*storedReservation, models.WriteResult) {
	key, _ := reservationKey(id)
	s := d.held[key]
	if s == nil {
		return nil, models.WriteResult{Errors: []models.UserError{
			models.NotFound(models.InputPath("id"), "no reservation with this id"),
		}}
	}
	at := s.At(d.now)
	if at.State == want {
		return s, models.WriteResult{}
	}
	// Whoever is told that a hold's time is over must not find it alive again,
	// should the database's clock go back before the sweep.
	if ended := d.expire(models.Resolve{ID: id, To: models.ReservationExpired}); ended.Reservation != nil {
		at = *ended.Reservation
	}
	return nil, models.WriteResult{Reservation: &at, Errors: []models.UserError{models.ReservationNotActiveError{
		Failure: models.Failure{Message: fmt.Sprintf("the reservation is %s, not %s", at.State, want), Path: models.InputPath("id")},
		State:   at.State,
	}}}
}

// demand is what a cart asks of one product, its lines added up.
type demand struct {
	product string
	index   int // of its first line
	total   int
	free    int // from any location
	pinned  []models.Allocation
	pins    []int // the line of each pin
}

// demands adds up lines by product, in the order first asked.
func demands(lines []models.Line) []demand {
	out := make([]demand, 0, len(lines))
	var byProduct map[string]int // of out
	if len(lines) > 1 {
		byProduct = make(map[string]int, len(lines))
	}
	for i, line := range lines {
		at, known := byProduct[line.ProductID]
		if !known {
			at = len(out)
			if byProduct != nil {
				byProduct[line.ProductID] = at
			}
			out = append(out, demand{product: line.ProductID, index: i})
		}
		d := &out[at]
		d.total += line.Quantity
		if line.LocationID == "" {
			d.free += line.Quantity
			continue
		}
		d.pinned = append(d.pinned, models.Allocation{LocationID: line.LocationID, Quantity: line.Quantity})
		d.pins = append(d.pins, i)
	}
	return out
}

// allocate takes a cart's lines from available to reserved in the draft. It
// returns nil lines when the cart is refused, with every reason at once; with
// allowPartial, shortages come beside the lines.
func (d *decider) allocate(draft *draft, asked []models.Line, channel string, allowPartial bool) ([]models.ReservationLine, []models.UserError) {
	var (
		lines   = make([]models.ReservationLine, 0, len(asked))
		errs    []models.UserError
		refused bool
		held    int
	)
	wanted, from := demands(asked), d.source(channel)
	d.chooseOne(draft, wanted, &from)
	for i := range wanted {
		want := &wanted[i]
		line, err := d.allocateOne(draft, want, &from)
		if err != nil {
			errs = append(errs, err)
			if _, short := err.(models.InsufficientStockError); short {
				d.shortOf[want.product] = true
				refused = refused || !allowPartial
			} else {
				refused = true
			}
		}
		held += line.Quantity
		lines = append(lines, line)
	}
	if refused || held == 0 {
		return nil, errs
	}
	return lines, errs
}

func (d *decider) allocateOne(draft *draft, want *demand, from *source) (models.ReservationLine, models.UserError) {
	line := models.ReservationLine{ProductID: want.product, Requested: want.total}
	product := d.products[want.product]
	if product == nil {
		return line, models.NotFound(models.InputPath("lines", want.index, "productId"), "no product %q", want.product)
	}
	limit := models.QuantityMax
	if product.MaxPerReservation != nil {
		limit = *product.MaxPerReservation
	}
	if want.total > limit {
		return line, models.QuantityLimitExceededError{
			Failure:   models.Failure{Message: fmt.Sprintf("a reservation holds at most %d of %q", limit, want.product), Path: models.InputPath("lines", want.index, "quantity")},
			ProductID: want.product, Requested: models.Units(want.total), Limit: limit,
		}
	}
	for i, pin := range want.pinned {
		if _, ok := d.locations[pin.LocationID]; !ok {
			return line, models.NotFound(models.InputPath("lines", want.pins[i], "locationId"), "no location %q", pin.LocationID)
		}
	}
	if !product.Tracked {
		line.Quantity = want.total
		return line, nil
	}
	for _, pin := range want.pinned {
		from.spread(draft, &line, *product, pin.LocationID, pin.Quantity)
	}
	from.spread(draft, &line, *product, "", want.free)
	for _, a := range line.Allocations {
		if held := draft.now(levelID{want.product, a.LocationID}).Reserved; held > models.QuantityMax {
			return line, models.QuantityLimitExceededError{
				Failure:   models.Failure{Message: fmt.Sprintf("%q would hold more than %d at %q", want.product, models.QuantityMax, a.LocationID), Path: models.InputPath("lines", want.index, "quantity")},
				ProductID: want.product, Requested: held, Limit: models.QuantityMax,
			}
		}
	}
	if line.Quantity < want.total {
		return line, insufficient(line, want.index)
	}
	return line, nil
}

func insufficient(line models.ReservationLine, index int) models.InsufficientStockError {
	return models.InsufficientStockError{
		Failure: models.Failure{
			Message: fmt.Sprintf("only %d of %q can be had", line.Quantity, line.ProductID),
			Path:    models.InputPath("lines", index, "quantity"),
		},
		ProductID: line.ProductID, Requested: line.Requested, Available: line.Quantity,
	}
}
