package database

import (
	"fmt"

	"onhand/models"
)

// resolve moves a reservation to its next state. Each happens once; releasing
// what is already given back is no error, because the caller has no key to
// repeat it with.
func (d *decider) resolve(w models.Resolve) models.WriteResult {
	if w.To == models.ReservationExpired {
		return d.expire(w)
	}
	step, _ := models.TransitionTo(w.To)
	s, result := d.inState(w.ID, step.From)
	if s == nil {
		if w.To == models.ReservationReleased && result.Reservation != nil && result.Reservation.State == models.ReservationReleased {
			return models.WriteResult{Reservation: result.Reservation, Replayed: true}
		}
		return result
	}
	return d.take(s, w, step)
}

// expire ends a hold whose time is over, and leaves every other one alone.
func (d *decider) expire(w models.Resolve) models.WriteResult {
	key, _ := reservationKey(w.ID)
	s := d.held[key]
	if s == nil || s.State != models.ReservationActive || s.At(d.now).State != models.ReservationExpired {
		return models.WriteResult{}
	}
	step, _ := models.TransitionTo(models.ReservationExpired)
	return d.take(s, w, step)
}

// take carries out a step for the parts of the lines that w names: all of what
// is left where it names none. A commit gives the rest back.
func (d *decider) take(s *storedReservation, w models.Resolve, step models.Transition) models.WriteResult {
	parts, errs := partsOf(s.Lines, w.Lines)
	if errs != nil {
		at := s.At(d.now)
		return models.WriteResult{Reservation: &at, Errors: errs}
	}
	draft, next := d.draft(), *s
	next.Lines = make([]models.ReservationLine, len(s.Lines))
	for i, line := range s.Lines {
		part, rest := line.Split(parts[i])
		found := draft.shift(line.ProductID, part, step.Take, step.Give)
		next.Lines[i] = line
		switch w.To {
		case models.ReservationCommitted:
			if len(line.Allocations) > 0 && found < parts[i] {
				errs = append(errs, gone(line, parts[i], found))
			}
			draft.shift(line.ProductID, rest, step.Take, models.Available)
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
		at := s.At(d.now)
		return models.WriteResult{Reservation: &at, Errors: errs}
	}
	next.State = stateAfter(next.Reservation, w.To)
	reference := s.Order
	if w.OrderRef != "" {
		next.Order, reference = w.OrderRef, w.OrderRef
	}
	draft.apply(models.StockMovement{Reason: step.Reason, Reference: reference, Actor: w.Actor, ReservationID: s.ID})
	d.put(&next)
	at := next.At(d.now)
	return models.WriteResult{Reservation: &at}
}

// stateAfter is what a reservation is after a step. An order with units left
// stays one; without, it is fulfilled if anything of it was.
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

// partsOf is how many units of each line are meant: those asked for, parts of
// the same product added up, or everything left. All that is wrong with what
// was asked comes at once.
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
					Message: fmt.Sprintf("only %d of %q are left", lines[i].Left(), part.ProductID),
					Path:    models.InputPath("lines", n, "quantity"),
				},
				ProductID: part.ProductID, Requested: models.Units(parts[i]), Available: lines[i].Left(),
			})
		}
	}
	return parts, errs
}

// shift moves units of a product from one state to another where they are
// allocated, and tells how many it found. Somebody may have counted held units
// away, or so many in that there is no room: what is there and fits is moved,
// because a hold must end all the same.
func (d *draft) shift(product string, allocations []models.Allocation, from, to models.State) (found int) {
	for _, a := range allocations {
		id := levelID{product, a.LocationID}
		level := d.now(id)
		n := min(a.Quantity, *level.Of(from))
		if n <= 0 {
			continue
		}
		found += n
		var delta models.Quantities
		*delta.Of(from) -= n
		if to != "" {
			*delta.Of(to) += min(n, models.QuantityMax-*level.Of(to))
		}
		d.move(id, delta)
	}
	return found
}

// gone says that somebody took away what a reservation held.
func gone(line models.ReservationLine, wanted, found int) models.InsufficientStockError {
	return models.InsufficientStockError{
		Failure: models.Failure{
			Message: fmt.Sprintf("only %d of the %d held of %q are still there", found, wanted, line.ProductID),
			Path:    models.InputPath("id"),
		},
		ProductID: line.ProductID, Requested: wanted, Available: found,
	}
}
