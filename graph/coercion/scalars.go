package coercion

import (
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"

	"onhand/graph/scalar"
)

// What a literal is, where JSON has no such value or the rules for it differ. A string
// is a string, a list a []any, an object a map[string]any.
type (
	wholeNumber string // 5
	fraction    string // 5.0 and 5e0
	bareName    string // RED
	variable    string // $name
)

// whole returns a number without a fraction; ok is false for any other value, and
// beyond 64 bits.
func whole(sent any) (n int64, ok bool) {
	if literal, ok := sent.(wholeNumber); ok {
		n, err := strconv.ParseInt(string(literal), 10, 64)
		return n, err == nil
	}
	return scalar.Whole(sent)
}

func coerceInt(sent any) (int64, bool) {
	n, ok := whole(sent)
	return n, ok && n >= math.MinInt32 && n <= math.MaxInt32
}

func coerceBigInt(sent any) (int64, bool) {
	n, ok := whole(sent)
	return n, ok && n > -scalar.BigIntLimit && n < scalar.BigIntLimit
}

// coerceID reads a string or a whole number. A number keeps its digits, however many.
func coerceID(sent any) (string, bool) {
	switch sent := sent.(type) {
	case string:
		return sent, true
	case json.Number:
		if isDigits(sent.String()) && sent != "-0" {
			return sent.String(), true
		}
	}
	n, ok := whole(sent)
	return strconv.FormatInt(n, 10), ok
}

// isDigits reports whether a number of JSON has neither a fraction nor an exponent.
func isDigits(number string) bool {
	for i, c := range []byte(number) {
		if (c < '0' || c > '9') && (c != '-' || i > 0) {
			return false
		}
	}
	return number != ""
}

func coerceFloat(sent any) (n float64, ok bool) {
	var text string
	switch sent := sent.(type) {
	case wholeNumber:
		text = string(sent)
	case fraction:
		text = string(sent)
	case json.Number:
		text = sent.String()
	case float64:
		return sent, !math.IsInf(sent, 0) && !math.IsNaN(sent)
	default:
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}

// sentMax is how many characters of a value a message shows.
const sentMax = 40

// describe says in a message what was sent.
func describe(sent any) string {
	switch sent := sent.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(sent)
	case string:
		return "the text " + quote(cut(sent))
	case json.Number:
		return "the number " + cut(sent.String())
	case wholeNumber:
		return "the number " + cut(string(sent))
	case fraction:
		return "the number " + cut(string(sent))
	case bareName:
		return "the name " + cut(string(sent))
	case variable:
		return "$" + cut(string(sent))
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	raw, _ := json.Marshal(sent) // a number; cannot fail
	return "the number " + cut(string(raw))
}

// quote writes a text as JSON and GraphQL do.
func quote(s string) string {
	raw, _ := json.Marshal(s) // a string; cannot fail
	return string(raw)
}

// cut shortens a text to sentMax characters.
func cut(s string) string {
	if utf8.RuneCountInString(s) <= sentMax {
		return s
	}
	return string([]rune(s)[:sentMax]) + "…"
}
