package models

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Every list, text and number that a client sends has a bound. Schema
// descriptions, checks and tests use these names.
const (
	// IDLengthMax is the longest product, location or channel id in characters.
	IDLengthMax = 255
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
// when nothing is. The API and files share this rule. Ids are compared as they
// are, so an id must not have what a reader cannot see: two ids that look alike
// would be two products.
func CheckID(id string) string {
	if id == "" {
		return "must not be empty"
	}
	if problem := CheckText(id, IDLengthMax); problem != "" {
		return problem
	}
	for _, r := range id {
		if hidden(r) {
			return "must not contain the invisible character " + name(r) + ": " + shown(id)
		}
	}
	first, _ := utf8.DecodeRuneInString(id)
	last, _ := utf8.DecodeLastRuneInString(id)
	switch {
	case blank(first):
		return "must not begin with " + name(first) + ": " + shown(id)
	case blank(last):
		return "must not end with " + name(last) + ": " + shown(id)
	}
	return ""
}

// CheckText returns what is wrong with a text of at most limit characters. It
// refuses text that Postgres cannot store, and control characters, which would
// break the lines of a log.
func CheckText(s string, limit int) string {
	switch {
	case len(s) > limit && utf8.RuneCountInString(s) > limit:
		return "must not be longer than " + strconv.Itoa(limit) + " characters"
	case !utf8.ValidString(s):
		return "must be valid UTF-8"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "must not contain control characters: " + shown(s)
	}
	return ""
}

// hidden reports characters that have no width or break a line. Zl and Zp are the
// separators of lines and paragraphs.
func hidden(r rune) bool {
	return !printable(r) && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// printable reports a character of ASCII that a reader sees. Most are, and the tables
// of Unicode need not be searched for them.
func printable(r rune) bool { return r > ' ' && r < unicode.MaxASCII }

// invisible are characters that show nothing and are neither blanks nor hidden:
// joiners, fillers, variation selectors.
var invisible = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x034f, Hi: 0x034f, Stride: 1}, {Lo: 0x115f, Hi: 0x1160, Stride: 1}, {Lo: 0x17b4, Hi: 0x17b5, Stride: 1},
		{Lo: 0x180b, Hi: 0x180f, Stride: 1}, {Lo: 0x2800, Hi: 0x2800, Stride: 1}, {Lo: 0x3164, Hi: 0x3164, Stride: 1},
		{Lo: 0xfe00, Hi: 0xfe0f, Stride: 1}, {Lo: 0xffa0, Hi: 0xffa0, Stride: 1},
	},
	R32: []unicode.Range32{{Lo: 0xe0100, Hi: 0xe01ef, Stride: 1}},
}

// blank reports characters that a reader cannot see at the end of an id.
func blank(r rune) bool {
	return !printable(r) && (unicode.IsSpace(r) || hidden(r) || unicode.In(r, unicode.Zs, invisible))
}

// name is how a message names a character.
func name(r rune) string {
	if r == ' ' {
		return "a blank"
	}
	return fmt.Sprintf("U+%04X", r)
}

// shown quotes a text so that nothing in it is invisible.
func shown(s string) string {
	const runesMax = 60
	if runes := []rune(s); len(runes) > runesMax {
		s = string(runes[:runesMax]) + "..."
	}
	return strconv.QuoteToASCII(s)
}

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
