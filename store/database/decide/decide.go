package decide

import (
	"fmt"

	"onhand/models"
	"onhand/store/database/decide/keyhash"
)

// Decider decides the writes of one batch on one unit of work, in order.
type Decider struct {
	*UnitOfWork
	Hashes keyhash.KeyHashes // of the write being decided
	inPart bool              // the write being decided took effect, although it has errors
}

// Decide decides one write and leaves its effect in the unit of work. Failures are
// part of the result; a write that fails changes nothing.
func (d *Decider) Decide(w models.Write, hashes keyhash.KeyHashes) models.WriteResult {
	d.Hashes, d.inPart = hashes, false
	if field := d.unreachable(w); field != "" {
		return unknownReservation(field)
	}
	if w.Key() != "" {
		if result, known := d.Replay(w); known {
			return result
		}
		if errs := d.tooLate(w); errs != nil {
			return models.WriteResult{Errors: errs}
		}
	}
	var result models.WriteResult
	switch w := w.(type) {
	case models.Reserve:
		result = d.reserve(w)
	case models.UpdateReservation:
		result = d.update(w)
	case models.ExtendReservation:
		result = d.extend(w)
	case models.ClaimReservation:
		result = d.claim(w)
	case models.Resolve:
		result = d.resolve(w)
	case models.Adjust:
		result = d.adjust(w)
	case models.SetStock:
		result = d.set(w)
	case models.MoveStock:
		result = d.move(w)
	case models.UpsertProducts:
		result = d.upsertProducts(w)
	case models.UpsertLocations:
		result = d.upsertLocations(w)
	case models.UpsertChannels:
		result = d.upsertChannels(w)
	default:
		result.Fault = fmt.Errorf("no decision for a write of type %T", w)
		return result
	}
	if w.Key() != "" && d.binds(w, result) && !recordedByReservation(w, result) {
		d.record(result)
	}
	return result
}

// recordedByReservation reports whether the reservation itself is the record of its
// key: it was created, and whole.
func recordedByReservation(w models.Write, result models.WriteResult) bool {
	_, reserving := w.(models.Reserve)
	return reserving && result.Reservation != nil && len(result.Errors) == 0
}
