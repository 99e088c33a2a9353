package decide

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"onhand/models"
)

// reserve decides a new reservation: every line, or none.
func (d *Decider) reserve(w models.Reserve) models.WriteResult {
	if result, ok := d.unknownChannel(w.Channel); !ok {
		return result
	}
	changes := d.ChangeSet()
	lines, errs := d.Allocate(changes, w.Lines, w.Channel, w.AllowPartial)
	if lines == nil {
		return models.WriteResult{Errors: errs}
	}
	key := d.Hashes.Reservation
	s := &StoredReservation{
		Key: key, Fingerprint: slices.Clone(d.Hashes.Fingerprint[:]), RenewedAt: d.Now,
		Reservation: models.Reservation{
			ID: ReservationID(key[:]), State: models.ReservationActive, Lines: lines, Channel: w.Channel,
			Owner: w.OwnerRef, CreatedAt: d.Now, ExpiresAt: d.Now.Add(w.ReservationTTL()), Version: 1,
		},
	}
	changes.Apply(models.StockMovement{Reason: models.ReasonReserved, ReservationID: s.ID})
	d.put(s)
	at := s.At(d.Now)
	return models.WriteResult{Reservation: &at, Errors: errs}
}

func (d *Decider) unknownChannel(channel string) (models.WriteResult, bool) {
	if channel == "" || d.Channels[channel] != nil {
		return models.WriteResult{}, true
	}
	return models.WriteResult{Errors: []models.UserError{
		models.NotFound(models.InputPath("channel"), "no channel %q", channel),
	}}, false
}

// update replaces the lines of an active reservation: it gives the old ones back and
// takes the new ones in one step.
func (d *Decider) update(w models.UpdateReservation) models.WriteResult {
	s, result := d.inState(w.ID, models.ReservationActive)
	if s == nil {
		return result
	}
	changes := d.ChangeSet()
	for _, line := range s.Lines {
		changes.shift(line.ProductID, line.Allocations, models.Reserved, models.Available)
	}
	lines, errs := d.Allocate(changes, w.Lines, s.Channel, w.AllowPartial)
	if lines == nil {
		at := s.At(d.Now)
		return models.WriteResult{Reservation: &at, Errors: errs}
	}
	next := *s
	next.Lines = lines
	if w.TTL > 0 {
		next.renew(d.Now, w.TTL)
	}
	changes.Apply(models.StockMovement{Reason: models.ReasonUpdated, ReservationID: s.ID})
	d.put(&next)
	at := next.At(d.Now)
	return models.WriteResult{Reservation: &at, Errors: errs}
}

// extend restarts the time to live of an active reservation: its own, unless the
// caller gives another one.
func (d *Decider) extend(w models.ExtendReservation) models.WriteResult {
	s, result := d.inState(w.ID, models.ReservationActive)
	if s == nil {
		return result
	}
	next := *s
	next.renew(d.Now, cmp.Or(w.TTL, s.ttl()))
	d.put(&next)
	at := next.At(d.Now)
	return models.WriteResult{Reservation: &at}
}

// inState returns a reservation in the state that a write needs. Where it is in
// another state, the result says so.
func (d *Decider) inState(id string, want models.ReservationState) (*StoredReservation, models.WriteResult) {
	key, _ := ReservationKey(id)
	s := d.Reservations[key]
	if s == nil {
		return nil, models.WriteResult{Errors: []models.UserError{
			models.NotFound(models.InputPath("id"), "no reservation with this id"),
		}}
	}
	at := s.At(d.Now)
	if at.State == want {
		return s, models.WriteResult{}
	}
	// A client that saw the reservation expired must not see it active again, should
	// the database's clock go back before the sweep.
	if ended := d.expire(models.Resolve{ID: id, To: models.ReservationExpired}); ended.Reservation != nil {
		at = *ended.Reservation
	}
	return nil, models.WriteResult{Reservation: &at, Errors: []models.UserError{models.ReservationNotActiveError{
		Failure: models.Failure{Message: fmt.Sprintf("the reservation is %s, not %s", at.State, want), Path: models.InputPath("id")},
		State:   at.State,
	}}}
}

// demand is what a cart asks of one product: the sum of its lines.
type demand struct {
	product string
	index   int // of its first line
	total   int
	free    int // units from any location
	pinned  []models.Allocation
	pins    []int // the line of each pinned allocation
}

