package decide

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"slices"
	"sync"

	"onhand/models"
	"onhand/store/database/decide/rowjson"
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

// KeyHashes are derived from a keyed write. The key of the reservation that it may
// create and the key of its answer are the halves of one keyed hash of its idempotency
// key in its scope, so that they cannot be guessed without the database's secret. They
// do not depend on the rest of the input: a key that was refused makes the reservation
// with the same id later, whatever its input is then.
type KeyHashes struct {
	Reservation, Answer [16]byte
	Fingerprint         [16]byte // fingerprint of the whole write
}

// hasher makes hashes one after the other.
type hasher struct {
	mac    hash.Hash
	buffer []byte
}

func (h *hasher) hash(form rowjson.JSON, w models.Write) (hashes KeyHashes) {
	h.buffer = appendScopedKey(h.buffer[:0], w)
	h.mac.Reset()
	_, _ = h.mac.Write(h.buffer) // a hash; cannot fail
	h.buffer = h.mac.Sum(h.buffer[:0])
	copy(hashes.Reservation[:], h.buffer)
	copy(hashes.Answer[:], h.buffer[len(hashes.Reservation):])
	hashes.Fingerprint = Fingerprint(form, w)
	return hashes
}

// appendScopedKey appends an idempotency key with its scope: the kind of write and the
// caller. No kind has a zero byte, and the caller has its length before it, so two
// scoped keys are never the same bytes.
func appendScopedKey(b []byte, w models.Write) []byte {
	caller := w.Terms().Caller
	b = append(append(b, w.Kind()...), 0)
	b = binary.AppendUvarint(b, uint64(len(caller)))
	return append(append(b, caller...), w.Key()...)
}

// Fingerprint is a hash of all that a write asks for, its key included.
func Fingerprint(form rowjson.JSON, w models.Write) [16]byte {
	var room [256]byte
	input := append(append(room[:0], w.Kind()...), 0)
	if reserve, ok := w.(models.Reserve); ok {
		input = form.AppendReserve(input, reserve)
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

// Secret is the key of the hashes of idempotency keys, with hashers that use it.
type Secret struct {
	// JSON writes what fingerprints are made of.
	JSON rowjson.JSON

	text    string
	hashers sync.Pool
}

// NewSecret returns the secret with this text.
func NewSecret(text string) *Secret {
	return &Secret{text: text, hashers: sync.Pool{New: func() any { return &hasher{mac: hmac.New(sha256.New, []byte(text))} }}}
}

// Equal reports whether both are the same secret.
func (s *Secret) Equal(other *Secret) bool { return s != nil && other != nil && s.text == other.text }

// Hash derives what is stored of a keyed write's idempotency key and input.
func (s *Secret) Hash(w models.Write) KeyHashes {
	h := s.hashers.Get().(*hasher)
	defer s.hashers.Put(h)
	return h.hash(s.JSON, w)
}

// HashAll derives them for every write that has a key.
func (s *Secret) HashAll(writes []models.Write) []KeyHashes {
	hashes := make([]KeyHashes, len(writes))
	for i, w := range writes {
		if w.Key() != "" {
			hashes[i] = s.Hash(w)
		}
	}
	return hashes
}
