package ids

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestCheck: an id is refused for every character that a reader cannot see, and
// the message shows the character.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"17", "0017", "SKU A", "\u00c4\u00a0\u00df", "'7", "90.750", "a\u3000b", "t-shirt?Size=M", "\u064a\u0645", strings.Repeat("\u00e4", LengthMax)} {
		assert.Empty(t, Check(id), id)
	}
	for id, want := range map[string]string{
		"":                               "must not be empty",
		" SKU":                           `must not begin with a blank: " SKU"`,
		"London  ":                       `must not end with a blank: "London  "`,
		"SKU\u00a0":                      `must not end with U+00A0: "SKU\u00a0"`,
		"SKU\u3000":                      `must not end with U+3000: "SKU\u3000"`,
		"\u3164SKU":                      `must not begin with U+3164: "\u3164SKU"`,
		"SKU\ufe0f":                      `must not end with U+FE0F: "SKU\ufe0f"`,
		"SKU\u2800":                      `must not end with U+2800: "SKU\u2800"`,
		"SKU\u034f":                      `must not end with U+034F: "SKU\u034f"`,
		"SKU\u200b":                      `must not contain the invisible character U+200B: "SKU\u200b"`,
		"\ufeffSKU":                      `must not contain the invisible character U+FEFF: "\ufeffSKU"`,
		"S\u00adKU":                      `must not contain the invisible character U+00AD: "S\u00adKU"`,
		"S\u202eKU":                      `must not contain the invisible character U+202E: "S\u202eKU"`,
		"S\u2028KU":                      `must not contain the invisible character U+2028: "S\u2028KU"`,
		"S\tKU":                          `must not contain control characters: "S\tKU"`,
		"SKU\n":                          `must not contain control characters: "SKU\n"`,
		"S\x00":                          `must not contain control characters: "S\x00"`,
		"SKU\ufffd":                      `must not contain U+FFFD, which stands for text that could not be read: "SKU\ufffd"`,
		"\xff":                           "must be valid UTF-8",
		strings.Repeat("a", LengthMax+1): "must not be longer than 255 characters",
		"onhand:Stock:bXVn":              `must not begin with onhand:, which global ids begin with: "onhand:Stock:bXVn"`,
	} {
		assert.Equal(t, want, Check(id), "%q", id)
		assert.Equal(t, want, CheckProduct(id), "%q", id)
	}
	const reservation = "res_0123456789abcdef0123456789abcdef"
	assert.Empty(t, Check(reservation))
	assert.Equal(t, `must not have the form of a reservation's id: "`+reservation+`"`, CheckProduct(reservation))
	for _, id := range []string{"onhand", "Onhand:1", "res_", reservation[1:], reservation[1:] + "0", reservation + "0", strings.ToUpper(reservation), "res_0123456789abcdef0123456789abcdeg"} {
		assert.Empty(t, CheckProduct(id), id)
	}
	assert.Empty(t, CheckText(" a text ", LengthMax), "blanks are for ids alone")
}
