package stockbinary

import (
	"encoding/base64"
	"encoding/binary"
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
			ProductID: `mug-"1"`, Title: &title, Tracked: true, InventoryPolicy: models.Continue,
			BackorderLimit: &limit, LowStockThreshold: 5, MaxPerReservation: &most, MaxPerOwner: new(7), OwnerPeriod: new(3600),
			NextRestockAt: &restock, Buffers: channel.Buffers{"web": 5, `a "b"`: 0}, Version: 12345678901,
		},
		Levels: []models.Level{
			{ProductID: `mug-"1"`, LocationID: "north", Active: true, Priority: 1, Quantities: models.Quantities{
				Available: -7, Reserved: 2, Committed: 3, Damaged: 4, QualityControl: 5, SafetyStock: 6, Incoming: 8}},
			{ProductID: `mug-"1"`, LocationID: "süd", Priority: -3, Quantities: models.Quantities{Available: 9}},
		},
		Epoch: "e1",
		AsOf:  time.Date(2030, 1, 2, 3, 4, 5, 678900000, time.UTC),
	}
}

// plainStock is a product at one location, as most are.
func plainStock() *models.Stock {
	title := "WHITE HANGING HEART T-LIGHT HOLDER"
	return &models.Stock{
		Product: models.Product{ProductID: "85123A", Title: &title, Tracked: true, InventoryPolicy: models.Deny, LowStockThreshold: 5, Version: 17},
		Levels: []models.Level{{ProductID: "85123A", LocationID: "warehouse", Active: true, Priority: 1,
			Quantities: models.Quantities{Available: 57, Reserved: 2}}},
		Epoch: "k7d2p9x4w1", AsOf: time.Date(2030, 1, 2, 3, 4, 5, 678900000, time.UTC),
	}
}

// decode reads fields both as they are and as a message.
func decode(f Fields) (*models.Stock, error) {
	s, err := new(Decoder).Decode(f)
	if err != nil {
		return nil, err
	}
	sent, err := DecodeMessage(string(f.Message()))
	if err == nil && !reflect.DeepEqual(sent, s) {
		panic("the message is another stock")
	}
	return s, err
}

