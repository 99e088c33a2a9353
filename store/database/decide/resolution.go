package decide

import (
	"fmt"

	"onhand/models"
	"onhand/models/holderlimits"
)

// resolve moves a reservation to its next state. Each transition happens once. To
// release a released reservation is no error, because a release has no key to repeat
// it with.
func (d *Decider) resolve(w models.Resolve) models.WriteResult {
	if w.To == models.ReservationExpired {
		return d.expire(w)
	}
	step, _ := models.TransitionTo(w.To)
	s, result := d.inState(w.ID, step.From)
	if s == nil {
		if w.Reacquire && result.Reservation != nil && result.Reservation.State == models.ReservationExpired {
			key, _ := ReservationKey(w.ID)
			return d.reacquire(d.Reservations[key], w, step)
		}
		if w.To == models.ReservationReleased && result.Reservation != nil && result.Reservation.State == models.ReservationReleased {
			return models.WriteResult{Reservation: result.Reservation, Replayed: true}
		}
		return result
	}
	return d.take(s, w, step)
}

// expire ends an active reservation past its expiry, and leaves any other alone.
func (d *Decider) expire(w models.Resolve) models.WriteResult {
	key, _ := ReservationKey(w.ID)
	s := d.Reservations[key]
	if s == nil || s.State != models.ReservationActive || s.At(d.Now).State != models.ReservationExpired {
		return models.WriteResult{}
	}
	step, _ := models.TransitionTo(models.ReservationExpired)
	return d.take(s, w, step)
}

// take executes a transition for the parts of the lines that w names, or for all that
// is left where it names none. A commit gives the rest back.
func (d *Decider) take(s *StoredReservation, w models.Resolve, step models.Transition) models.WriteResult {
	parts, errs := partsOf(s.Lines, w.Lines)
	if errs != nil {
		at := s.At(d.Now)
		return models.WriteResult{Reservation: &at, Errors: errs}
	}
	changes, next := d.ChangeSet(), *s
	next.Lines = make([]models.ReservationLine, len(s.Lines))
	for i, line := range s.Lines {
		part, rest := line.Split(parts[i])
		found := changes.shift(line.ProductID, part, step.Take, step.Give)
		next.Lines[i] = line
		switch w.To {
		case models.ReservationCommitted:
			if reserved := unitsOf(part); found < reserved {
				errs = append(errs, gone(line, reserved, found))
			}
			changes.shift(line.ProductID, rest, step.Take, models.Available)
			next.Lines[i].Quantity, next.Lines[i].Allocations = parts[i], part
		case models.ReservationFulfilled:
			next.Lines[i] = line.WithDone(parts[i])
			next.Lines[i].Fulfilled += parts[i]
		case models.ReservationCancelled:
			next.Lines[i] = line.WithDone(parts[i])
			next.Lines[i].Cancelled += parts[i]
		}
	}
	if errs != nil {
		at := s.At(d.Now)
		return models.WriteResult{Reservation: &at, Errors: errs}
	}
	return d.apply(changes, next, w, step)
}

// apply completes a transition to the new lines of next.
func (d *Decider) apply(changes *ChangeSet, next StoredReservation, w models.Resolve, step models.Transition) models.WriteResult {
	next.State = stateAfter(next.Reservation, w.To)
	if w.To == models.ReservationCommitted {
		next.OrderedAt, next.InPurchases = d.Now, next.InPurchases || d.inPurchases(holderlimits.LimitedHolder(next.Holder, w.Access), next.Lines)
	}
	if w.OrderRef != "" {
		next.Order = w.OrderRef
	}
	changes.Apply(models.StockMovement{Reason: step.Reason, Reference: next.Order, Actor: w.Actor, ReservationID: next.ID})
	d.put(&next)
	at := next.At(d.Now)
	return models.WriteResult{Reservation: &at}
}

// reacquire commits a reservation that has expired. It takes what w names, or all that
// the reservation had, again: within its channel, and from the locations that its lines
// named. It takes everything or nothing. The maximum of one reservation does not count,
// because it did when the reservation was made. The
// limits for each owner do: what has expired was given back.
func (d *Decider) reacquire(s *StoredReservation, w models.Resolve, step models.Transition) models.WriteResult {
	parts, errs := partsOf(s.Lines, w.Lines)
	if errs == nil {
		next, changes := *s, d.ChangeSet()
		refusals := d.refuseLines(holderlimits.LimitedHolder(s.Holder, w.Access), s, parts, func(product string) []string { return partPath(w.Lines, product) })
		next.Lines, errs = d.supplyAgain(changes, s, w, parts)
		if errs = append(refusals, errs...); errs == nil {
			return d.apply(changes, next, w, step)
		}
	}
	at := s.At(d.Now)
	return models.WriteResult{Reservation: &at, Errors: errs}
}

