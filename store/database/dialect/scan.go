package dialect

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/decide/holderusage"
)

const (
	// NewReservationColumns are the columns that a new reservation fills.
	NewReservationColumns = "reservation_id, state, lines, channel, owner_ref, holder, order_ref, fingerprint, version, created_at, expires_at, counted, in_purchases"
	// ReservationColumns are the columns of a stored reservation, for [ScanReservation].
	ReservationColumns = NewReservationColumns + ", extensions, coalesce(renewed_at, created_at), ordered_at"
)

// ScanReservation scans ReservationColumns.
func ScanReservation(r Rows) (*decide.StoredReservation, error) {
	var (
		s                                    decide.StoredReservation
		key, lines                           []byte
		createdAt, expires, renewed, ordered Instant
	)
	err := r.Scan(&key, &s.State, &lines, &s.Channel, &s.Owner, &s.Holder, &s.Order, &s.Fingerprint, &s.Version, &createdAt, &expires, &s.Counted, &s.InPurchases, &s.Extensions, &renewed, &ordered)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(lines, &s.Lines); err != nil {
		return nil, fmt.Errorf("lines of a reservation: %w", err)
	}
	copy(s.Key[:], key)
	s.ID, s.CreatedAt, s.ExpiresAt, s.RenewedAt, s.OrderedAt = decide.ReservationID(key), createdAt.Time, expires.Time, renewed.Time, ordered.Time
	return &s, nil
}

// ScanAnswer scans the key, the fingerprint and the JSON of a stored answer.
func ScanAnswer(r Rows) (*decide.KeyedAnswer, error) {
	var (
		a        decide.KeyedAnswer
		key, raw []byte
	)
	if err := r.Scan(&key, &a.Fingerprint, &raw); err != nil {
		return nil, err
	}
	copy(a.Key[:], key)
	if err := json.Unmarshal(raw, &a.Answer); err != nil {
		return nil, fmt.Errorf("answer to an idempotency key: %w", err)
	}
	return &a, nil
}

// ScanLocation scans a location without its time columns.
func ScanLocation(r Rows) (models.Location, error) {
	var l models.Location
	err := r.Scan(&l.LocationID, &l.Name, &l.Priority, &l.Active, &l.Pickup)
	return l, err
}

// ScanFirst scans a channel's id before the columns of its first active location.
func ScanFirst(r Rows) (f decide.FirstLocation, err error) {
	f.Location, err = ScanLocation(Leading{Rows: r, First: &f.Channel})
	return f, err
}

// MemberColumns are the columns of a channel c and one of its locations m, for
// [ScanMember].
const MemberColumns = "c.channel_id, c.name, c.sourcing, c.buffer, c.revision, coalesce(m.location_id, '')"

// ScanMember scans MemberColumns.
func ScanMember(r Rows) (decide.ChannelMember, error) {
	var m decide.ChannelMember
	err := r.Scan(&m.ChannelID, &m.Name, &m.Sourcing, &m.Buffer, &m.Revision, &m.Location)
	return m, err
}

// Trailing scans more columns after the others.
type Trailing struct {
	Rows
	More []any
}

// Scan implements [Rows].
func (t Trailing) Scan(dest ...any) error { return t.Rows.Scan(append(dest, t.More...)...) }

// stateColumns are the quantity states as columns, in the order of
// models.Quantities.
var stateColumns = []string{"available", "reserved", "committed", "damaged", "quality_control", "safety_stock", "incoming"}

// PerState repeats a pattern for the column of each quantity state. $ stands for its
// name.
func PerState(pattern, separator string) string {
	parts := make([]string, len(stateColumns))
	for i, column := range stateColumns {
		parts[i] = strings.ReplaceAll(pattern, "$", column)
	}
	return strings.Join(parts, separator)
}

// OverdueLines is an overdue reservation with the number of its lines.
type OverdueLines struct {
	ID    string
	Lines int
}

// OverdueReservation is an active reservation past its expiry, with its products.
type OverdueReservation struct {
	Key      [16]byte
	Holder   string // empty where it is not counted
	Products []string
}

// ScanOverdue scans a reservation's key, its holder where it is counted, and the JSON list
// of its products.
func ScanOverdue(r Rows) (h OverdueReservation, err error) {
	var key []byte
	var products string
	if err := r.Scan(&key, &h.Holder, &products); err != nil {
		return h, err
	}
	h.Key = [16]byte(key)
	if strings.Contains(products, `\`) {
		if err := json.Unmarshal([]byte(products), &h.Products); err != nil {
			return h, fmt.Errorf("lines of a reservation: %w", err)
		}
		return h, nil
	}
	// Nothing is escaped: every second part between quotes is a product.
	parts := strings.Split(products, `"`)
	for i := 1; i < len(parts); i += 2 {
		h.Products = append(h.Products, parts[i])
	}
	return h, nil
}

// ScanOverdueLines scans a reservation's key and the number of its lines.
func ScanOverdueLines(r Rows) (h OverdueLines, err error) {
	var key []byte
	err = r.Scan(&key, &h.Lines)
	h.ID = decide.ReservationID(key)
	return h, err
}

// CountedHolder is the holder of a counted reservation; empty for any other.
const CountedHolder = "CASE WHEN counted THEN holder ELSE '' END AS holder"

// ScanHolding scans a holder, a product and a number of units.
func ScanHolding(r Rows) (h holderusage.Holding, err error) {
	err = r.Scan(&h.Holder, &h.Product, &h.Units)
	return h, err
}

// Micros is a time as SQLite stores it.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// MicrosOrNull is Micros; null for the zero time.
func MicrosOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// HasAny reports whether the reservation has one of the products.
func (h OverdueReservation) HasAny(products map[string]bool) bool {
	return slices.ContainsFunc(h.Products, func(id string) bool { return products[id] })
}

// MovementColumns are the columns that a movement is written to, without its time.
const MovementColumns = `product_id, location_id,
		available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
		available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
		reason, note, reference, actor, reservation_id, version`
