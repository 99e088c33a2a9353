package models

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

func wireExample() *Stock {
	title, limit, most := `Mug "blue" <é> \ 🫖`, 40, 6
	restock := time.Date(2031, 2, 3, 4, 5, 6, 7000, time.UTC)
	return &Stock{
		Product: Product{
			ProductID: "mug-1", Title: &title, Tracked: true, InventoryPolicy: Continue,
			BackorderLimit: &limit, LowStockThreshold: 5, MaxPerReservation: &most,
			NextRestockAt: &restock, Version: 12345678901,
		},
		Levels: []Level{
			{ProductID: "mug-1", LocationID: "north", Active: true, Priority: 1, Quantities: Quantities{
				Available: -7, Reserved: 2, Committed: 3, Damaged: 4, QualityControl: 5, SafetyStock: 6, Incoming: 8}},
			{ProductID: "mug-1", LocationID: "süd", Quantities: Quantities{Available: 9}},
		},
		Epoch: "e1",
		AsOf:  time.Date(2030, 1, 2, 3, 4, 5, 678900000, time.UTC),
	}
}

func TestStockSurvivesTheWire(t *testing.T) {
	t.Parallel()
	bare := &Stock{
		Product: Product{ProductID: "p", InventoryPolicy: Deny},
		Levels:  []Level{}, Epoch: "e", AsOf: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	for _, want := range []*Stock{wireExample(), bare} {
		got, err := DecodeStock(EncodeStock(want))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
}

func TestStockWireForgetsTheSourceAndTheZone(t *testing.T) {
	t.Parallel()
	s := wireExample()
	s.Source = FromDatabase
	s.AsOf = s.AsOf.In(time.FixedZone("east", 3600))
	got, err := DecodeStock(EncodeStock(s))
	if err != nil {
		t.Fatal(err)
	}
	if got.Source != "" || got.AsOf.Location() != time.UTC || !got.AsOf.Equal(s.AsOf) {
		t.Errorf("source %q, as of %v", got.Source, got.AsOf)
	}
}

func TestDecodeStockPassesOverUnknownFields(t *testing.T) {
	t.Parallel()
	b := strings.Replace(string(EncodeStock(wireExample())), "{", `{"later":[1,{"x":null}],`, 1)
	if _, err := DecodeStock([]byte(b)); err != nil {
		t.Error(err)
	}
}

func TestDecodeStockRefuses(t *testing.T) {
	t.Parallel()
	good := string(EncodeStock(wireExample()))
	for name, b := range map[string]string{
		"nothing":              "",
		"no JSON":              "stock",
		"null":                 "null",
		"an array":             "[]",
		"no fields":            "{}",
		"more after it":        good + "{}",
		"cut short":            good[:len(good)-1],
		"too long":             good + strings.Repeat(" ", StockWireBytesMax),
		"no levels":            strings.Replace(good, `"levels"`, `"lvls"`, 1),
		"null levels":          good[:strings.Index(good, `"levels"`)] + `"levels":null}`,
		"no product id":        strings.Replace(good, `"mug-1"`, `""`, 1),
		"long product id":      strings.Replace(good, `mug-1`, strings.Repeat("é", IDLengthMax+1), 1),
		"no epoch":             strings.Replace(good, `"e1"`, `""`, 1),
		"negative version":     strings.Replace(good, `12345678901`, `-1`, 1),
		"version beyond 2^53":  strings.Replace(good, `12345678901`, strconv.Itoa(VersionMax+1), 1),
		"version with a point": strings.Replace(good, `12345678901`, `1.5`, 1),
		"unknown policy":       strings.Replace(good, `CONTINUE`, `MAYBE`, 1),
		"level out of range":   strings.Replace(good, `"reserved":2`, `"reserved":1000000001`, 1),
		"negative reserved":    strings.Replace(good, `"reserved":2`, `"reserved":-2`, 1),
		"level without place":  strings.Replace(good, `"north"`, `""`, 1),
		"level without active": strings.Replace(good, `"active":true`, `"act":true`, 1),
		"too many levels": good[:strings.Index(good, `"levels"`)] + `"levels":[{}` +
			strings.Repeat(",{}", LevelsMax) + `]}`,
		"bad time": strings.Replace(good, `2030-01-02T`, `2030-13-02T`, 1),
	} {
		if b == good {
			t.Errorf("%s: the case changes nothing", name)
		}
		if s, err := DecodeStock([]byte(b)); err == nil {
			t.Errorf("%s: got %+v", name, s)
		}
	}
}

func TestLevelsSurviveTheWire(t *testing.T) {
	t.Parallel()
	want := wireExample().Levels
	got, err := DecodeLevels("mug-1", EncodeLevels(want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, b := range []string{"", "null", "{}", "[1]", "[{}]", "[]x", strings.Repeat(" ", StockWireBytesMax+1)} {
		if got, err := DecodeLevels("mug-1", []byte(b)); err == nil {
			t.Errorf("%.10q: got %+v", b, got)
		}
	}
}

// FuzzDecodeLevels: the quick reader and the thorough one agree wherever the
// quick one does not give up.
func FuzzDecodeLevels(f *testing.F) {
	f.Add(EncodeLevels(wireExample().Levels))
	f.Add([]byte(`[{"location_id":"a","active":false,"available":-01}]`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		quick, ok := scanLevels(b)
		if !ok {
			return
		}
		thorough, err := parseLevels(b)
		if err != nil || !reflect.DeepEqual(quick, thorough) {
			t.Fatalf("%q: quick %+v, thorough %+v, %v", b, quick, thorough, err)
		}
	})
}

// FuzzDecodeStock: whatever comes, no panic; and what is accepted says the
// same after another trip.
func FuzzDecodeStock(f *testing.F) {
	f.Add(EncodeStock(wireExample()))
	f.Add([]byte(`{"product_id":"p","version":1,"epoch":"e","tracked":true,"inventory_policy":"DENY","as_of":"2030-01-01T00:00:00Z","levels":[]}`))
	f.Add([]byte(`{"levels":[{"location_id":"a","active":true,"available":1e9}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeStock(b)
		if err != nil {
			return
		}
		again, err := DecodeStock(EncodeStock(s))
		if err != nil {
			t.Fatalf("accepted %q, but not its encoding: %v", b, err)
		}
		if !reflect.DeepEqual(again, s) {
			t.Fatalf("%q: %+v became %+v", b, s, again)
		}
	})
}

func BenchmarkStockWire(b *testing.B) {
	s := wireExample()
	encoded := EncodeStock(s)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			EncodeStock(s)
		}
	})
	levels := EncodeLevels(s.Levels[:1])
	b.Run("levels", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeLevels("p", levels); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeStock(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
}
