package models

import (
	"strconv"
	"strings"
	"time"

	"onhand/models/ids"
)

// Every list, text and number that a client sends has a bound. Schema
// descriptions, checks and tests use these names.
const (
	// IDLengthMax is the longest product, location or channel id in characters.
	IDLengthMax = ids.LengthMax
	// StocksMax is how many products one stocks query or subscription may name.
	StocksMax = 250
	// ReservationLinesMax is how many lines one reservation may have. The largest
	// basket of the recorded traffic that the benchmarks replay has 1,114.
	ReservationLinesMax = 2000
	// StockRowsMax is how many rows one bulk stock write may have.
	StockRowsMax = 1000
	// ProductRowsMax is how many products one write may create or change.
	ProductRowsMax = 1000
	// DirectoryRowsMax is how many locations, or channels, one write may create or
	// change.
	DirectoryRowsMax = 250
	// ChannelLocationsMax is how many locations one write may give to a channel.
	ChannelLocationsMax = 1000
	// QuantityMax is the largest quantity of one state of one level, and of one
	// line. Sums of a few levels then fit into 32 bits.
	QuantityMax = 1_000_000_000
	// TextLengthMax is the longest free text (note, reference, owner, order) in characters.
	TextLengthMax = 255
	// IdempotencyKeyLengthMax is the longest idempotency key in characters.
	IdempotencyKeyLengthMax = 255
	// PageSizeMax and PageSizeDefault bound a connection's page.
	PageSizeMax     = 250
	PageSizeDefault = 50
	// ReservationTTLMin is the shortest time to live of a reservation.
	ReservationTTLMin = time.Second
	// VersionMax is the largest version: 2^53 - 1. JSON readers and Redis scripts
	// count in floating point, where it is the last whole number that differs from
	// its neighbour.
	VersionMax = 1<<53 - 1
)

// The years that RFC 3339 can write.
var (
	timeMin = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	timeMax = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
)

// CheckID returns what is wrong with a product, location or channel id; empty
// when nothing is. See [ids.Check].
func CheckID(id string) string { return ids.Check(id) }

// CheckProductID is CheckID for the id of a product. See [ids.CheckProduct].
func CheckProductID(id string) string { return ids.CheckProduct(id) }

// CheckText returns what is wrong with a text of at most limit characters. See
// [ids.CheckText].
func CheckText(s string, limit int) string { return ids.CheckText(s, limit) }

// checker collects the errors of one input.
type checker struct{ errs []UserError }

func (c *checker) add(problem string, path ...any) {
	if problem == "" {
		return
	}
	full := InputPath(path...)
	c.errs = append(c.errs, Invalid(full, "%s %s", full[len(full)-1], problem))
}

func (c *checker) id(id string, path ...any) { c.add(CheckID(id), path...) }

func (c *checker) productID(id string, path ...any) { c.add(CheckProductID(id), path...) }

func (c *checker) text(s string, limit int, path ...any) { c.add(CheckText(s, limit), path...) }

// optionalText checks a text that the input may leave out.
func (c *checker) optionalText(s *string, path ...any) {
	if s != nil {
		c.text(*s, TextLengthMax, path...)
	}
}

// between checks a number against inclusive bounds.
func (c *checker) between(n, low, high int, path ...any) {
	if n < low || n > high {
		c.add("must be between "+strconv.Itoa(low)+" and "+strconv.Itoa(high), path...)
	}
}

// optionalBetween checks a number that the input may leave out.
func (c *checker) optionalBetween(n *int, low, high int, path ...any) {
	if n != nil {
		c.between(*n, low, high, path...)
	}
}

// entries checks the length of a required list.
func (c *checker) entries(n, limit int, path ...any) (ok bool) {
	if n == 0 || n > limit {
		c.add("must have 1 to "+strconv.Itoa(limit)+" entries", path...)
		return false
	}
	return true
}

func (c *checker) key(key string) {
	if strings.TrimSpace(key) == "" {
		c.add("must not be empty", "idempotencyKey")
		return
	}
	c.text(key, IdempotencyKeyLengthMax, "idempotencyKey")
}

// InputPath makes the path of a UserError: InputPath("lines", 2, "quantity").
func InputPath(parts ...any) []string {
	path := []string{"input"}
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			path = append(path, p)
		case int:
			path = append(path, strconv.Itoa(p))
		}
	}
	return path
}
