package decide

import (
	"bytes"
	"fmt"
	"slices"

	"onhand/models"
	"onhand/store/database/decide/storederrors"
)

// Answer is what is stored of the result that bound a key.
type Answer struct {
	Reservation string                     `json:"reservation,omitempty"`
	Products    []string                   `json:"products,omitempty"`
	Locations   []string                   `json:"locations,omitempty"`
	Channels    []string                   `json:"channels,omitempty"`
	Errors      []storederrors.StoredError `json:"errors,omitempty"`
}

// storedAnswer is an answer with the fingerprint of the write.
type storedAnswer struct {
	Fingerprint []byte
	Answer      Answer
}

// Replay returns the result that bound a key, if one did. A reservation's id is derived
// from its key, so a reservation is its own record.
func (d *Decider) Replay(w models.Write) (models.WriteResult, bool) {
	known := d.Answers[d.Hashes.Answer]
	if s := d.Reservations[d.Hashes.Reservation]; s != nil && known == nil {
		if !bytes.Equal(s.Fingerprint, d.Hashes.Fingerprint[:]) {
			return mismatch(), true
		}
		at := s.At(d.Now)
		return models.WriteResult{Reservation: &at, Replayed: true, Errors: noLongerReserved(w, &at)}, true
	}
	if known == nil {
		return models.WriteResult{}, false
	}
	if !bytes.Equal(known.Fingerprint, d.Hashes.Fingerprint[:]) {
		return mismatch(), true
	}
	errs, err := storederrors.Read(known.Answer.Errors)
	if err != nil {
		return models.WriteResult{Fault: err}, true
	}
	result := models.WriteResult{Replayed: true, Errors: errs, Locations: known.Answer.Locations, Channels: known.Answer.Channels}
	if key, ok := ReservationKey(known.Answer.Reservation); ok {
		if s := d.Reservations[key]; s != nil {
			at := s.At(d.Now)
			result.Reservation = &at
			result.Errors = append(result.Errors, noLongerReserved(w, &at)...)
		}
	}
	for _, id := range known.Answer.Products {
		result.Stocks = append(result.Stocks, &models.Stock{Product: models.Product{ProductID: id}})
	}
	return result, true
}

// noLongerReserved is the error beside the replay of a reservation whose units are
// available again. A client that reads only the errors would else believe that it still
// has them.
func noLongerReserved(w models.Write, r *models.Reservation) []models.UserError {
	var path []string
	switch w.(type) {
	case models.Reserve:
		path = models.InputPath("idempotencyKey")
	case models.UpdateReservation:
		path = models.InputPath("id")
	default:
		return nil
	}
	switch r.State {
	case models.ReservationReleased, models.ReservationExpired, models.ReservationCancelled:
		return []models.UserError{models.ReservationNotActiveError{
			Failure: models.Failure{Message: fmt.Sprintf("this key took effect before, and its reservation is %s by now: it reserves nothing any more", r.State), Path: path},
			State:   r.State,
		}}
	}
	return nil
}

// tooLate refuses a key that is not bound after the time that its caller has set.
func (d *Decider) tooLate(w models.Write) []models.UserError {
	limit := w.Terms().NotAfter
	if limit == nil || !d.Now.After(*limit) {
		return nil
	}
	return []models.UserError{models.IdempotencyError{
		Failure: models.Failure{
			Message: "this request came too late: notAfter has passed by the server's clock, and nothing was done",
			Path:    models.InputPath("notAfter"),
		},
		Cause: models.ErrorNotAfterPassed,
	}}
}

func mismatch() models.WriteResult {
	return models.WriteResult{Errors: []models.UserError{models.IdempotencyError{
		Failure: models.Failure{Message: "this idempotency key was used before with another input", Path: models.InputPath("idempotencyKey")},
		Cause:   models.ErrorKeyParameterMismatch,
	}}}
}

// binds reports whether a result binds its key: the write took effect, whole or in part.
// A refusal changed nothing, so the key stays free, and the caller may ask again with
// it.
func (d *Decider) binds(w models.Write, result models.WriteResult) bool {
	_, bulk := w.(models.Bulk)
	return len(result.Errors) == 0 || d.inPart || bulk && len(result.Stocks)+len(result.Locations)+len(result.Channels) > 0
}

// record stores the result of a keyed write.
func (d *Decider) record(result models.WriteResult) {
	kept := Answer{Errors: storederrors.Write(result.Errors), Locations: result.Locations, Channels: result.Channels}
	if result.Reservation != nil {
		kept.Reservation = result.Reservation.ID
	}
	for _, s := range result.Stocks {
		kept.Products = append(kept.Products, s.ProductID)
	}
	key := d.Hashes.Answer
	d.Answers[key] = &storedAnswer{Fingerprint: slices.Clone(d.Hashes.Fingerprint[:]), Answer: kept}
	d.NewAnswers[key] = true
}

// KeyedAnswer is a stored answer with its key.
type KeyedAnswer struct {
	Key [16]byte
	storedAnswer
}

// AddAnswer keeps an answer that was loaded.
func (u *UnitOfWork) AddAnswer(a *KeyedAnswer) { u.Answers[a.Key] = &a.storedAnswer }
