package storederrors

import (
	"encoding/json"
	"fmt"

	"onhand/models"
)

// StoredError is a UserError with the name of its type.
type StoredError struct {
	Type  string          `json:"type"`
	Error json.RawMessage `json:"error"`
}

// The names of the types of stored errors.
const (
	storedInsufficient = "INSUFFICIENT_STOCK"
	storedLimit        = "QUANTITY_LIMIT_EXCEEDED"
	storedStale        = "STALE_QUANTITY"
	storedSuperseded   = "SUPERSEDED_COUNT"
	storedNotActive    = "RESERVATION_NOT_ACTIVE"
	storedNotFound     = "NOT_FOUND"
	storedInvalid      = "INVALID_INPUT"
)

// Write turns errors into their stored form. It panics on a type without a name.
func Write(errs []models.UserError) []StoredError {
	var out []StoredError
	for _, e := range errs {
		var name string
		switch e.(type) {
		case models.InsufficientStockError:
			name = storedInsufficient
		case models.QuantityLimitExceededError:
			name = storedLimit
		case models.StaleQuantityError:
			name = storedStale
		case models.SupersededCountError:
			name = storedSuperseded
		case models.ReservationNotActiveError:
			name = storedNotActive
		case models.NotFoundError:
			name = storedNotFound
		case models.InvalidInputError:
			name = storedInvalid
		default:
			panic(fmt.Sprintf("no name to store a %T under", e)) // a type was added and forgotten here
		}
		raw, err := json.Marshal(e)
		if err != nil {
			panic(fmt.Sprintf("a user error that is not JSON: %v", err)) // plain structs; cannot happen
		}
		out = append(out, StoredError{Type: name, Error: raw})
	}
	return out
}

// Read turns stored errors back.
//
// Errors: a type that this version does not know; broken JSON.
func Read(stored []StoredError) (out []models.UserError, err error) {
	for _, s := range stored {
		var e models.UserError
		switch s.Type {
		case storedInsufficient:
			e, err = readError[models.InsufficientStockError](s.Error)
		case storedLimit:
			e, err = readError[models.QuantityLimitExceededError](s.Error)
		case storedStale:
			e, err = readError[models.StaleQuantityError](s.Error)
		case storedSuperseded:
			e, err = readError[models.SupersededCountError](s.Error)
		case storedNotActive:
			e, err = readError[models.ReservationNotActiveError](s.Error)
		case storedNotFound:
			e, err = readError[models.NotFoundError](s.Error)
		case storedInvalid:
			e, err = readError[models.InvalidInputError](s.Error)
		default:
			err = fmt.Errorf("an answer on record has an error of type %q, which this version does not know", s.Type)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func readError[T models.UserError](raw json.RawMessage) (models.UserError, error) {
	var e T
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, fmt.Errorf("an error on record: %w", err)
	}
	return e, nil
}
