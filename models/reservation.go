package models

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"onhand/models/owner"
)

// ReservationState is where a reservation is in its life.
type ReservationState string

// The states: ACTIVE → COMMITTED → FULFILLED, ACTIVE → RELEASED | EXPIRED,
// COMMITTED → CANCELLED. A commit that may reacquire also turns EXPIRED into COMMITTED.
const (
	ReservationActive    ReservationState = "ACTIVE"
	ReservationCommitted ReservationState = "COMMITTED"
	ReservationFulfilled ReservationState = "FULFILLED"
	ReservationReleased  ReservationState = "RELEASED"
	ReservationExpired   ReservationState = "EXPIRED"
	ReservationCancelled ReservationState = "CANCELLED"
)

// Reservation holds units of several products until it expires. It gets all its
// lines or none, unless the caller allows a part.
type Reservation struct {
	// ID is "res_" and 32 hex digits: 128 bits of a keyed hash of the idempotency key,
	// which nobody can guess.
	ID        string
	State     ReservationState
	Lines     []ReservationLine // in the order asked, one per product
	Channel   string            // empty: all locations
	Owner     string            // the caller's own reference; may be empty
	Holder    owner.Holder      // whose it is
	Order     string            // the order it became; may be empty
	CreatedAt time.Time
	ExpiresAt time.Time
	// Version grows with every change of the reservation, its expiry included. Equal
	// versions mean equal content: see At and VersionAfter.
	Version int64
	// ServerTime is the database's clock when this was read.
	ServerTime time.Time
}

// ReservationLine is one product of a reservation.
type ReservationLine struct {
	ProductID string `json:"productId"`
	// Requested is how many units the caller asked for. Quantity is how many are
	// reserved, or ordered once the reservation is committed. Quantity is less where
	// the caller allowed a part, or the order took less.
	Requested int `json:"requested"`
	Quantity  int `json:"quantity"`
	// Fulfilled and Cancelled are units of Quantity.
	Fulfilled int `json:"fulfilled,omitempty"`
	Cancelled int `json:"cancelled,omitempty"`
	// Allocations spread Quantity over locations; empty for untracked products.
	Allocations []Allocation `json:"allocations,omitempty"`
	// Pinned are the units that the caller asked for from one location only.
	Pinned []Allocation `json:"pinned,omitempty"`
	// Ended: the reservation has ended, and nothing is left. Only At sets it; the
	// stored line says what was reserved.
	Ended bool `json:"-"`
}

// Left is how many units of the line are still reserved or on order.
func (l ReservationLine) Left() int {
	if l.Ended {
		return 0
	}
	return l.Quantity - l.Fulfilled - l.Cancelled
}

// Allocation is the part of a line that one location supplies.
type Allocation struct {
	LocationID string `json:"locationId"`
	Quantity   int    `json:"quantity"`
	// Done is how many of the units were fulfilled or cancelled.
	Done int `json:"done,omitempty"`
	// Ended is that of the line.
	Ended bool `json:"-"`
}

// Left is how many units the level still counts as reserved or committed.
func (a Allocation) Left() int {
	if a.Ended {
		return 0
	}
	return a.Quantity - a.Done
}

// Split divides what is left of a line, in the order of its locations, into the
// first n units and the rest.
func (l ReservationLine) Split(n int) (first, rest []Allocation) {
	for _, a := range l.Allocations {
		take := min(n, a.Left())
		n -= take
		if take > 0 {
			first = append(first, Allocation{LocationID: a.LocationID, Quantity: take})
		}
		if more := a.Left() - take; more > 0 {
			rest = append(rest, Allocation{LocationID: a.LocationID, Quantity: more})
		}
	}
	return first, rest
}

// WithDone returns the line with the first n units of what is left counted as done.
func (l ReservationLine) WithDone(n int) ReservationLine {
	l.Allocations = slices.Clone(l.Allocations)
	for i, a := range l.Allocations {
		take := min(n, a.Left())
		l.Allocations[i].Done += take
		n -= take
	}
	return l
}

// Left is how many units of all lines are still reserved or on order.
func (r Reservation) Left() (n int) {
	for _, l := range r.Lines {
		n += l.Left()
	}
	return n
}

// OwnerRef is the caller's own reference; nil for none.
func (r Reservation) OwnerRef() *string { return present(r.Owner) }

// Subject is the subject of the token that it belongs to; nil for none.
func (r Reservation) Subject() *string { return present(r.Holder.Subject()) }

