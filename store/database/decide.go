package database

import (
	"bytes"
	"encoding/json"
	"fmt"

	"onhand/models"
)

// answer is what is kept of the first answer to a keyed write.
type answer struct {
	Reservation string        `json:"reservation,omitempty"`
	Products    []string      `json:"products,omitempty"`
	Errors      []storedError `json:"errors,omitempty"`
}

// storedError is a UserError with the name of its type.
type storedError struct {
	Type  string          `json:"type"`
	Error json.RawMessage `json:"error"`
}

// decider decides the writes of one batch on one view, in order.
type decider struct {
	*view
	secret string
}

// decide answers one write and leaves its effect in the view. Failures are
// part of the answer; a write that fails changes nothing.
func (d *decider) decide(w models.Write) models.WriteResult {
	print := fingerprint(w)
	if w.Key() != "" {
		if result, known := d.replay(w, print); known {
			return result
		}
	}
	var result models.WriteResult
	switch w := w.(type) {
	case models.Reserve:
		result = d.reserve(w, print)
	case models.UpdateReservation:
		result = d.update(w)
	case models.ExtendReservation:
		result = d.extend(w)
	case models.Resolve:
		result = d.resolve(w)
	case models.Adjust:
		result = d.adjust(w)
	case models.SetStock:
		result = d.set(w)
	default:
		result.Fault = fmt.Errorf("no decision for a write of type %T", w)
		return result
	}
	_, reserving := w.(models.Reserve)
	if w.Key() != "" && !(reserving && result.Reservation != nil) {
		d.remember(w, print, result)
	}
	return result
}

// replay finds the first answer to a key. A reservation's id is derived from
// the key that made it, so it is its own record.
func (d *decider) replay(w models.Write, print [16]byte) (models.WriteResult, bool) {
	if s := d.held[derive(d.secret, "reservation", w.Key())]; s != nil {
		first, ok := w.(models.Reserve)
		if !ok || !bytes.Equal(s.fingerprint, print[:]) {
			return mismatch(), true
		}
		at := s.At(d.now)
		return models.WriteResult{Reservation: &at, Replayed: true, Errors: partialShortages(first.Lines, at.Lines)}, true
	}
	known := d.answers[derive(d.secret, "key", w.Key())]
	if known == nil {
		return models.WriteResult{}, false
	}
	if !bytes.Equal(known.fingerprint, print[:]) {
		return mismatch(), true
	}
	result := models.WriteResult{Replayed: true, Errors: readErrors(known.answer.Errors)}
	if key, ok := reservationKey(known.answer.Reservation); ok {
		if s := d.held[key]; s != nil {
			at := s.At(d.now)
			result.Reservation = &at
		}
	}
	for _, id := range known.answer.Products {
		result.Stocks = append(result.Stocks, &models.Stock{Product: models.Product{ProductID: id}})
	}
	return result, true
}

func mismatch() models.WriteResult {
	return models.WriteResult{Errors: []models.UserError{models.IdempotencyError{
		Failure: models.Failure{Message: "this idempotency key was used before with another input", Path: models.InputPath("idempotencyKey")},
		Code:    models.KeyParameterMismatch,
	}}}
}

// remember keeps the answer to a keyed write.
func (d *decider) remember(w models.Write, print [16]byte, result models.WriteResult) {
	kept := answer{Errors: writeErrors(result.Errors)}
	if result.Reservation != nil {
		kept.Reservation = result.Reservation.ID
	}
	for _, s := range result.Stocks {
		kept.Products = append(kept.Products, s.ProductID)
	}
	key := derive(d.secret, "key", w.Key())
	d.answers[key] = &storedAnswer{fingerprint: print[:], answer: kept}
	d.answered[key] = true
}

func writeErrors(errs []models.UserError) []storedError {
	var out []storedError
	for _, e := range errs {
		raw, err := json.Marshal(e)
		if err != nil {
			panic(fmt.Sprintf("a user error that is not JSON: %v", err)) // plain structs; cannot happen
		}
		out = append(out, storedError{Type: fmt.Sprintf("%T", e), Error: raw})
	}
	return out
}

func readErrors(stored []storedError) []models.UserError {
	var out []models.UserError
	for _, s := range stored {
		switch s.Type {
		case "models.InsufficientStockError":
			out = append(out, readError[models.InsufficientStockError](s.Error))
		case "models.QuantityLimitExceededError":
			out = append(out, readError[models.QuantityLimitExceededError](s.Error))
		case "models.StaleQuantityError":
			out = append(out, readError[models.StaleQuantityError](s.Error))
		case "models.ReservationNotActiveError":
			out = append(out, readError[models.ReservationNotActiveError](s.Error))
		case "models.NotFoundError":
			out = append(out, readError[models.NotFoundError](s.Error))
		default:
			out = append(out, readError[models.InvalidInputError](s.Error))
		}
	}
	return out
}

// readError reads back what writeErrors wrote; what cannot be read is an
// error of the same type without its details.
func readError[T models.UserError](raw json.RawMessage) models.UserError {
	var e T
	_ = json.Unmarshal(raw, &e)
	return e
}
