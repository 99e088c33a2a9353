package stockjson

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"onhand/models"
	"onhand/models/channel"
)

func exampleStock() *models.Stock {
	title, limit, most := `Mug "blue" <é> \ 🫖`, 40, 6
	restock := time.Date(2031, 2, 3, 4, 5, 6, 7000, time.UTC)
	return &models.Stock{
		Product: models.Product{
			ProductID: "mug-1", Title: &title, Tracked: true, InventoryPolicy: models.Continue,
			BackorderLimit: &limit, LowStockThreshold: 5, MaxPerReservation: &most,
			NextRestockAt: &restock, Buffers: channel.Buffers{"web": 5, `a "b"`: 0}, Version: 12345678901,
		},
		Levels: []models.Level{
			{ProductID: "mug-1", LocationID: "north", Active: true, Priority: 1, Quantities: models.Quantities{
				Available: -7, Reserved: 2, Committed: 3, Damaged: 4, QualityControl: 5, SafetyStock: 6, Incoming: 8}},
			{ProductID: "mug-1", LocationID: "süd", Quantities: models.Quantities{Available: 9}},
		},
		Epoch: "e1",
		AsOf:  time.Date(2030, 1, 2, 3, 4, 5, 678900000, time.UTC),
	}
}

func TestDecodeReturnsWhatWasEncoded(t *testing.T) {
	t.Parallel()
	bare := &models.Stock{
		Product: models.Product{ProductID: "p", InventoryPolicy: models.Deny},
		Levels:  []models.Level{}, Epoch: "e", AsOf: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	for _, want := range []*models.Stock{exampleStock(), bare} {
		got, err := Decode(Encode(want))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
}

func TestEncodeLeavesOutSourceAndZone(t *testing.T) {
	t.Parallel()
	s := exampleStock()
	s.Source = models.FromDatabase
	s.AsOf = s.AsOf.In(time.FixedZone("east", 3600))
	got, err := Decode(Encode(s))
	if err != nil {
		t.Fatal(err)
	}
	if got.Source != "" || got.AsOf.Location() != time.UTC || !got.AsOf.Equal(s.AsOf) {
		t.Errorf("source %q, as of %v", got.Source, got.AsOf)
	}
}

func TestDecodeIgnoresUnknownFields(t *testing.T) {
	t.Parallel()
	b := strings.Replace(string(Encode(exampleStock())), "{", `{"later":[1,{"x":null}],`, 1)
	if _, err := Decode([]byte(b)); err != nil {
		t.Error(err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	good := string(Encode(exampleStock()))
	for name, b := range map[string]string{
		"empty input":            "",
		"not JSON":               "stock",
		"null":                   "null",
		"an array":               "[]",
		"no fields":              "{}",
		"text after the object":  good + "{}",
		"cut short":              good[:len(good)-1],
		"too long":               good + strings.Repeat(" ", BytesMax),
		"no levels":              strings.Replace(good, `"levels"`, `"lvls"`, 1),
		"null levels":            good[:strings.Index(good, `"levels"`)] + `"levels":null}`,
		"no product id":          strings.Replace(good, `"mug-1"`, `""`, 1),
		"long product id":        strings.Replace(good, `mug-1`, strings.Repeat("é", models.IDLengthMax+1), 1),
		"no epoch":               strings.Replace(good, `"e1"`, `""`, 1),
		"negative version":       strings.Replace(good, `12345678901`, `-1`, 1),
		"version beyond 2^52":    strings.Replace(good, `12345678901`, strconv.Itoa(channel.ProductVersionMax+1), 1),
		"version with a point":   strings.Replace(good, `12345678901`, `1.5`, 1),
		"unknown policy":         strings.Replace(good, `CONTINUE`, `MAYBE`, 1),
		"level out of range":     strings.Replace(good, `"reserved":2`, `"reserved":1000000001`, 1),
		"negative reserved":      strings.Replace(good, `"reserved":2`, `"reserved":-2`, 1),
		"level without location": strings.Replace(good, `"north"`, `""`, 1),
		"level without active":   strings.Replace(good, `"active":true`, `"act":true`, 1),
		"too many levels": good[:strings.Index(good, `"levels"`)] + `"levels":[{}` +
			strings.Repeat(",{}", LevelsMax) + `]}`,
		"bad time": strings.Replace(good, `2030-01-02T`, `2030-13-02T`, 1),
	} {
		if b == good {
			t.Errorf("%s: the case changes nothing", name)
		}
		if s, err := Decode([]byte(b)); err == nil {
			t.Errorf("%s: got %+v", name, s)
		}
	}
}

func TestDecodeLevels(t *testing.T) {
	t.Parallel()
	want := exampleStock().Levels
	got, err := DecodeLevels("mug-1", EncodeLevels(want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, b := range []string{"", "null", "{}", "[1]", "[{}]", "[]x", strings.Repeat(" ", BytesMax+1)} {
		if got, err := DecodeLevels("mug-1", []byte(b)); err == nil {
			t.Errorf("%.10q: got %+v", b, got)
		}
	}
}

// FuzzDecodeLevels: the scanner and encoding/json agree on all input that the
// scanner accepts.
func FuzzDecodeLevels(f *testing.F) {
	f.Add(EncodeLevels(exampleStock().Levels))
	f.Add([]byte(`[{"location_id":"a","active":false,"available":-01}]`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		scanned, ok := scanLevels(b)
		if !ok {
			return
		}
		parsed, err := parseLevels(b)
		if err != nil || !reflect.DeepEqual(scanned, parsed) {
			t.Fatalf("%q: scanned %+v, parsed %+v, %v", b, scanned, parsed, err)
		}
	})
}

// FuzzDecode: no input makes Decode panic, and an accepted stock stays the same
// when it is encoded and decoded again.
func FuzzDecode(f *testing.F) {
	f.Add(Encode(exampleStock()))
	f.Add([]byte(`{"product_id":"p","version":1,"epoch":"e","tracked":true,"inventory_policy":"DENY","as_of":"2030-01-01T00:00:00Z","levels":[]}`))
	f.Add([]byte(`{"levels":[{"location_id":"a","active":true,"available":1e9}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(Encode(s))
		if err != nil {
			t.Fatalf("accepted %q, but not its encoding: %v", b, err)
		}
		if !reflect.DeepEqual(again, s) {
			t.Fatalf("%q: %+v became %+v", b, s, again)
		}
	})
}

// BenchmarkLevels compares the handwritten code with encoding/json, for the
// levels of a product at five locations.
func BenchmarkLevels(b *testing.B) {
	var levels []models.Level
	var objects []levelObject
	for range 5 {
		l := models.Level{LocationID: "north", Active: true, Priority: 100, Quantities: models.Quantities{Available: 120, Reserved: 7}}
		levels = append(levels, l)
		objects = append(objects, levelObject{LocationID: "north", Active: &l.Active, Priority: 100, Available: 120, Reserved: 7})
	}
	encoded := EncodeLevels(levels)
	for name, run := range map[string]func() error{
		"decode/handwritten":   func() error { _, err := DecodeLevels("p", encoded); return err },
		"decode/encoding-json": func() error { _, err := parseLevels(encoded); return err },
		"encode/handwritten":   func() error { EncodeLevels(levels); return nil },
		"encode/encoding-json": func() error { _, err := json.Marshal(objects); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkStock(b *testing.B) {
	s := exampleStock()
	encoded := Encode(s)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Encode(s)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Decode(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
}