// supplyAgain moves units of a reservation's lines from available to committed. It
// reports all shortages at once.
func (d *Decider) supplyAgain(changes *ChangeSet, s *StoredReservation, w models.Resolve, parts []int) (lines []models.ReservationLine, errs []models.UserError) {
	from, wanted := d.source(s.Channel), make([]demand, len(s.Lines))
	for i, line := range s.Lines {
		wanted[i] = demandAgain(line, parts[i])
	}
	d.chooseOne(changes, wanted, &from)
	for i := range wanted {
		want := &wanted[i]
		line, err := want.line(), models.UserError(nil)
		if want.total > 0 {
			line, err = d.supply(changes, line, want, d.Products[want.product], &from)
		}
		if err != nil {
			d.ShortProducts[want.product] = true
			errs = append(errs, withPath(err, partPath(w.Lines, want.product)))
		}
		changes.shift(line.ProductID, line.Allocations, models.Reserved, models.Committed)
		line.Requested = s.Lines[i].Requested
		lines = append(lines, line)
	}
	return lines, errs
}

// demandAgain is the demand for n units of a line, first for those from the locations
// that the caller named.
func demandAgain(line models.ReservationLine, n int) demand {
	want := demand{product: line.ProductID, total: n, free: n}
	for _, pin := range line.Pinned {
		for _, a := range line.Allocations {
			if pin.LocationID == a.LocationID {
				pin.Quantity = min(pin.Quantity, a.Quantity, want.free)
				want.pinned, want.free = append(want.pinned, pin), want.free-pin.Quantity
			}
		}
	}
	return want
}

// partPath is the path of the first part of a product; that of the reservation where no
// parts are named.
func partPath(parts []models.LinePart, product string) []string {
	for n, part := range parts {
		if part.ProductID == product {
			return models.InputPath("lines", n, "quantity")
		}
	}
	return models.InputPath("id")
}

// withPath returns the error of a line with another path.
func withPath(err models.UserError, path []string) models.UserError {
	switch e := err.(type) {
	case models.InsufficientStockError:
		e.Path = path
		return e
	case models.QuantityLimitExceededError:
		e.Path = path
		return e
	}
	return err
}

// stateAfter is the state of a reservation after a transition. An order with units
// left stays committed; without, it is fulfilled if any unit was fulfilled.
func stateAfter(r models.Reservation, step models.ReservationState) models.ReservationState {
	if step != models.ReservationFulfilled && step != models.ReservationCancelled {
		return step
	}
	if r.Left() > 0 {
		return models.ReservationCommitted
	}
	for _, line := range r.Lines {
		if line.Fulfilled > 0 {
			return models.ReservationFulfilled
		}
	}
	return models.ReservationCancelled
}

// partsOf returns how many units of each line a write names: the sum of its parts by
// product, or all that is left where it names none. It reports every invalid part at
// once.
func partsOf(lines []models.ReservationLine, asked []models.LinePart) (parts []int, errs []models.UserError) {
	parts = make([]int, len(lines))
	if asked == nil {
		for i, line := range lines {
			parts[i] = line.Left()
		}
		return parts, nil
	}
	index := make(map[string]int, len(lines))
	for i, line := range lines {
		index[line.ProductID] = i
	}
	for _, part := range asked {
		if i, known := index[part.ProductID]; known {
			parts[i] += part.Quantity
		}
	}
	said := make(map[string]bool, len(asked))
	for n, part := range asked {
		i, known := index[part.ProductID]
		switch {
		case !known:
			errs = append(errs, models.NotFound(models.InputPath("lines", n, "productId"), "the reservation has no line of %q", part.ProductID))
		case parts[i] > lines[i].Left() && !said[part.ProductID]:
			said[part.ProductID] = true
			errs = append(errs, models.InsufficientStockError{
				Failure: models.Failure{
					Message: fmt.Sprintf("only %d of %q are left in the reservation", lines[i].Left(), part.ProductID),
					Path:    models.InputPath("lines", n, "quantity"),
				},
				ProductID: part.ProductID, Requested: models.Units(parts[i]), Available: lines[i].Left(),
			})
		}
	}
	return parts, errs
}

// unitsOf adds up allocations. A line has fewer than its quantity where its product was
// not tracked when it was reserved.
func unitsOf(allocations []models.Allocation) (n int) {
	for _, a := range allocations {
		n += a.Quantity
	}
	return n
}

// gone says that reserved units were counted away meanwhile.
func gone(line models.ReservationLine, wanted, found int) models.InsufficientStockError {
	return models.InsufficientStockError{
		Failure: models.Failure{
			Message: fmt.Sprintf("only %d of the %d reserved units of %q are still there: a count took the others away", found, wanted, line.ProductID),
			Path:    models.InputPath("id"),
		},
		ProductID: line.ProductID, Requested: wanted, Available: found,
	}
}
