package models

import "time"

// Write is one request to change stock or a reservation. Writes travel in
// batches: each is decided on its own, in order, inside one transaction.
//
// The JSON names below are stored: a hash of them tells the repeat of an
// idempotency key from its misuse. What is not the caller's input (who he is,
// the server's defaults) stays out of it.
type Write interface {
	// Key is the idempotency key; empty for writes that are naturally
	// idempotent (extend, release, expire).
	Key() string
	// Kind names the write. It is stored, as part of what an idempotency key is
	// bound to.
	Kind() string
	// Check finds what can never be right in the input, without looking at
	// any stock. ttlMax bounds times to live.
	Check(ttlMax time.Duration) []UserError
}

// Line asks for a quantity of a product.
type Line struct {
	ProductID string `json:"productId"`
	Quantity  int    `json:"quantity"`
	// LocationID, where not empty, is the only location that may supply it.
	LocationID string `json:"locationId,omitempty"`
}

// LinePart is a part of what a reservation has of a product.
type LinePart struct {
	ProductID string `json:"productId"`
	Quantity  int    `json:"quantity"`
}

// Reserve makes a new reservation.
type Reserve struct {
	IdempotencyKey string        `json:"idempotencyKey"`
	Lines          []Line        `json:"lines"`
	TTL            time.Duration `json:"ttl,omitempty"` // zero: DefaultTTL
	Channel        string        `json:"channel,omitempty"`
	AllowPartial   bool          `json:"allowPartial,omitempty"`
	OwnerRef       string        `json:"ownerRef,omitempty"`
	// DefaultTTL is the server's.
	DefaultTTL time.Duration `json:"-"`
}

// UpdateReservation replaces the lines of an active reservation, atomically;
// a TTL above zero also restarts its time to live.
type UpdateReservation struct {
	IdempotencyKey string        `json:"idempotencyKey"`
	ID             string        `json:"id"`
	Lines          []Line        `json:"lines"`
	TTL            time.Duration `json:"ttl,omitempty"`
	AllowPartial   bool          `json:"allowPartial,omitempty"`
}

// ExtendReservation restarts the time to live of an active reservation.
type ExtendReservation struct {
	ID  string
	TTL time.Duration // zero: DefaultTTL
	// DefaultTTL is the server's.
	DefaultTTL time.Duration
}

// Resolve moves a reservation to another state: release, expire, commit,
// fulfil or cancel. Commit, fulfil and cancel may name a part of it.
type Resolve struct {
	IdempotencyKey string           `json:"idempotencyKey"`
	ID             string           `json:"id"`
	To             ReservationState `json:"to"`
	Lines          []LinePart       `json:"lines,omitempty"`    // nil: everything left
	OrderRef       string           `json:"orderRef,omitempty"` // with To == ReservationCommitted
	Actor          string           `json:"-"`
}

// ReservationTTL is how long the hold lasts.
func (w Reserve) ReservationTTL() time.Duration           { return reservationTTL(w.TTL, w.DefaultTTL) }
func (w ExtendReservation) ReservationTTL() time.Duration { return reservationTTL(w.TTL, w.DefaultTTL) }

func reservationTTL(asked, fallback time.Duration) time.Duration {
	if asked == 0 {
		return fallback
	}
	return asked
}

// Key implements Write.
func (w Reserve) Key() string           { return w.IdempotencyKey }
func (w UpdateReservation) Key() string { return w.IdempotencyKey }
func (w ExtendReservation) Key() string { return "" }
func (w Resolve) Key() string           { return w.IdempotencyKey }

// Kind implements Write.
func (w Reserve) Kind() string           { return "reserve" }
func (w UpdateReservation) Kind() string { return "update" }
func (w ExtendReservation) Kind() string { return "extend" }
func (w Resolve) Kind() string           { return "resolve:" + string(w.To) }

// WriteResult is the answer to one Write, after its transaction committed.
type WriteResult struct {
	Reservation *Reservation // for reservation writes that found or made one
	Stocks      []*Stock     // for stock and product writes: every touched product, as committed
	Locations   []string     // for location writes: the ids of those made or changed
	Channels    []string     // for channel writes: the ids of those made or changed
	Replayed    bool         // the idempotency key was known: this is the first answer
	Errors      []UserError
	// Fault, where not nil, says that nothing is known to have happened.
	Fault error
}