// OrderRef is the order it became; nil for none.
func (r Reservation) OrderRef() *string { return present(r.Order) }

func present(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// At returns the reservation as of a time on the database's clock. Expiry is a
// predicate: past ExpiresAt a reservation is EXPIRED, whether or not the sweeper has
// reached it, with the version that the sweeper will store. Nothing is left of a
// reservation that has ended.
func (r Reservation) At(now time.Time) Reservation {
	r.ServerTime = now
	if r.State == ReservationActive && !r.ExpiresAt.After(now) {
		r.Version, r.State = r.VersionAfter(ReservationExpired), ReservationExpired
	}
	if r.State.Ended() {
		r.Lines = endedLines(r.Lines)
	}
	return r
}

// VersionAfter is the version that a change of the stored reservation to a state, or
// within it, must store. The version after that of an active reservation belongs to its
// expiry: a reader may see the expiry while a change that was decided before it commits.
func (r Reservation) VersionAfter(next ReservationState) int64 {
	if r.State == ReservationActive && next != ReservationExpired {
		return r.Version + 2
	}
	return r.Version + 1
}

// Ended reports whether no units are reserved or on order in this state. It changes no
// more, unless a commit reacquires what has expired.
func (s ReservationState) Ended() bool {
	return s != ReservationActive && s != ReservationCommitted
}

// endedLines returns copies of lines of which nothing is left.
func endedLines(lines []ReservationLine) []ReservationLine {
	lines = slices.Clone(lines)
	for i := range lines {
		lines[i].Ended = true
		lines[i].Allocations = slices.Clone(lines[i].Allocations)
		for j := range lines[i].Allocations {
			lines[i].Allocations[j].Ended = true
		}
	}
	return lines
}

// Transition is what a reservation's change of state moves between quantity states,
// and why.
type Transition struct {
	From   ReservationState
	Take   State
	Give   State // empty: the units are no longer on hand
	Reason Reason
}

var transitions = map[ReservationState]Transition{
	ReservationCommitted: {ReservationActive, Reserved, Committed, ReasonCommitted},
	ReservationReleased:  {ReservationActive, Reserved, Available, ReasonReleased},
	ReservationExpired:   {ReservationActive, Reserved, Available, ReasonExpired},
	ReservationFulfilled: {ReservationCommitted, Committed, "", ReasonFulfilled},
	ReservationCancelled: {ReservationCommitted, Committed, Available, ReasonCancelled},
}

// TransitionTo returns the one transition into a state. ok is false for ACTIVE and
// for unknown states.
func TransitionTo(s ReservationState) (t Transition, ok bool) {
	t, ok = transitions[s]
	return t, ok
}

// RequestedLine asks for a quantity of a product.
type RequestedLine struct {
	ProductID string `json:"productId"`
	Quantity  int    `json:"quantity"`
	// LocationID, where not empty, is the only location that may supply it.
	LocationID string `json:"locationId,omitempty"`
}

// LinePart is some units of a product of a reservation.
type LinePart struct {
	ProductID string `json:"productId"`
	Quantity  int    `json:"quantity"`
}

// Reserve creates a reservation.
type Reserve struct {
	IdempotencyKey string          `json:"idempotencyKey"`
	Lines          []RequestedLine `json:"lines"`
	TTL            time.Duration   `json:"ttl,omitempty"` // zero: DefaultTTL
	Channel        string          `json:"channel,omitempty"`
	AllowPartial   bool            `json:"allowPartial,omitempty"`
	OwnerRef       string          `json:"ownerRef,omitempty"`
	Holder         owner.Holder    `json:"-"`
	Access         owner.Access    `json:"-"` // to what the key made before
	PartialMax     int             `json:"-"` // of a product that is short; zero: all there are
	// DefaultTTL is the server's setting.
	DefaultTTL time.Duration `json:"-"`
	KeyTerms
}

// UpdateReservation replaces the lines of an active reservation, atomically. A TTL
// above zero also restarts its time to live.
type UpdateReservation struct {
	IdempotencyKey string          `json:"idempotencyKey"`
	ID             string          `json:"id"`
	Lines          []RequestedLine `json:"lines"`
	TTL            time.Duration   `json:"ttl,omitempty"`
	AllowPartial   bool            `json:"allowPartial,omitempty"`
	Access         owner.Access    `json:"-"`
	PartialMax     int             `json:"-"` // as in Reserve
	KeyTerms
}

// ExtendReservation restarts the time to live of an active reservation.
type ExtendReservation struct {
	ID     string
	TTL    time.Duration // zero: the reservation's own
	Access owner.Access
	KeyTerms
}

// ClaimReservation makes an open reservation without an owner the subject's.
type ClaimReservation struct {
	ID     string
	Access owner.Access
	KeyTerms
}

// Resolve changes the state of a reservation: release, expire, commit, fulfil or
// cancel. Commit, fulfil and cancel may name a part of it.
type Resolve struct {
	IdempotencyKey string           `json:"idempotencyKey"`
	ID             string           `json:"id"`
	To             ReservationState `json:"to"`
	Lines          []LinePart       `json:"lines,omitempty"`    // nil: everything left
	OrderRef       string           `json:"orderRef,omitempty"` // with To == ReservationCommitted
	// Reacquire, with To == ReservationCommitted, takes the units of a reservation that
	// has expired again.
	Reacquire bool         `json:"reacquire,omitempty"`
	Actor     string       `json:"-"`
	Access    owner.Access `json:"-"`
	KeyTerms
}

// ReservationTTL is the time to live of the new reservation.
func (w Reserve) ReservationTTL() time.Duration { return cmp.Or(w.TTL, w.DefaultTTL) }

// Key implements Write.
func (w Reserve) Key() string           { return w.IdempotencyKey }
func (w UpdateReservation) Key() string { return w.IdempotencyKey }
func (w ExtendReservation) Key() string { return "" }
func (w ClaimReservation) Key() string  { return "" }
func (w Resolve) Key() string           { return w.IdempotencyKey }

// Kind implements Write.
func (w Reserve) Kind() string           { return "reserve" }
func (w UpdateReservation) Kind() string { return "update" }
func (w ExtendReservation) Kind() string { return "extend" }
func (w ClaimReservation) Kind() string  { return "claim" }
func (w Resolve) Kind() string           { return "resolve:" + string(w.To) }

// Check implements Write.
func (w Reserve) Check(ttlMax time.Duration) []UserError {
	var c checker
	c.key(w.IdempotencyKey)
	c.lines(w.Lines)
	c.ttl(w.ReservationTTL(), ttlMax)
	if w.Channel != "" {
		c.id(w.Channel, "channel")
	}
	c.text(w.OwnerRef, TextLengthMax, "ownerRef")
	return c.errs
}

// Check implements Write.
func (w UpdateReservation) Check(ttlMax time.Duration) []UserError {
	var c checker
	c.key(w.IdempotencyKey)
	c.lines(w.Lines)
	if w.TTL != 0 {
		c.ttl(w.TTL, ttlMax)
	}
	return c.errs
}

// Check implements Write.
func (w ExtendReservation) Check(ttlMax time.Duration) []UserError {
	var c checker
	if w.TTL != 0 {
		c.ttl(w.TTL, ttlMax)
	}
	return c.errs
}

// Check implements Write.
func (w ClaimReservation) Check(time.Duration) []UserError { return nil }

// Check implements Write.
func (w Resolve) Check(time.Duration) []UserError {
	var c checker
	if w.To != ReservationReleased && w.To != ReservationExpired {
		c.key(w.IdempotencyKey)
	}
	c.text(w.OrderRef, TextLengthMax, "orderRef")
	if w.Lines != nil {
		c.parts(w.Lines)
	}
	return c.errs
}

func (c *checker) ttl(ttl, limit time.Duration) {
	if ttl < ReservationTTLMin || ttl > limit {
		c.add("must be between "+seconds(ReservationTTLMin)+" and "+seconds(limit), "ttlSeconds")
	}
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

func (c *checker) lines(lines []RequestedLine) {
	if !c.entries(len(lines), ReservationLinesMax, "lines") {
		return
	}
	for i, l := range lines {
		c.productID(l.ProductID, "lines", i, "productId")
		if l.LocationID != "" {
			c.id(l.LocationID, "lines", i, "locationId")
		}
		c.between(l.Quantity, 1, QuantityMax, "lines", i, "quantity")
	}
}

func (c *checker) parts(parts []LinePart) {
	if len(parts) == 0 || len(parts) > ReservationLinesMax {
		c.add("must have 1 to "+strconv.Itoa(ReservationLinesMax)+" entries, or be left out", "lines")
		return
	}
	for i, part := range parts {
		c.productID(part.ProductID, "lines", i, "productId")
		c.between(part.Quantity, 1, QuantityMax, "lines", i, "quantity")
	}
}