// demands sums lines by product, in the order of their first line.
func demands(lines []models.RequestedLine) []demand {
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

// Allocate moves a cart's units from available to reserved in the change set. It
// returns nil lines when the cart is refused, with every reason at once; with
// allowPartial it returns shortages beside the lines.
func (d *Decider) Allocate(changes *ChangeSet, asked []models.RequestedLine, channel string, allowPartial bool) ([]models.ReservationLine, []models.UserError) {
	var (
		lines    = make([]models.ReservationLine, 0, len(asked))
		errs     []models.UserError
		refused  bool
		reserved int
	)
	wanted, from := demands(asked), d.source(channel)
	d.chooseOne(changes, wanted, &from)
	for i := range wanted {
		want := &wanted[i]
		line, err := d.allocateOne(changes, want, &from)
		if err != nil {
			errs = append(errs, err)
			if _, short := err.(models.InsufficientStockError); short {
				d.ShortProducts[want.product] = true
				refused = refused || !allowPartial
			} else {
				refused = true
			}
		}
		reserved += line.Quantity
		lines = append(lines, line)
	}
	if refused || reserved == 0 {
		return nil, errs
	}
	return lines, errs
}

func (d *Decider) allocateOne(changes *ChangeSet, want *demand, from *source) (models.ReservationLine, models.UserError) {
	line := models.ReservationLine{ProductID: want.product, Requested: want.total}
	product := d.Products[want.product]
	if product == nil {
		return line, models.NotFound(models.InputPath("lines", want.index, "productId"), "no product %q", want.product)
	}
	limit := models.QuantityMax
	if product.MaxPerReservation != nil {
		limit = *product.MaxPerReservation
	}
	if want.total > limit {
		return line, models.QuantityLimitExceededError{
			Failure:   models.Failure{Message: fmt.Sprintf("the limit of one reservation is %d of %q", limit, want.product), Path: models.InputPath("lines", want.index, "quantity")},
			ProductID: want.product, Requested: models.Units(want.total), Limit: limit,
		}
	}
	for i, pin := range want.pinned {
		if _, ok := d.Locations[pin.LocationID]; !ok {
			return line, models.NotFound(models.InputPath("lines", want.pins[i], "locationId"), "no location %q", pin.LocationID)
		}
	}
	if !product.Tracked {
		line.Quantity = want.total
		return line, nil
	}
	var why []string
	for _, pin := range want.pinned {
		why = addReason(why, from.spread(changes, &line, *product, pin.LocationID, pin.Quantity))
	}
	why = addReason(why, from.spread(changes, &line, *product, "", want.free))
	for _, a := range line.Allocations {
		if reserved := changes.level(LevelID{want.product, a.LocationID}).Reserved; reserved > models.QuantityMax {
			return line, models.QuantityLimitExceededError{
				Failure:   models.Failure{Message: fmt.Sprintf("more than %d of %q would be reserved at %q", models.QuantityMax, want.product, a.LocationID), Path: models.InputPath("lines", want.index, "quantity")},
				ProductID: want.product, Requested: reserved, Limit: models.QuantityMax,
			}
		}
	}
	if line.Quantity < want.total {
		return line, insufficient(line, want.index, why)
	}
	return line, nil
}

// addReason adds a reason that is neither empty nor known.
func addReason(reasons []string, why string) []string {
	if why == "" || slices.Contains(reasons, why) {
		return reasons
	}
	return append(reasons, why)
}

// shortageReasonsMax is how many reasons one message lists. A line has one for each
// location that the cart names, and one for the others.
const shortageReasonsMax = 3

func insufficient(line models.ReservationLine, index int, why []string) models.InsufficientStockError {
	message := fmt.Sprintf("only %d of %q can be had, not %d: ", line.Quantity, line.ProductID, line.Requested)
	if line.Quantity == 0 {
		message = fmt.Sprintf("%q cannot be had: ", line.ProductID)
	}
	return models.InsufficientStockError{
		Failure: models.Failure{
			Message: message + strings.Join(why[:min(len(why), shortageReasonsMax)], "; "),
			Path:    models.InputPath("lines", index, "quantity"),
		},
		ProductID: line.ProductID, Requested: line.Requested, Available: line.Quantity,
	}
}
