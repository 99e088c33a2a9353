package database

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"onhand/models"
)

// rows is what pgx and database/sql results have in common.
type rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
}

// instant scans a time from either engine: a timestamp from Postgres,
// microseconds since 1970 from SQLite.
type instant struct{ time.Time }

// Scan implements sql.Scanner.
func (i *instant) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		i.Time = time.Time{}
	case time.Time:
		i.Time = v.UTC()
	case int64:
		i.Time = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("a time came as %T", v)
	}
	return nil
}

// pointer gives nil for "no time".
func (i instant) pointer() *time.Time {
	if i.IsZero() {
		return nil
	}
	t := i.Time
	return &t
}

const reservationPrefix = "res_"

// reservationKey turns a reservation's public id into its 16 byte key; ok is
// false for what cannot be one.
func reservationKey(id string) (key [16]byte, ok bool) {
	digits, found := strings.CutPrefix(id, reservationPrefix)
	if !found || len(digits) != 32 || strings.ToLower(digits) != digits {
		return key, false
	}
	_, err := hex.Decode(key[:], []byte(digits))
	return key, err == nil
}

func reservationID(key []byte) string { return reservationPrefix + hex.EncodeToString(key) }

// derive makes 16 bytes from a key that nobody can guess without the
// database's secret.
func derive(secret, purpose, key string) (out [16]byte) {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(purpose + "\x00" + key))
	copy(out[:], mac.Sum(nil))
	return out
}

// fingerprint is a hash of all a write asks for, its key included.
func fingerprint(w models.Write) [16]byte {
	input, err := json.Marshal(w)
	if err != nil {
		panic(fmt.Sprintf("a write that is not JSON: %v", err)) // plain structs; cannot happen
	}
	sum := sha256.Sum256(append([]byte(w.Kind()+"\x00"), input...))
	return [16]byte(sum[:16])
}

func newEpoch() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	return hex.EncodeToString(b[:])
}

const reservationColumns = "reservation_id, state, lines, channel, owner_ref, order_ref, fingerprint, version, created_at, expires_at"

// storedReservation is a reservation with what only the database knows of it.
type storedReservation struct {
	models.Reservation
	key         [16]byte
	fingerprint []byte
}

func scanReservation(r rows) (*storedReservation, error) {
	var (
		s                  storedReservation
		key, lines         []byte
		createdAt, expires instant
	)
	err := r.Scan(&key, &s.State, &lines, &s.Channel, &s.Owner, &s.Order, &s.fingerprint, &s.Version, &createdAt, &expires)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(lines, &s.Lines); err != nil {
		return nil, fmt.Errorf("lines of reservation %x: %w", key, err)
	}
	copy(s.key[:], key)
	s.ID, s.CreatedAt, s.ExpiresAt = reservationID(key), createdAt.Time, expires.Time
	return &s, nil
}

const levelColumns = "l.product_id, l.location_id, l.available, l.reserved, l.committed, l.damaged, l.quality_control, l.safety_stock, l.incoming, c.active, c.priority"

func scanLevel(r rows) (*models.Level, error) {
	var l models.Level
	err := r.Scan(&l.ProductID, &l.LocationID, &l.Available, &l.Reserved, &l.Committed, &l.Damaged,
		&l.QualityControl, &l.SafetyStock, &l.Incoming, &l.Active, &l.Priority)
	return &l, err
}

const productColumns = "p.product_id, p.title, p.tracked, p.inventory_policy, p.backorder_limit, p.low_stock_threshold, p.max_per_reservation, p.next_restock_at, p.version"

func scanProduct(r rows) (*models.Product, error) {
	var (
		p       models.Product
		restock instant
	)
	err := r.Scan(&p.ProductID, &p.Title, &p.Tracked, &p.InventoryPolicy, &p.BackorderLimit,
		&p.LowStockThreshold, &p.MaxPerReservation, &restock, &p.Version)
	p.NextRestockAt = restock.pointer()
	return &p, err
}

// each calls scan for every row.
func each[T any](r rows, scan func(rows) (T, error), keep func(T)) error {
	for r.Next() {
		v, err := scan(r)
		if err != nil {
			return err
		}
		keep(v)
	}
	return r.Err()
}

// keyedAnswer is a stored answer with its key.
type keyedAnswer struct {
	key [16]byte
	storedAnswer
}

func scanAnswer(r rows) (*keyedAnswer, error) {
	var (
		a        keyedAnswer
		key, raw []byte
	)
	if err := r.Scan(&key, &a.fingerprint, &raw); err != nil {
		return nil, err
	}
	copy(a.key[:], key)
	if err := json.Unmarshal(raw, &a.answer); err != nil {
		return nil, fmt.Errorf("answer to key %x: %w", key, err)
	}
	return &a, nil
}

func (v *view) addAnswer(a *keyedAnswer) { v.answers[a.key] = &a.storedAnswer }

func scanLocation(r rows) (models.Location, error) {
	var l models.Location
	err := r.Scan(&l.LocationID, &l.Name, &l.Priority, &l.Active, &l.Pickup)
	return l, err
}

// member is a location of a channel; empty for a channel without locations.
type member struct{ channel, location string }

func scanMember(r rows) (member, error) {
	var m member
	err := r.Scan(&m.channel, &m.location)
	return m, err
}

func (v *view) addMember(m member) {
	if v.channels[m.channel] == nil {
		v.channels[m.channel] = map[string]bool{}
	}
	if m.location != "" {
		v.channels[m.channel][m.location] = true
	}
}
