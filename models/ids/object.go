package ids

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

const (
	// Prefix begins every global id but those of products and reservations, which
	// other graphs and carts know by their own ids. No own id may begin with it.
	Prefix = "onhand:"
	// ReservationPrefix begins the id of a reservation. 32 hex digits follow.
	ReservationPrefix = "res_"

	reservationDigits = 32
)

// ObjectKind is the type that a global id names.
type ObjectKind int

// The kinds of nodes.
const (
	Product ObjectKind = iota
	Reservation
	Stock
	Level
	Location
	Channel
	Movement
	Line
	Allocation
)

// Object is what a global id names: the kind of an object and the ids that find it. A
// client must treat the text as opaque. It is [Prefix], the type's name, a colon,
// and the ids in base64, separated by points.
type Object struct {
	Kind          ObjectKind
	ProductID     string
	LocationID    string
	ChannelID     string // of a Stock; empty: over all locations
	ReservationID string
	MovementID    int64
	// Moment is the time of a past Stock or StockLevel, in milliseconds; nil for the
	// live one.
	Moment *time.Time
}

// The times that RFC 3339 can write.
var (
	timeMin = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	timeMax = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
)

// The names of the types with an id of this form.
const (
	stockNode      = "Stock"
	levelNode      = "StockLevel"
	locationNode   = "Location"
	channelNode    = "Channel"
	movementNode   = "StockMovement"
	lineNode       = "ReservationLine"
	allocationNode = "ReservationAllocation"
)

// partsMax is how many ids a global id has at most.
const partsMax = 3

// String is the global id.
func (n Object) String() string {
	switch n.Kind {
	case Product:
		return n.ProductID
	case Reservation:
		return n.ReservationID
	}
	return string(n.AppendTo(nil))
}

// AppendTo appends the global id. But for that of a product, it needs no escapes in JSON.
func (n Object) AppendTo(b []byte) []byte {
	switch n.Kind {
	case Reservation:
		return append(b, n.ReservationID...)
	case Stock:
		return appendID(b, stockNode, n.ProductID, n.ChannelID, momentText(n.Moment))
	case Level:
		return appendID(b, levelNode, n.ProductID, n.LocationID, momentText(n.Moment))
	case Location:
		return appendID(b, locationNode, n.LocationID)
	case Channel:
		return appendID(b, channelNode, n.ChannelID)
	case Movement:
		return appendID(b, movementNode, strconv.FormatInt(n.MovementID, 10), n.ProductID)
	case Line:
		return appendID(b, lineNode, n.ReservationID, n.ProductID)
	case Allocation:
		return appendID(b, allocationNode, n.ReservationID, n.ProductID, n.LocationID)
	}
	return append(b, n.ProductID...)
}

// Parse parses a global id. Text without the prefix and without the form of a
// reservation's id is a product's own id. ok is false for other text with the prefix
// than String writes, and where an id in it can be none.
func Parse(id string) (n Object, ok bool) {
	rest, global := strings.CutPrefix(id, Prefix)
	if !global && IsReservation(id) {
		return Object{Kind: Reservation, ReservationID: id}, true
	}
	if !global {
		return Object{Kind: Product, ProductID: id}, true
	}
	name, encoded, _ := strings.Cut(rest, ":")
	p, ok := decodeParts(encoded)
	switch name {
	case stockNode:
		n = Object{Kind: Stock, ProductID: p[0], ChannelID: p[1], Moment: parseMoment(p[2])}
	case levelNode:
		n = Object{Kind: Level, ProductID: p[0], LocationID: p[1], Moment: parseMoment(p[2])}
	case locationNode:
		n = Object{Kind: Location, LocationID: p[0]}
	case channelNode:
		n = Object{Kind: Channel, ChannelID: p[0]}
	case movementNode:
		n = Object{Kind: Movement, MovementID: parseNumber(p[0]), ProductID: p[1]}
	case lineNode:
		n = Object{Kind: Line, ReservationID: p[0], ProductID: p[1]}
	case allocationNode:
		n = Object{Kind: Allocation, ReservationID: p[0], ProductID: p[1], LocationID: p[2]}
	default:
		return n, false
	}
	return n, ok && n.valid() && n.String() == id
}

// valid reports whether an object can have these ids.
func (n Object) valid() bool {
	switch n.Kind {
	case Location:
		return n.LocationID != ""
	case Channel:
		return n.ChannelID != ""
	case Line, Allocation:
		return IsReservation(n.ReservationID)
	}
	return CheckProduct(n.ProductID) == ""
}

// appendID appends the ids of an object. Empty ones at the end are left out.
func appendID(id []byte, name string, parts ...string) []byte {
	id = append(append(id, Prefix...), name...)
	id = append(id, ':')
	for i, part := range parts {
		if i > 0 {
			id = append(id, '.')
		}
		id = base64.RawURLEncoding.AppendEncode(id, []byte(part))
	}
	return bytes.TrimRight(id, ".")
}

// decodeParts also accepts texts that appendID does not write: base64 has other
// spellings (line ends, unused bits).
func decodeParts(encoded string) (parts [partsMax]string, ok bool) {
	for i, part := range strings.Split(encoded, ".") {
		decoded, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || i >= partsMax {
			return parts, false
		}
		parts[i] = string(decoded)
	}
	return parts, true
}

func momentText(at *time.Time) string {
	if at == nil {
		return ""
	}
	return strconv.FormatInt(at.UnixMilli(), 10)
}

// parseMoment returns nil for what is no time. Its text is then another one.
func parseMoment(millis string) *time.Time {
	n, err := strconv.ParseInt(millis, 10, 64)
	at := time.UnixMilli(n).UTC()
	if err != nil || at.Before(timeMin) || !at.Before(timeMax) {
		return nil
	}
	return &at
}

// parseNumber returns 0 for what is no number. Its text is then another one.
func parseNumber(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// IsReservation reports whether a text has the form of a reservation's id.
func IsReservation(id string) bool {
	digits, found := strings.CutPrefix(id, ReservationPrefix)
	return found && len(digits) == reservationDigits && strings.Trim(digits, "0123456789abcdef") == ""
}