func TestDecodeReturnsWhatWasEncoded(t *testing.T) {
	t.Parallel()
	bare := &models.Stock{
		Product: models.Product{ProductID: "p", InventoryPolicy: models.Deny},
		Levels:  []models.Level{}, Epoch: "e", AsOf: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	many := plainStock()
	many.Levels = make([]models.Level, LevelsMax)
	for i := range many.Levels {
		many.Levels[i] = models.Level{ProductID: many.ProductID, LocationID: strconv.Itoa(i), Quantities: models.Quantities{Available: models.QuantityMax}}
	}
	for _, want := range []*models.Stock{exampleStock(), plainStock(), bare, many} {
		got, err := decode(Encode(want))
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
	if !Equal(s, exampleStock()) {
		t.Error("source or zone is part of the fields")
	}
}

// A stock of another quantity, version or setting is not equal.
func TestEqual(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*models.Stock){
		"version":  func(s *models.Stock) { s.Version++ },
		"epoch":    func(s *models.Stock) { s.Epoch += "2" },
		"title":    func(s *models.Stock) { s.Title = nil },
		"time":     func(s *models.Stock) { s.AsOf = s.AsOf.Add(1) },
		"quantity": func(s *models.Stock) { s.Levels[1].Incoming++ },
		"active":   func(s *models.Stock) { s.Levels[0].Active = false },
		"buffer":   func(s *models.Stock) { s.Buffers = channel.Buffers{"web": 6, `a "b"`: 0} },
	} {
		changed := exampleStock()
		change(changed)
		if Equal(changed, exampleStock()) {
			t.Error(name)
		}
	}
}

// Another service reads the visible fields of a message with any JSON parser.
func TestMessageIsJSON(t *testing.T) {
	t.Parallel()
	s := exampleStock()
	var got map[string]any
	if err := json.Unmarshal(Encode(s).Message(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"product_id": s.ProductID, "quantity": float64(s.Quantity()), "version": float64(s.Version), "epoch": s.Epoch,
		"stock": base64.StdEncoding.EncodeToString([]byte(Encode(s).Stock))}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

// TestMessageVersion: the version of a message is read without decoding it, for every id
// that JSON does not escape.
func TestMessageVersion(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"x", "A-1/2.ü", strings.Repeat("y", 255)} {
		s := plainStock()
		s.ProductID, s.Version = id, 1<<40-1
		version, epoch, ok := MessageVersion(id, string(Encode(s).Message()))
		if !ok || version != s.Version || epoch != s.Epoch {
			t.Errorf("%s: %d %q %v", id, version, epoch, ok)
		}
	}
	message := string(Encode(plainStock()).Message())
	for _, bad := range []string{"", "{", message[:10], message[:20], message[:30], message[:40], strings.Replace(message, "version", "revision", 1), strings.Replace(message, `version":17`, `version":x`, 1)} {
		if _, _, ok := MessageVersion("85123A", bad); ok {
			t.Error(bad)
		}
	}
	if _, _, ok := MessageVersion("85123", message); ok {
		t.Error("another product")
	}
}

// sealed gives fields the checksum that they would have had.
func sealed(f Fields) Fields {
	if len(f.Stock) >= checksumBytes {
		b := []byte(f.Stock[:len(f.Stock)-checksumBytes])
		f.Stock = string(binary.LittleEndian.AppendUint32(b, checksum(f, b)))
	}
	return f
}

// Whatever bit of the compact form changes, and whatever visible field, decoding fails.
func TestDecodeRefusesChangedFields(t *testing.T) {
	t.Parallel()
	good := Encode(exampleStock())
	for i := range 8 * len(good.Stock) {
		b := []byte(good.Stock)
		b[i/8] ^= 1 << (i % 8)
		changed := good
		changed.Stock = string(b)
		if _, err := decode(changed); err == nil {
			t.Fatalf("bit %d", i)
		}
	}
	for name, change := range map[string]func(*Fields){
		"product id": func(f *Fields) { f.ProductID = "mug-2" }, "quantity": func(f *Fields) { f.Quantity = "3" },
		"version": func(f *Fields) { f.Version += "0" }, "epoch": func(f *Fields) { f.Epoch = "e2" },
		"no quantity": func(f *Fields) { f.Quantity = "" }, "no stock": func(f *Fields) { f.Stock = "" },
		"moved text": func(f *Fields) { f.Version, f.Epoch = f.Version+"e", "1" }, "short": func(f *Fields) { f.Stock = f.Stock[:3] },
		"cut": func(f *Fields) { f.Stock = f.Stock[:len(f.Stock)-1] }, "longer": func(f *Fields) { f.Stock += "\x00" },
	} {
		changed := good
		change(&changed)
		if _, err := decode(changed); err == nil {
			t.Error(name)
		}
	}
}

// What no Onhand would write is refused, even with the right checksum.
func TestDecodeRefusesValuesOutOfBounds(t *testing.T) {
	t.Parallel()
	above := models.QuantityMax + 1
	none, long := 0, strings.Repeat("é", models.IDLengthMax+1)
	latin := "\xff"
	for name, change := range map[string]func(*models.Stock){
		"no product id":         func(s *models.Stock) { s.ProductID = "" },
		"long product id":       func(s *models.Stock) { s.ProductID = long },
		"no epoch":              func(s *models.Stock) { s.Epoch = "" },
		"negative version":      func(s *models.Stock) { s.Version = -1 },
		"version beyond 2^52":   func(s *models.Stock) { s.Version = channel.ProductVersionMax + 1 },
		"title":                 func(s *models.Stock) { s.Title = &latin },
		"threshold":             func(s *models.Stock) { s.LowStockThreshold = -1 },
		"backorder limit":       func(s *models.Stock) { s.BackorderLimit = &above },
		"max per reservation":   func(s *models.Stock) { s.MaxPerReservation = &none },
		"max per owner":         func(s *models.Stock) { s.MaxPerOwner = &above },
		"short owner period":    func(s *models.Stock) { s.OwnerPeriod = new(models.OwnerPeriodMin - 1) },
		"long owner period":     func(s *models.Stock) { s.OwnerPeriod = new(models.OwnerPeriodMax + 1) },
		"year 10000":            func(s *models.Stock) { s.AsOf = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"negative reserved":     func(s *models.Stock) { s.Levels[0].Reserved = -2 },
		"reserved out of range": func(s *models.Stock) { s.Levels[0].Reserved = above },
		"no location":           func(s *models.Stock) { s.Levels[0].LocationID = "" },
		"long location":         func(s *models.Stock) { s.Levels[0].LocationID = long },
		"location not UTF-8":    func(s *models.Stock) { s.Levels[0].LocationID = latin },
		"buffer out of range":   func(s *models.Stock) { s.Buffers["web"] = above },
		"buffer of no channel":  func(s *models.Stock) { s.Buffers[""] = 1 },
		"too many levels":       func(s *models.Stock) { s.Levels = make([]models.Level, LevelsMax+1) },
		"too long": func(s *models.Stock) {
			title := strings.Repeat("x", BytesMax)
			s.Title = &title
		},
	} {
		s := exampleStock()
		change(s)
		if got, err := decode(Encode(s)); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	form := Encode(plainStock()).Stock
	for name, changed := range map[string]string{
		"another format":     "\x02" + form[1:],
		"unknown flag":       form[:1] + "\x80" + form[2:],
		"no optional fields": form[:1] + "\x7f" + form[2:],
		"a long varint":      form[:2] + "\x8a\x00" + form[3:],
		"an endless varint":  form[:2] + strings.Repeat("\xff", 20) + "tail",
		"nothing":            form[:1] + "tail",
		"only a checksum":    "tail",
	} {
		f := Encode(plainStock())
		f.Stock = changed
		if got, err := decode(sealed(f)); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestDecodeMessageRefuses(t *testing.T) {
	t.Parallel()
	good := string(Encode(exampleStock()).Message())
	for name, message := range map[string]string{
		"empty": "", "null": "null", "an object": "{}", "cut short": good[:len(good)-1], "longer": good + " ", "spaces": " " + good,
		"too long": good[:len(good)-2] + strings.Repeat("A", 2*BytesMax) + messageEnd,
		"base64":   strings.Replace(good, messageStock, messageStock+"!", 1),
		"escape":   strings.Replace(good, `mug`, `\mug`, 1),
		"version":  strings.Replace(good, `12345678901`, `12345678902`, 1),
		"quotes":   strings.Replace(good, `mug`, `"mug`, 1),
	} {
		if message == good {
			t.Errorf("%s: the case changes nothing", name)
		}
		if s, err := DecodeMessage(message); err == nil {
			t.Errorf("%s: got %+v", name, s)
		}
	}
}

// FuzzDecode: no input makes decoding panic. An accepted stock stays the same when it
// is encoded and decoded again. The checksum is made right, so that the fuzzer gets
// past it.
func FuzzDecode(f *testing.F) {
	for _, s := range []*models.Stock{exampleStock(), plainStock()} {
		e := Encode(s)
		f.Add(e.ProductID, e.Quantity, e.Version, e.Epoch, e.Stock)
	}
	f.Add("\x04", "0", "0", "0", "0000") // only a checksum, which begins like the format
	f.Fuzz(func(t *testing.T, productID, quantity, version, epoch, stock string) {
		fields := sealed(Fields{productID, quantity, version, epoch, stock})
		var d Decoder
		s, err := d.Decode(fields)
		if err != nil {
			return
		}
		again := Encode(s)
		if fields.Version == again.Version && fields.Quantity == again.Quantity && fields != again {
			t.Fatalf("%q was encoded as %q", fields, again)
		}
		if got, err := d.Decode(again); err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("%q: %+v became %+v, %v", fields, s, got, err)
		}
	})
}

// FuzzDecodeMessage: an accepted message has one spelling, but for its ids.
func FuzzDecodeMessage(f *testing.F) {
	f.Add(string(Encode(exampleStock()).Message()))
	f.Add(string(Encode(plainStock()).Message()))
	f.Add(`{"product_id":"p","quantity":1,"version":1,"epoch":"e","stock":"AQ=="}`)
	f.Fuzz(func(t *testing.T, message string) {
		s, err := DecodeMessage(message)
		if err != nil {
			return
		}
		again, err := DecodeMessage(string(Encode(s).Message()))
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%q: %+v became %+v, %v", message, s, again, err)
		}
	})
}

func BenchmarkStock(b *testing.B) {
	for name, s := range map[string]*models.Stock{"plain": plainStock(), "full": exampleStock()} {
		f := Encode(s)
		message := string(f.Message())
		var d Decoder
		for what, run := range map[string]func() error{
			"encode":         func() error { Encode(s); return nil },
			"decode":         func() error { _, err := d.Decode(f); return err },
			"message":        func() error { f.Message(); return nil },
			"decode message": func() error { _, err := DecodeMessage(message); return err },
		} {
			b.Run(name+"/"+what, func(b *testing.B) {
				b.ReportMetric(float64(len(f.Stock)), "bytes")
				b.ReportAllocs()
				for b.Loop() {
					if err := run(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
