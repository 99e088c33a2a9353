package models

import (
	"encoding/json"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzIDs: JSON keeps an accepted id as it is, and the global id made from it is
// parsed back to it.
func FuzzIDs(f *testing.F) {
	for _, id := range []string{"mug-1", "", "Ä\u00a0ß 🫖", "a\x00b", "\xff", "res_", "Stock:bXVn", string(make([]byte, IDLengthMax+1))} {
		f.Add(id, int64(7))
	}
	f.Add("a:b", int64(-1<<63))
	f.Fuzz(func(t *testing.T, id string, movement int64) {
		problem := CheckID(id)
		fits := id != "" && utf8.ValidString(id) && utf8.RuneCountInString(id) <= IDLengthMax
		for _, r := range id {
			fits = fits && !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
		}
		first, _ := utf8.DecodeRuneInString(id)
		last, _ := utf8.DecodeLastRuneInString(id)
		fits = fits && !blank(first) && !blank(last)
		if fits != (problem == "") {
			t.Fatalf("%q: %s", id, problem)
		}
		if problem != "" {
			return
		}
		var back string
		if encoded, err := json.Marshal(id); err != nil || json.Unmarshal(encoded, &back) != nil || back != id {
			t.Fatalf("%q became %q in JSON, %v", id, back, err)
		}
		product := Product{ProductID: id}
		for kind, made := range map[NodeKind]string{
			NodeStock:    (&Stock{Product: product}).ID(),
			NodeLocation: Location{LocationID: id}.ID(),
		} {
			if found, key := ParseNodeID(made); found != kind || key != id {
				t.Fatalf("%q: %s is parsed as %d %q", id, made, found, key)
			}
		}
		kind, key := ParseNodeID((&StockMovement{MovementID: movement, ProductID: id}).ID())
		number, of, ok := ParseMovementKey(key)
		if kind != NodeMovement || !ok || number != movement || of != id {
			t.Fatalf("movement %d of %q came back as %d of %q", movement, id, number, of)
		}
	})
}

// FuzzParseNodeID: a global id has one spelling. Any other text is a product's own
// id.
func FuzzParseNodeID(f *testing.F) {
	for _, id := range []string{
		Location{LocationID: "north"}.ID(), (&StockMovement{MovementID: 7, ProductID: "mug"}).ID(), (&Stock{}).ID(),
		"Stock:YR", "Stock:Y\nQ", "Stock:YQ==", "res_0123456789abcdef0123456789abcdef", "StockMovement:KzE6YQ",
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		kind, key := ParseNodeID(id)
		again := key
		switch kind {
		case NodeStock:
			again = (&Stock{Product: Product{ProductID: key}}).ID()
		case NodeLocation:
			again = Location{LocationID: key}.ID()
		case NodeMovement:
			number, product, ok := ParseMovementKey(key)
			if !ok {
				return // no movement has this key
			}
			again = (&StockMovement{MovementID: number, ProductID: product}).ID()
		}
		if again != id {
			t.Fatalf("%q is parsed as %d %q, which is written %q", id, kind, key, again)
		}
	})
}
