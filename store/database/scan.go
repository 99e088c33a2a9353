package database

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"onhand/models"
)

const reservationColumns = "reservation_id, state, lines, channel, owner_ref, order_ref, fingerprint, version, created_at, expires_at"

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

// scanReservationNow scans a clock and a reservation, and brings them together.
func scanReservationNow(r rows) (*models.Reservation, error) {
	var now instant
	s, err := scanReservation(leading{r, &now})
	if err != nil {
		return nil, err
	}
	at := s.At(now.Time.Truncate(time.Microsecond))
	return &at, nil
}

// leading scans one more column in front of the others.
type leading struct {
	rows
	first any
}

func (l leading) Scan(dest ...any) error {
	return l.rows.Scan(append([]any{l.first}, dest...)...)
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

func scanLocation(r rows) (models.Location, error) {
	var l models.Location
	err := r.Scan(&l.LocationID, &l.Name, &l.Priority, &l.Active, &l.Pickup)
	return l, err
}

const memberColumns = "c.channel_id, c.name, c.sourcing, coalesce(m.location_id, '')"

func scanMember(r rows) (member, error) {
	var m member
	err := r.Scan(&m.ChannelID, &m.Name, &m.Sourcing, &m.location)
	return m, err
}

// trailing scans more columns behind the others.
type trailing struct {
	rows
	more []any
}

func (t trailing) Scan(dest ...any) error { return t.rows.Scan(append(dest, t.more...)...) }

// stateColumns are the quantity states as columns, in the order of
// models.Quantities.
var stateColumns = []string{"available", "reserved", "committed", "damaged", "quality_control", "safety_stock", "incoming"}

// perState writes a pattern for each state's column, $ standing for its name.
func perState(pattern, separator string) string {
	parts := make([]string, len(stateColumns))
	for i, column := range stateColumns {
		parts[i] = strings.ReplaceAll(pattern, "$", column)
	}
	return strings.Join(parts, separator)
}

// dueHold is a hold past its time.
type dueHold struct {
	id    string
	lines int
}

// overdueHold is a hold past its time, and the products it holds. It stands
// with others under one of them.
type overdueHold struct {
	key      [16]byte
	products []string
	under    string
}

func scanOverdueHold(r rows) (h overdueHold, err error) {
	var key []byte
	var products string
	if err := r.Scan(&key, &products); err != nil {
		return h, err
	}
	h.key = [16]byte(key)
	if strings.Contains(products, `\`) {
		if err := json.Unmarshal([]byte(products), &h.products); err != nil {
			return h, fmt.Errorf("lines of reservation %x: %w", key, err)
		}
		return h, nil
	}
	// Nothing is escaped: every second part between quotes is a product.
	parts := strings.Split(products, `"`)
	for i := 1; i < len(parts); i += 2 {
		h.products = append(h.products, parts[i])
	}
	return h, nil
}

func scanDueHold(r rows) (h dueHold, err error) {
	var key []byte
	err = r.Scan(&key, &h.lines)
	h.id = reservationID(key)
	return h, err
}

func micros(t time.Time) int64 { return t.UnixMicro() }

// orNull is a value, or null: a nil pointer inside an any is not nil.
func orNull[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

// among tells whether the hold holds one of the products.
func (h overdueHold) among(products map[string]bool) bool {
	return slices.ContainsFunc(h.products, func(id string) bool { return products[id] })
}

// movementColumns are the columns that a movement is written to, without its time.
const movementColumns = `product_id, location_id,
		available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
		available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
		reason, note, reference, actor, reservation_id, version`
