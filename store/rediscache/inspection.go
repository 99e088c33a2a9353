package rediscache

import (
	"context"
	"fmt"

	"onhand/models"
	"onhand/models/stockbinary"
)

// Inspection is what Redis has under a product's key, valid or not. The audit
// compares it with the database.
type Inspection struct {
	// Cached is false where Redis has nothing but perhaps a lease.
	Cached bool
	// Epoch and Version are those of the hash; Version is -1 where it has none that
	// Onhand may have written.
	Epoch   string
	Version int64
	// Missing is true for a negative entry.
	Missing bool
	// Stock is nil for a negative entry, and where Err says why the hash cannot be
	// decoded.
	Stock *models.Stock
	Err   error
}

// Inspect reads products as Redis has them, in the order of ids, in one round
// trip for each PipelineMax of them. It counts neither hits nor misses.
func (c *Cache) Inspect(ctx context.Context, ids []string) ([]Inspection, error) {
	inspections := make([]Inspection, 0, len(ids))
	var decoder stockbinary.Decoder
	err := c.readHashes(ctx, "inspect stock", ids, func(id string, reply []string, err error) {
		inspections = append(inspections, inspect(&decoder, id, reply, err))
	})
	if err != nil {
		return nil, err
	}
	return inspections, nil
}

func inspect(decoder *stockbinary.Decoder, id string, reply []string, err error) Inspection {
	if err != nil { // another type
		return Inspection{Cached: true, Version: -1, Err: err}
	}
	h := hashOf(reply)
	if h.absent() {
		return Inspection{}
	}
	found := Inspection{Cached: true, Epoch: h.Epoch, Version: -1, Missing: h.negative()}
	if version, ok := parseVersion(h.Version); ok {
		found.Version = version
	}
	switch {
	case h.ProductID != id:
		found.Err = fmt.Errorf("it belongs to product %q", h.ProductID)
	case found.Version < 0:
		found.Err = fmt.Errorf("it has no version that a reader believes: %.40q", h.Version)
	case !found.Missing:
		found.Stock, found.Err = h.decode(decoder)
	}
	return found
}
