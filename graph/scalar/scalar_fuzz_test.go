package scalar_test

import (
	"encoding/json"
	"math"
	"strconv"
	"testing"
	"time"

	"onhand/graph/scalar"
	"onhand/models"
)

// FuzzNumbers: an accepted number is the one that was sent, and is written back the
// same. Any other text is refused as BAD_USER_INPUT.
func FuzzNumbers(f *testing.F) {
	for _, text := range []string{"0", "-1", "9007199254740991", "9007199254740992", "2147483648", "1e3", "+1", "007", "-0", "1_000", " 1", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, sent := range []any{json.Number(text), text} {
			n, err := scalar.UnmarshalBigInt(sent)
			if err != nil {
				if models.CodeOf(err) != models.CodeBadUserInput {
					t.Fatalf("%T %q: %v", sent, text, err)
				}
				continue
			}
			if n >= 1<<53 || n <= -1<<53 {
				t.Fatalf("%q is read as %d", text, n)
			}
			if back := written(scalar.MarshalBigInt(n)); back != strconv.FormatInt(n, 10) {
				t.Fatalf("%q is written as %s", text, back)
			}
		}
		n, err := scalar.UnmarshalInt(json.Number(text))
		if err != nil {
			if models.CodeOf(err) != models.CodeBadUserInput {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if n > math.MaxInt32 || n < math.MinInt32 || written(scalar.MarshalInt(n)) != strconv.Itoa(n) {
			t.Fatalf("%q is read as %d", text, n)
		}
	})
}

// FuzzTime: an accepted time within the years of RFC 3339 is written and read back the
// same, to the millisecond.
func FuzzTime(f *testing.F) {
	for _, text := range []string{
		"2026-03-01T12:00:00Z", "2026-03-01T12:00:00.999999999+14:00", "0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
		"2026-03-01T12:00:60Z", "2026-02-30T12:00:00Z", "2026-03-01t12:00:00z", "2026-03-01T12:00:00,5Z", "",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := scalar.UnmarshalTime(text)
		if err != nil {
			if models.CodeOf(err) != models.CodeBadUserInput {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if at.Location() != time.UTC {
			t.Fatalf("%q is kept in the zone %v", text, at.Location())
		}
		if at.Year() < 0 || at.Year() > 9999 {
			return
		}
		var shown string
		if err := json.Unmarshal([]byte(written(scalar.MarshalTime(at))), &shown); err != nil {
			t.Fatal(err)
		}
		back, err := scalar.UnmarshalTime(shown)
		if err != nil || !back.Equal(at.Truncate(time.Millisecond)) {
			t.Fatalf("%q is %v, is written %q and read as %v, %v", text, at, shown, back, err)
		}
	})
}
