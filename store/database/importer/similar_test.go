package importer

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestSimilarityKey: ids that spreadsheets and people take for one have one key, and
// other ids do not.
func TestSimilarityKey(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"London", "LONDON", "london", " London", "Lon don", "London\u00a0", "Lo\u200bndon", "Lon\u00addon", "\uff2condon", "London\ufe0f"},
		{"0017", "17", "017", "17.0", "17.00", "+17", "'0017", "=\"0017\"", "1.7E1", "1.70e+01", "170e-1", "\uff11\uff17"},
		{"90.750", "90.75", "90,75", "9.075E+01"},
		{"1E5", "1.00E+05", "100000", "1e+5", "0100000.0"},
		{"0", "00", "0.0", "0e7"},
		{"\u00c4rmel", "A\u0308rmel", "\u00e4rmel"},
		{"Stra\u00dfe", "STRASSE"},
		{"uk-warehouse", "UK\u2010warehouse", "uk\u2013warehouse", "uk \u2014 warehouse"},
		{"O'Neill", "O\u2019Neill"},
		{"shirt?Size=M&Colour=Dark+red", "shirt?Size=M&Colour=Dark+red+", "Shirt?Size=m&Colour=Darkred"},
	} {
		for _, id := range same[1:] {
			assert.Equal(t, similarityKey(same[0]), similarityKey(id), "%q and %q", same[0], id)
		}
	}
	seen := map[string]string{}
	for _, id := range []string{"17", "-17", "170", "1.7", "SKU-17", "SKU-017", "17A", "1E", "E5", "1E5A", "1E99999", "A", "A+", "A-", "\u00c4", "uk-warehouse", "uk_warehouse", "ukwarehouse", "a?b", "1.2.3", ".5", ""} {
		key := similarityKey(id)
		assert.NotContains(t, seen, key, "%q and %q", id, seen[key])
		seen[key] = id
	}
}

// TestKnownKeys: a long number is similar to what a spreadsheet makes of it.
func TestKnownKeys(t *testing.T) {
	t.Parallel()
	for id, mangled := range map[string][]string{
		"5012345678900":     {"5.01235E+12", "5.01E+12", "5012350000000", "05012345678900"},
		"0050123456789":     {"50123456789"},
		"1234567890123456":  {"1234567890123450", "1.23457E+15", "1.23E+15"},
		"12345678901234567": {"12345678901234500"},
	} {
		for _, other := range mangled {
			assert.Contains(t, knownKeys(id), similarityKey(other), "%s and %s", id, other)
		}
	}
	assert.Equal(t, []string{similarityKey("123456")}, knownKeys("123456"))
	assert.NotContains(t, knownKeys("5012345678900"), similarityKey("5012345678901"))
	assert.Len(t, knownKeys(strings.Repeat("1", 255)), 4, "a number of any length")
}
