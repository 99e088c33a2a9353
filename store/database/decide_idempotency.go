package database

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"

	"onhand/models"
)

// answer is what is kept of the first answer to a keyed write.
type answer struct {
	Reservation string        `json:"reservation,omitempty"`
	Products    []string      `json:"products,omitempty"`
	Locations   []string      `json:"locations,omitempty"`
	Channels    []string      `json:"channels,omitempty"`
	Errors      []storedError `json:"errors,omitempty"`
}

// storedError is a UserError with the name of its type.
type storedError struct {
	Type  string          `json:"type"`
	Error json.RawMessage `json:"error"`
}

// storedAnswer is the first answer to a keyed write.
type storedAnswer struct {
	fingerprint []byte
	answer      answer
}

// keyHashes are what is derived from a keyed write. The key of the hold it may
// make, and that of the answer it may have, are the halves of one keyed hash of
// its idempotency key, so that nobody can guess them without the database's
// secret.
type keyHashes struct {
	reservation, answer [16]byte
	print               [16]byte // fingerprint of the whole write
}

func hashesWith(mac hash.Hash, w models.Write) (hashes keyHashes) {
	var sum [sha256.Size]byte
	mac.Reset()
	_, _ = io.WriteString(mac, w.Key())
	mac.Sum(sum[:0])
	copy(hashes.reservation[:], sum[:])
	copy(hashes.answer[:], sum[len(hashes.reservation):])
	hashes.print = fingerprint(w)
	return hashes
}

// fingerprint is a hash of all a write asks for, its key included.
func fingerprint(w models.Write) [16]byte {
	var room [256]byte
	input := append(append(room[:0], w.Kind()...), 0)
	if reserve, ok := w.(models.Reserve); ok {
		input = appendReserve(input, reserve)
	} else {
		raw, err := json.Marshal(w)
		if err != nil {
			panic(fmt.Sprintf("a write that is not JSON: %v", err)) // plain structs; cannot happen
		}
		input = append(input, raw...)
	}
	sum := sha256.Sum256(input)
	return [16]byte(sum[:16])
}

// replay finds the first answer to a key. A reservation's id is derived from
// the key that made it, so it is its own record.
func (d *decider) replay(w models.Write) (models.WriteResult, bool) {
	known := d.answers[d.hashes.answer]
	if s := d.held[d.hashes.reservation]; s != nil && known == nil {
		_, reserving := w.(models.Reserve)
		if !reserving || !bytes.Equal(s.fingerprint, d.hashes.print[:]) {
			return mismatch(), true
		}
		at := s.At(d.now)
		return models.WriteResult{Reservation: &at, Replayed: true}, true
	}
	if known == nil {
		return models.WriteResult{}, false
	}
	if !bytes.Equal(known.fingerprint, d.hashes.print[:]) {
		return mismatch(), true
	}
	errs, err := readErrors(known.answer.Errors)
	if err != nil {
		return models.WriteResult{Fault: err}, true
	}
	result := models.WriteResult{Replayed: true, Errors: errs, Locations: known.answer.Locations, Channels: known.answer.Channels}
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
func (d *decider) remember(result models.WriteResult) {
	kept := answer{Errors: writeErrors(result.Errors), Locations: result.Locations, Channels: result.Channels}
	if result.Reservation != nil {
		kept.Reservation = result.Reservation.ID
	}
	for _, s := range result.Stocks {
		kept.Products = append(kept.Products, s.ProductID)
	}
	key := d.hashes.answer
	d.answers[key] = &storedAnswer{fingerprint: slices.Clone(d.hashes.print[:]), answer: kept}
	d.answered[key] = true
}

func writeErrors(errs []models.UserError) []storedError {
	var out []storedError
	for _, e := range errs {
		var name string
		switch e.(type) {
		case models.InsufficientStockError:
			name = storedInsufficient
		case models.QuantityLimitExceededError:
			name = storedLimit
		case models.StaleQuantityError:
			name = storedStale
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
		out = append(out, storedError{Type: name, Error: raw})
	}
	return out
}

func readErrors(stored []storedError) (out []models.UserError, err error) {
	for _, s := range stored {
		var e models.UserError
		switch s.Type {
		case storedInsufficient:
			e, err = readError[models.InsufficientStockError](s.Error)
		case storedLimit:
			e, err = readError[models.QuantityLimitExceededError](s.Error)
		case storedStale:
			e, err = readError[models.StaleQuantityError](s.Error)
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

// keyedAnswer is a stored answer with its key.
type keyedAnswer struct {
	key [16]byte
	storedAnswer
}

func (v *view) addAnswer(a *keyedAnswer) { v.answers[a.key] = &a.storedAnswer }

// The names under which errors are stored.
const (
	storedInsufficient = "INSUFFICIENT_STOCK"
	storedLimit        = "QUANTITY_LIMIT_EXCEEDED"
	storedStale        = "STALE_QUANTITY"
	storedNotActive    = "RESERVATION_NOT_ACTIVE"
	storedNotFound     = "NOT_FOUND"
	storedInvalid      = "INVALID_INPUT"
)

// Secret is the key of the hashes of idempotency keys, with hashers that use it.
type Secret struct {
	text string
	macs sync.Pool
}

func newSecret(text string) *Secret {
	return &Secret{text: text, macs: sync.Pool{New: func() any { return hmac.New(sha256.New, []byte(text)) }}}
}

// same reports whether both are the same secret.
func (s *Secret) same(other *Secret) bool { return s != nil && other != nil && s.text == other.text }

// hashes derives what is stored of a keyed write's idempotency key and input.
func (s *Secret) hashes(w models.Write) keyHashes {
	mac := s.macs.Get().(hash.Hash)
	defer s.macs.Put(mac)
	return hashesWith(mac, w)
}

// hashesOf derives them for every write that has a key, before anything is
// locked for it.
func (s *Secret) hashesOf(writes []models.Write) []keyHashes {
	hashes := make([]keyHashes, len(writes))
	for i, w := range writes {
		if w.Key() != "" {
			hashes[i] = s.hashes(w)
		}
	}
	return hashes
}
