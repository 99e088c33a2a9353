package rediscache

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"onhand/models"
	"onhand/models/channel"
	"onhand/models/stockbinary"
)

// replyOf is the reply to HGETALL after a stock was written.
func replyOf(s *models.Stock) []string {
	f := stockbinary.Encode(s)
	return []string{fieldStock, f.Stock, fieldEpoch, f.Epoch, fieldProductID, f.ProductID, fieldQuantity, f.Quantity, fieldVersion, f.Version}
}

// outOfRange names a value that no database accepts; empty where there is none.
func outOfRange(s *models.Stock) string {
	switch {
	case s.Version < 0 || s.Version > channel.ProductVersionMax:
		return "version"
	case s.LowStockThreshold < 0 || s.LowStockThreshold > models.QuantityMax:
		return "threshold"
	case s.BackorderLimit != nil && (*s.BackorderLimit < 0 || *s.BackorderLimit > models.QuantityMax):
		return "backorder limit"
	case s.MaxPerReservation != nil && (*s.MaxPerReservation < 1 || *s.MaxPerReservation > models.QuantityMax):
		return "max per reservation"
	case s.Buffers.Check() != nil || s.Buffers != nil && len(s.Buffers) == 0:
		return "buffers"
	case s.Title != nil && !utf8.ValidString(*s.Title):
		return "title"
	case len(s.Levels) > stockbinary.LevelsMax:
		return "number of levels"
	}
	for _, l := range s.Levels {
		if l.Check(-models.QuantityMax) != nil || l.ProductID != s.ProductID || !utf8.ValidString(l.LocationID) {
			return "level"
		}
	}
	return ""
}

// FuzzHash reads arbitrary hashes. The reader gets either a miss, which is
// counted as one, or a stock that a database accepts and that stays the same
// when it is written again. Package stockbinary fuzzes what the checksum keeps out here.
func FuzzHash(f *testing.F) {
	full := stockAt("p", epoch, 7)
	title, limit, most := "Mug \u2028 é", 40, 6
	full.Title, full.BackorderLimit, full.MaxPerReservation, full.NextRestockAt = &title, &limit, &most, &full.AsOf
	full.Buffers = channel.Buffers{"web": 5}
	add := func(reply []string, field, value string) {
		encoded, err := json.Marshal(reply)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded, stockbinary.Encode(full).Stock, field, value)
	}
	add(replyOf(full), "", "")
	add(replyOf(stockAt("p", epoch, 1)), "", "")
	add([]string{fieldProductID, "p", fieldEpoch, epoch, fieldVersion, "3"}, fieldMissing, "1")
	for _, change := range [][2]string{
		{fieldVersion, "-1"}, {fieldVersion, "+7"}, {fieldVersion, "8"}, {fieldQuantity, "+7"}, {fieldQuantity, ""},
		{fieldStock, ""}, {fieldStock, "\x01"}, {fieldMissing, "1"}, {fieldLease, "l"}, {fieldEpoch, "later"}, {fieldProductID, "q"},
	} {
		add(replyOf(full), change[0], change[1])
	}
	f.Fuzz(func(t *testing.T, encoded []byte, form, field, value string) {
		var reply []string
		if json.Unmarshal(encoded, &reply) != nil {
			return
		}
		if len(reply) > 1 { // JSON cannot have the bytes of the compact form
			reply[1] = form
		}
		if field != "" {
			reply = append(reply, field, value)
		}
		c := New(CacheConfig{})
		h, decoder := hashOf(reply), &stockbinary.Decoder{}
		inspect(decoder, "p", reply, nil)
		entry := c.entry(decoder, epoch, "p", h)
		stats := c.Stats()
		if stats.Hits+stats.NegativeHits+stats.Misses != 1 || entry.Known != (stats.Misses == 0) || (entry.Stock != nil) != (stats.Hits == 1) {
			t.Fatalf("%q: %+v, counted as %+v", reply, entry, stats)
		}
		if entry.Stock == nil {
			return
		}
		if wrong := outOfRange(entry.Stock); wrong != "" {
			t.Fatalf("%q: the %s is out of range: %+v", reply, wrong, entry.Stock)
		}
		again, err := hashOf(replyOf(entry.Stock)).decode(decoder)
		if err != nil || !reflect.DeepEqual(again, entry.Stock) {
			t.Fatalf("%q is %+v, and after a rewrite %+v, %v", reply, entry.Stock, again, err)
		}
	})
}
