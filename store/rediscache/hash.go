package rediscache

import (
	"strconv"

	"onhand/models"
	"onhand/models/stockbinary"
)

// hash is a product's hash as a reader gets it. A field that is absent is empty.
type hash struct {
	stockbinary.Fields
	missing, lease string
	fields         int // how many there are, known and unknown
}

// hashOf reads the reply to HGETALL: name, value, name, value.
func hashOf(reply []string) (h hash) {
	h.fields = len(reply) / 2
	for i := 0; i+1 < len(reply); i += 2 {
		value := reply[i+1]
		switch reply[i] {
		case fieldProductID:
			h.ProductID = value
		case fieldQuantity:
			h.Quantity = value
		case fieldVersion:
			h.Version = value
		case fieldEpoch:
			h.Epoch = value
		case fieldStock:
			h.Stock = value
		case fieldMissing:
			h.missing = value
		case fieldLease:
			h.lease = value
		}
	}
	return h
}

// absent reports whether there is nothing but perhaps a lease.
func (h hash) absent() bool { return h.fields == 0 || h.fields == 1 && h.lease != "" }

// negative reports whether it says that there is no such product.
func (h hash) negative() bool { return h.missing != "" }

// decode reads the stock of a hash that is not negative.
func (h hash) decode(d *stockbinary.Decoder) (*models.Stock, error) {
	s, err := d.Decode(h.Fields)
	if err != nil {
		return nil, err
	}
	s.Source = models.FromCache
	return s, nil
}

// HashVersionMax is the largest version that a hash may have: 2^40 - 1. A product that
// changes a thousand times a second needs thirty years for it. A time in
// milliseconds, which other programs write as a version, is above it.
const HashVersionMax = 1<<40 - 1

// parseVersion reads a version as Onhand writes it: digits, up to HashVersionMax.
// setScript has the same rule.
func parseVersion(text string) (version int64, ok bool) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n > HashVersionMax {
		return 0, false
	}
	return int64(n), true
}
