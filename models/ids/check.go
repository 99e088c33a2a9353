package ids

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// LengthMax is the longest product, location or channel id in characters.
const LengthMax = 255

// Check returns what is wrong with a product, location or channel id; empty
// when nothing is. The API and files share this rule. Ids are compared as they
// are, so an id must not have what a reader cannot see: two ids that look alike
// would be two products.
func Check(id string) string {
	if id == "" {
		return "must not be empty"
	}
	if problem := CheckText(id, LengthMax); problem != "" {
		return problem
	}
	for _, r := range id {
		if r == utf8.RuneError { // JSON that is no text is read as this character
			return "must not contain U+FFFD, which stands for text that could not be read: " + shown(id)
		}
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
	case strings.HasPrefix(id, Prefix):
		return "must not begin with " + Prefix + ", which global ids begin with: " + shown(id)
	}
	return ""
}

// CheckProduct is Check for the id of a product. A product's own id is its global
// id too, so it must not have the form of a reservation's.
func CheckProduct(id string) string {
	if IsReservation(id) {
		return "must not have the form of a reservation's id: " + shown(id)
	}
	return Check(id)
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
