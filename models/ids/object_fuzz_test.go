package ids

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// FuzzIDs: JSON keeps an accepted id as it is, and every global id made from it is
// parsed back to it.
func FuzzIDs(f *testing.F) {
	for _, id := range []string{"mug-1", "", "Ä\u00a0ß 🫖", "a\x00b", "\xff", "res_", "a.b", "onhand:Stock:bXVn", string(make([]byte, LengthMax+1))} {
		f.Add(id, int64(7))
	}
	f.Add("a:b", int64(-1<<63))
	f.Add("res_0123456789abcdef0123456789abcdef", int64(0))
	f.Fuzz(func(t *testing.T, id string, number int64) {
		problem := Check(id)
		fits := id != "" && utf8.ValidString(id) && utf8.RuneCountInString(id) <= LengthMax && !strings.HasPrefix(id, Prefix)
		for _, r := range id {
			fits = fits && r != utf8.RuneError && !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
		}
		first, _ := utf8.DecodeRuneInString(id)
		last, _ := utf8.DecodeLastRuneInString(id)
		fits = fits && !blank(first) && !blank(last)
		if fits != (problem == "") {
			t.Fatalf("%q: %s", id, problem)
		}
		if CheckProduct(id) != "" {
			return
		}
		var back string
		if encoded, err := json.Marshal(id); err != nil || json.Unmarshal(encoded, &back) != nil || back != id {
			t.Fatalf("%q became %q in JSON, %v", id, back, err)
		}
		made := map[string]string{}
		for _, n := range nodesOf(id, number) {
			text := n.String()
			parsed, ok := Parse(text)
			if !ok || parsed.Kind != n.Kind || parsed.String() != text {
				t.Fatalf("%q: %s is parsed as %v, %v", id, text, parsed, ok)
			}
			parsed.Moment, n.Moment = nil, nil
			if parsed != n {
				t.Fatalf("%q: %s is parsed as %v, not %v", id, text, parsed, n)
			}
			made[text] = text
		}
		if len(made) != len(nodesOf(id, number)) {
			t.Fatalf("%q: two objects have one id: %v", id, made)
		}
	})
}

// nodesOf are an object of each kind, and several of those that have views.
func nodesOf(id string, number int64) []Object {
	const reservation = "res_0123456789abcdef0123456789abcdef"
	at := timeMin.Add(time.Duration(uint64(number)>>1) % timeMax.Sub(timeMin)).Truncate(time.Millisecond)
	return []Object{
		{Kind: Product, ProductID: id},
		{Kind: Reservation, ReservationID: reservation},
		{Kind: Stock, ProductID: id},
		{Kind: Stock, ProductID: id, ChannelID: id},
		{Kind: Stock, ProductID: id, Moment: &at},
		{Kind: Stock, ProductID: id, ChannelID: id, Moment: &at},
		{Kind: Level, ProductID: id, LocationID: id},
		{Kind: Level, ProductID: id, LocationID: id, Moment: &at},
		{Kind: Location, LocationID: id},
		{Kind: Channel, ChannelID: id},
		{Kind: Movement, MovementID: number, ProductID: id},
		{Kind: Line, ReservationID: reservation, ProductID: id},
		{Kind: Allocation, ReservationID: reservation, ProductID: id, LocationID: id},
	}
}

// FuzzParse: a global id has one spelling. Text without the prefix is a
// reservation's or a product's own id.
func FuzzParse(f *testing.F) {
	for _, n := range nodesOf("mug", 7) {
		f.Add(n.String())
	}
	for _, id := range []string{
		"onhand:", "onhand:Stock:", "onhand:Stock:YR", "onhand:Stock:Y\nQ", "onhand:Stock:YQ==", "onhand:Stock:YQ.", "onhand:Stock:YQ...", "onhand:Stock:YQ..KzE",
		"onhand:Stock:YQ..OTk5OTk5OTk5OTk5OTk5OTk", "onhand:stock:YQ", "onhand:Location", "onhand:StockMovement:KzE.YQ", "onhand:StockMovement:MQ", "onhand:ReservationLine:YQ.YQ",
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		n, ok := Parse(id)
		if !strings.HasPrefix(id, Prefix) && !ok {
			t.Fatalf("%q is no id", id)
		}
		if ok && n.String() != id {
			t.Fatalf("%q is parsed as %v, which is written %q", id, n, n)
		}
	})
}

// TestGlobalIDs: clients store global ids, so their form stays.
func TestGlobalIDs(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 1_999_999, time.FixedZone("", 3600))
	for want, n := range map[string]Object{
		"mug":                                   {Kind: Product, ProductID: "mug"},
		"onhand:Stock:bXVn":                     {Kind: Stock, ProductID: "mug"},
		"onhand:Stock:bXVn.d2Vi":                {Kind: Stock, ProductID: "mug", ChannelID: "web"},
		"onhand:Stock:bXVn..MTc3MjM2MjgwMDAwMQ": {Kind: Stock, ProductID: "mug", Moment: &at},
		"onhand:StockLevel:bXVn.d2Vi":           {Kind: Level, ProductID: "mug", LocationID: "web"},
	} {
		if n.String() != want {
			t.Errorf("%v is written %s, not %s", n.Kind, n, want)
		}
	}
	for _, id := range []string{"onhand:", "onhand:Stock:", "onhand:Stock:YR", "onhand:Stock:YQ.", "onhand:stock:YQ", "onhand:StockMovement:KzE.YQ", "onhand:ReservationLine:YQ.YQ"} {
		if n, ok := Parse(id); ok {
			t.Errorf("%s is parsed as %v", id, n)
		}
	}
}
