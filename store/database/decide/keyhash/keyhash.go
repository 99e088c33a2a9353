package keyhash

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"sync"

	"onhand/models"
	"onhand/store/database/decide/rowjson"
)

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
