package rediscache

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"onhand/models"
	"onhand/models/channel"
	"onhand/models/stockjson"
)

// hashArgsMax is the capacity for the names and values of all fields of a stock.
const hashArgsMax = 30

// encodeHash lists the fields of a stock as HSET takes them: name, value, name,
// value. It leaves out fields without a value; absent lists their names, for an
// older version may have had them.
func encodeHash(s *models.Stock) (pairs, absent []any) {
	pairs = append(make([]any, 0, hashArgsMax),
		fieldProductID, s.ProductID,
		fieldQuantity, s.Quantity(),
		fieldVersion, s.Version,
		fieldEpoch, s.Epoch,
		fieldTracked, s.Tracked,
		fieldPolicy, string(s.InventoryPolicy),
		fieldLowStockThreshold, s.LowStockThreshold,
		fieldAsOf, stockjson.FormatTime(s.AsOf),
		fieldLevels, stockjson.EncodeLevels(s.Levels),
	)
	optional := func(name string, given bool, value func() any) {
		if given {
			pairs = append(pairs, name, value())
		} else {
			absent = append(absent, name)
		}
	}
	optional(fieldTitle, s.Title != nil, func() any { return *s.Title })
	optional(fieldBackorderLimit, s.BackorderLimit != nil, func() any { return *s.BackorderLimit })
	optional(fieldMaxPerReservation, s.MaxPerReservation != nil, func() any { return *s.MaxPerReservation })
	buffers := s.Buffers.Encode()
	optional(fieldChannelBuffers, buffers != nil, func() any { return *buffers })
	optional(fieldNextRestockAt, s.NextRestockAt != nil, func() any { return stockjson.FormatTime(*s.NextRestockAt) })
	return pairs, append(absent, fieldMissing, fieldLease)
}

// decodeHash reads what encodeHash wrote. Every field that encodeHash always
// writes must be present and valid.
func decodeHash(hash map[string]string) (*models.Stock, error) {
	d := hashDecoder{hash: hash}
	s := &models.Stock{
		Product: models.Product{
			ProductID:         hash[fieldProductID],
			Version:           d.version(),
			Tracked:           d.flag(fieldTracked),
			InventoryPolicy:   models.InventoryPolicy(hash[fieldPolicy]),
			LowStockThreshold: int(d.number(fieldLowStockThreshold)),
			BackorderLimit:    d.units(fieldBackorderLimit),
			MaxPerReservation: d.units(fieldMaxPerReservation),
		},
		Epoch:  hash[fieldEpoch],
		Source: models.FromCache,
	}
	if title, ok := hash[fieldTitle]; ok {
		s.Title = &title
	}
	if _, ok := hash[fieldNextRestockAt]; ok {
		at := d.time(fieldNextRestockAt)
		s.NextRestockAt = &at
	}
	s.AsOf = d.time(fieldAsOf)
	if buffers, ok := hash[fieldChannelBuffers]; ok {
		s.Buffers = d.buffers(buffers)
	}
	quantity := d.number(fieldQuantity)
	if d.err != nil {
		return nil, d.err
	}
	levels, err := stockjson.DecodeLevels(s.ProductID, []byte(hash[fieldLevels]))
	if err != nil {
		return nil, err
	}
	s.Levels = levels
	if err := stockjson.Check(s); err != nil {
		return nil, err
	}
	if int64(s.Quantity()) != quantity {
		// Another program has written to the hash.
		return nil, fmt.Errorf("quantity is %d, and its levels add up to %d", quantity, s.Quantity())
	}
	return s, nil
}

// VersionMax is the largest version that a hash may have: 2^40 - 1. A product that
// changes a thousand times a second needs thirty years for it. A time in
// milliseconds, which other programs write as a version, is above it.
const VersionMax = 1<<40 - 1

// parseVersion reads a version as Onhand writes it: digits, up to VersionMax.
// setScript has the same rule.
func parseVersion(text string) (version int64, ok bool) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n > VersionMax {
		return 0, false
	}
	return int64(n), true
}

// hashDecoder keeps the error of the first invalid field.
type hashDecoder struct {
	hash map[string]string
	err  error
}

func (d *hashDecoder) fail(field string, err error) {
	if d.err == nil {
		d.err = fmt.Errorf("field %s: %w", field, err)
	}
}

func (d *hashDecoder) number(field string) int64 {
	n, err := strconv.ParseInt(d.hash[field], 10, 64)
	if err != nil {
		d.fail(field, err)
	}
	return n
}

func (d *hashDecoder) version() int64 {
	n, ok := parseVersion(d.hash[fieldVersion])
	if !ok {
		d.fail(fieldVersion, errors.New("not a version"))
	}
	return n
}

// units is nil where the field is absent.
func (d *hashDecoder) units(field string) *int {
	if _, ok := d.hash[field]; !ok {
		return nil
	}
	n := int(d.number(field))
	return &n
}

func (d *hashDecoder) buffers(text string) channel.Buffers {
	buffers, err := channel.Decode(&text)
	if err != nil {
		d.fail(fieldChannelBuffers, err)
	}
	return buffers
}

func (d *hashDecoder) flag(field string) bool {
	switch d.hash[field] {
	case "1":
		return true
	case "0":
	default:
		d.fail(field, errors.New("neither 0 nor 1"))
	}
	return false
}

func (d *hashDecoder) time(field string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, d.hash[field])
	if err != nil {
		d.fail(field, err)
	}
	return t.UTC()
}
