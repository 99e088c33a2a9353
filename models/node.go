package models

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// A global id is opaque to clients: the type's name, a colon, and the key in base64.
// Products and reservations use their own ids, which other graphs and carts know
// already.
const (
	stockNode    = "Stock:"
	locationNode = "Location:"
	movementNode = "StockMovement:"
)

// ID is the global id.
func (s *Stock) ID() string { return stockNode + encodeKey(s.ProductID) }

// ID is the global id.
func (l Location) ID() string { return locationNode + encodeKey(l.LocationID) }

// ID is the global id. It has the product id too, because the ledger is stored by
// product.
func (m *StockMovement) ID() string {
	return movementNode + encodeKey(strconv.FormatInt(m.MovementID, 10)+":"+m.ProductID)
}

// ParseMovementKey parses the key of a movement's global id. It accepts a number
// only as ID writes it.
func ParseMovementKey(key string) (movementID int64, productID string, ok bool) {
	number, productID, found := strings.Cut(key, ":")
	movementID, err := strconv.ParseInt(number, 10, 64)
	return movementID, productID, found && err == nil && strconv.FormatInt(movementID, 10) == number
}

// ID is the shop's own product id, so that other graphs can join on it.
func (p Product) ID() string { return p.ProductID }

// IsNode implements the schema's interface Node.
func (s *Stock) IsNode()         {}
func (l Location) IsNode()       {}
func (p Product) IsNode()        {}
func (r Reservation) IsNode()    {}
func (m *StockMovement) IsNode() {}

// NodeKind is the type that a global id names.
type NodeKind int

// The kinds of nodes.
const (
	NodeProduct NodeKind = iota
	NodeStock
	NodeLocation
	NodeReservation
	NodeMovement
)

// ParseNodeID parses a global id. Text without the form of another type's id is a
// product's own id.
func ParseNodeID(id string) (kind NodeKind, key string) {
	if key, ok := decodeKey(id, stockNode); ok {
		return NodeStock, key
	}
	if key, ok := decodeKey(id, locationNode); ok {
		return NodeLocation, key
	}
	if key, ok := decodeKey(id, movementNode); ok {
		return NodeMovement, key
	}
	if strings.HasPrefix(id, "res_") && len(id) == len("res_")+32 {
		return NodeReservation, id
	}
	return NodeProduct, id
}

func encodeKey(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

// decodeKey accepts only what encodeKey writes. base64 has other spellings (line
// ends, unused bits), but an object must have one id.
func decodeKey(id, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(id, prefix)
	if !ok {
		return "", false
	}
	key, err := base64.RawURLEncoding.DecodeString(rest)
	return string(key), err == nil && len(key) > 0 && encodeKey(string(key)) == rest
}
