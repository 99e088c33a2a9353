package rediscache

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"onhand/models"
	"onhand/models/channel"
	"onhand/models/stockjson"
)

// hashOf is the hash that Redis has after a stock was written.
func hashOf(s *models.Stock) map[string]string {
	pairs, _ := encodeHash(s)
	hash := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		hash[pairs[i].(string)] = textOf(pairs[i+1])
	}
	return hash
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
	case len(s.Levels) > stockjson.LevelsMax:
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
// when it is written again.
func FuzzHash(f *testing.F) {
	add := func(hash map[string]string) {
		encoded, err := json.Marshal(hash)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded, "", "")
	}
	full := stockAt("p", epoch, 7)
	title, limit, most := "Mug \u2028 é", 40, 6
	full.Title, full.BackorderLimit, full.MaxPerReservation, full.NextRestockAt = &title, &limit, &most, &full.AsOf
	full.Buffers = channel.Buffers{"web": 5}
	add(hashOf(full))
	add(hashOf(stockAt("p", epoch, 1)))
	add(map[string]string{fieldProductID: "p", fieldEpoch: epoch, fieldMissing: "1"})
	plain, err := json.Marshal(hashOf(full))
	if err != nil {
		f.Fatal(err)
	}
	for _, change := range [][2]string{
		{fieldBackorderLimit, "-5"}, {fieldMaxPerReservation, "0"}, {fieldLowStockThreshold, "-1"}, {fieldVersion, "-1"}, {fieldTitle, "\xff"},
		{fieldLevels, `[{"location_id":"n","active":true,"available":9999999999}]`}, {fieldQuantity, "+7"},
		{fieldAsOf, "0000-01-01T00:00:00+01:00"}, {fieldLevels, `[{"location_id":"a","active":true,"available":7.0}]`}, {fieldTracked, ""},
	} {
		f.Add(plain, change[0], change[1])
	}
	f.Fuzz(func(t *testing.T, encoded []byte, field, value string) {
		var hash map[string]string
		if json.Unmarshal(encoded, &hash) != nil {
			return
		}
		if field != "" && hash != nil {
			hash[field] = value
		}
		c := New(CacheConfig{})
		entry := c.entry(epoch, "p", redis.NewMapStringStringResult(hash, nil))
		stats := c.Stats()
		if stats.Hits+stats.NegativeHits+stats.Misses != 1 || entry.Known != (stats.Misses == 0) || (entry.Stock != nil) != (stats.Hits == 1) {
			t.Fatalf("%q: %+v, counted as %+v", hash, entry, stats)
		}
		if entry.Stock == nil {
			return
		}
		if wrong := outOfRange(entry.Stock); wrong != "" {
			t.Fatalf("%q: the %s is out of range: %+v", hash, wrong, entry.Stock)
		}
		again, err := decodeHash(hashOf(entry.Stock))
		if err != nil || !reflect.DeepEqual(again, entry.Stock) {
			t.Fatalf("%q is %+v, and after a rewrite %+v, %v", hash, entry.Stock, again, err)
		}
	})
}
