package decide

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"onhand/models"
	"onhand/models/holderlimits"
)

// reserve decides a new reservation: every line, or none.
func (d *Decider) reserve(w models.Reserve) models.WriteResult {
	if result, ok := d.unknownChannel(w.Channel); !ok {
		return result
	}
	changes := d.ChangeSet()
	wanted := demands(w.Lines)
	holder := holderlimits.LimitedHolder(w.Holder, w.Access)
	refusals := slices.Concat(d.Holdings.RefuseReservation(holder, models.InputPath("lines")), d.refuseUnits(holder, wanted, false), d.refusePurchases(holder, wanted, nil))
	lines, errs := d.allocate(changes, wanted, w.Channel, partial{w.AllowPartial, w.PartialMax})
	if lines == nil || refusals != nil {
		return models.WriteResult{Errors: append(refusals, errs...)}
	}
	key := d.Hashes.Reservation
	s := &StoredReservation{
		Key: key, Fingerprint: slices.Clone(d.Hashes.Fingerprint[:]), RenewedAt: d.Now,
		Counted: d.Holdings.Counts(holder), InPurchases: d.inPurchases(holder, lines),
		Reservation: models.Reservation{
			ID: ReservationID(key[:]), State: models.ReservationActive, Lines: lines, Channel: w.Channel,
			Owner: w.OwnerRef, Holder: w.Holder, CreatedAt: d.Now, ExpiresAt: d.Now.Add(w.ReservationTTL()), Version: 1,
		},
	}
	changes.Apply(models.StockMovement{Reason: models.ReasonReserved, ReservationID: s.ID})
	d.put(s)
	d.inPart = len(errs) > 0
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

// update replaces the lines of an active reservation in one step. Stock, closed
// locations and limits count for what the new lines add: units that the reservation has
// may stay.
func (d *Decider) update(w models.UpdateReservation) models.WriteResult {
	s, result := d.inState(w.ID, models.ReservationActive)
	if s == nil {
		return result
	}
	changes := d.ChangeSet()
	for _, line := range s.Lines {
		changes.shift(line.ProductID, line.Allocations, models.Reserved, models.Available)
	}
	wanted := demands(w.Lines)
	noteHeld(wanted, s.Lines)
	holder, next := holderlimits.LimitedHolder(s.Holder, w.Access), *s
	refusals := append(d.refuseUnits(holder, wanted, s.Counted), d.refusePurchases(holder, wanted, s)...)
	if w.TTL > 0 {
		refusals = append(refusals, d.renew(&next, holder, w.TTL, "ttlSeconds")...)
	}
	lines, errs := d.allocate(changes, wanted, s.Channel, partial{w.AllowPartial, w.PartialMax})
	if lines == nil || refusals != nil {
		at := s.At(d.Now)
		return models.WriteResult{Reservation: &at, Errors: append(refusals, errs...)}
	}
	next.Lines, next.Counted, next.InPurchases = lines, s.Counted || d.Holdings.Counts(holder), s.InPurchases || d.inPurchases(holder, lines)
	changes.Apply(models.StockMovement{Reason: models.ReasonUpdated, Actor: w.Caller, ReservationID: s.ID})
	d.put(&next)
	d.inPart = len(errs) > 0
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
	next, holder, path := *s, holderlimits.LimitedHolder(s.Holder, w.Access), "id"
	if w.TTL > 0 {
		path = "ttlSeconds"
	}
	if refusals := d.renew(&next, holder, cmp.Or(w.TTL, s.ttl()), path); refusals != nil {
		at := s.At(d.Now)
		return models.WriteResult{Reservation: &at, Errors: refusals}
	}
	next.Counted = s.Counted || d.Holdings.Counts(holder)
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
		return nil, unknownReservation("id")
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
	// held is the product's line of the reservation that is updated; nil where there is
	// none.
	held *models.ReservationLine
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

// noteHeld notes what the lines of a reservation have of the products in demand.
func noteHeld(wanted []demand, lines []models.ReservationLine) {
	index := make(map[string]int, len(lines))
	for i := range lines {
		index[lines[i].ProductID] = i
	}
	for i := range wanted {
		if at, known := index[wanted[i].product]; known {
			wanted[i].held = &lines[at]
		}
	}
}

// keep divides a demand into the units that the reservation has already, where the
// demand allows it, and the rest. excess are the units that the demand does not need.
func (want *demand) keep() (line models.ReservationLine, rest demand, excess []models.Allocation) {
	line, rest = want.line(), *want
	rest.pinned, excess = slices.Clone(want.pinned), slices.Clone(want.held.Allocations)
	loose := want.held.Quantity - unitsOf(excess) // reserved while the product was not tracked
	stay := func(location string, n *int) {
		for i := range excess {
			if location == "" || excess[i].LocationID == location {
				part := min(*n, excess[i].Quantity)
				*n, excess[i].Quantity = *n-part, excess[i].Quantity-part
			}
		}
		part := min(*n, loose)
		*n, loose = *n-part, loose-part
	}
	for i := range rest.pinned {
		stay(rest.pinned[i].LocationID, &rest.pinned[i].Quantity)
	}
	stay("", &rest.free)
	line.Quantity = want.total - rest.units()
	for i, a := range want.held.Allocations {
		if a.Quantity -= excess[i].Quantity; a.Quantity > 0 {
			line.Allocations = append(line.Allocations, a)
		}
	}
	return line, rest, excess
}

// line is the line of a demand that has no units yet.
func (want *demand) line() models.ReservationLine {
	return models.ReservationLine{ProductID: want.product, Requested: want.total, Pinned: want.pinned}
}

// units is how many units the demand has, from any location and from named ones.
func (want *demand) units() int { return want.free + unitsOf(want.pinned) }

// Allocate moves a cart's units from available to reserved in the change set. It
// returns nil lines when the cart is refused, with every reason at once.
func (d *Decider) Allocate(changes *ChangeSet, asked []models.RequestedLine, channel string) ([]models.ReservationLine, []models.UserError) {
	return d.allocate(changes, demands(asked), channel, partial{})
}

// partial says whether a cart may get a part of what it asks, and how many units of a
// product at most; zero for all there are.
type partial struct {
	allowed bool
	max     int
}

// allocate is Allocate; where a part is allowed, it returns shortages beside the lines.
func (d *Decider) allocate(changes *ChangeSet, wanted []demand, channel string, part partial) ([]models.ReservationLine, []models.UserError) {
	var (
		lines    = make([]models.ReservationLine, 0, len(wanted))
		errs     []models.UserError
		refused  bool
		reserved int
	)
	from := d.source(channel)
	d.chooseOne(changes, wanted, &from)
	for i := range wanted {
		want := &wanted[i]
		line, err := d.allocateOne(changes, want, &from)
		if err != nil {
			errs = append(errs, err)
			if _, short := err.(models.InsufficientStockError); short {
				d.ShortProducts[want.product] = true
				refused = refused || !part.allowed
				line = part.of(changes, want, line)
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

// of gives back what a short line has beyond the bound. What an update had before stays.
func (p partial) of(changes *ChangeSet, want *demand, line models.ReservationLine) models.ReservationLine {
	bound := p.max
	if want.held != nil {
		bound = max(bound, want.held.Quantity)
	}
	if p.max > 0 && line.Quantity > bound {
		kept, rest := line.Split(bound)
		changes.shift(want.product, rest, models.Reserved, models.Available)
		line.Quantity, line.Allocations = bound, kept
	}
	return line
}

// allocateOne allocates one product. A reservation that is updated has units of it,
// which were given back. If it adds some, the product is allocated anew. If that is not
// enough, or if it adds none, the units stay where they are.
func (d *Decider) allocateOne(changes *ChangeSet, want *demand, from *source) (models.ReservationLine, models.UserError) {
	line := want.line()
	product := d.Products[want.product]
	if product == nil {
		return line, models.NotFound(models.InputPath("lines", want.index, "productId"), "no product %q", want.product)
	}
	if err := withinLimit(product, want); err != nil {
		return line, err
	}
	if want.held == nil {
		if err := d.unknownLocation(want); err != nil {
			return line, err
		}
		return d.supply(changes, line, want, product, from)
	}
	kept, rest, excess := want.keep()
	if err := d.unknownLocation(&rest); err != nil {
		return line, err
	}
	if !product.Tracked {
		return d.supply(changes, line, want, product, from)
	}
	if rest.units() > 0 {
		used := maps.Clone(from.used)
		line, err := d.supply(changes, line, want, product, from)
		if err == nil {
			return line, nil
		}
		changes.forget(want.product, line.Allocations)
		from.used = used
	}
	changes.forget(want.product, want.held.Allocations)
	changes.shift(want.product, excess, models.Reserved, models.Available)
	return d.supply(changes, kept, &rest, product, from)
}

// withinLimit refuses a demand above the product's limit, unless the reservation has
// as many units already.
func withinLimit(product *models.Product, want *demand) models.UserError {
	limit := models.QuantityMax
	if product.MaxPerReservation != nil {
		limit = *product.MaxPerReservation
	}
	if want.total <= limit || want.held != nil && want.total <= want.held.Quantity {
		return nil
	}
	return models.QuantityLimitExceededError{
		Failure:   models.Failure{Message: fmt.Sprintf("the limit of one reservation is %d of %q", limit, want.product), Path: models.InputPath("lines", want.index, "quantity")},
		ProductID: want.product, Requested: models.Units(want.total), Limit: limit,
	}
}

// unknownLocation refuses a demand for units from a location that does not exist.
func (d *Decider) unknownLocation(want *demand) models.UserError {
	for i, pin := range want.pinned {
		if _, ok := d.Locations[pin.LocationID]; !ok && pin.Quantity > 0 {
			return models.NotFound(models.InputPath("lines", want.pins[i], "locationId"), "no location %q", pin.LocationID)
		}
	}
	return nil
}

// supply adds the units of a demand to a line, which may have some already.
func (d *Decider) supply(changes *ChangeSet, line models.ReservationLine, want *demand, product *models.Product, from *source) (models.ReservationLine, models.UserError) {
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
