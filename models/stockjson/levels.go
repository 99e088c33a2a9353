package stockjson

import (
	"encoding/json"
	"errors"
	"fmt"

	"onhand/models"
)

// levelObject is the encoded form of one level. Encoding leaves out the fields
// that are zero, which most are.
type levelObject struct {
	LocationID     string `json:"location_id"`
	Active         *bool  `json:"active"`
	Priority       int    `json:"priority"`
	Available      int    `json:"available"`
	Reserved       int    `json:"reserved"`
	Committed      int    `json:"committed"`
	Damaged        int    `json:"damaged"`
	QualityControl int    `json:"quality_control"`
	SafetyStock    int    `json:"safety_stock"`
	Incoming       int    `json:"incoming"`
}

// EncodeLevels returns the JSON form of levels: an array of objects.
func EncodeLevels(levels []models.Level) []byte {
	return appendLevels(make([]byte, 0, 16+128*len(levels)), levels)
}

// DecodeLevels reads what EncodeLevels wrote, as levels of the product.
func DecodeLevels(productID string, b []byte) ([]models.Level, error) {
	if len(b) > BytesMax {
		return nil, fmt.Errorf("decode levels: %d bytes, more than %d", len(b), BytesMax)
	}
	levels, ok := scanLevels(b)
	if !ok {
		var err error
		if levels, err = parseLevels(b); err != nil {
			return nil, fmt.Errorf("decode levels: %w", err)
		}
	}
	for i := range levels {
		levels[i].ProductID = productID
		if !idFits(levels[i].LocationID) {
			return nil, fmt.Errorf("decode levels: level %d: bad location id", i)
		}
		if err := levels[i].Check(-models.QuantityMax); err != nil {
			return nil, fmt.Errorf("decode levels: level %d: %w", i, err)
		}
	}
	return levels, nil
}

// parseLevels reads levels with encoding/json: any spelling of the same JSON.
func parseLevels(b []byte) ([]models.Level, error) {
	var objects *[]levelObject
	if err := json.Unmarshal(b, &objects); err != nil {
		return nil, err
	}
	if objects == nil {
		return nil, errors.New("null")
	}
	if len(*objects) > LevelsMax {
		return nil, fmt.Errorf("%d levels, more than %d", len(*objects), LevelsMax)
	}
	levels := make([]models.Level, len(*objects))
	for i, o := range *objects {
		if o.Active == nil {
			return nil, fmt.Errorf("level %d has no field active", i)
		}
		levels[i] = models.Level{
			LocationID: o.LocationID, Active: *o.Active, Priority: o.Priority,
			Quantities: models.Quantities{
				Available: o.Available, Reserved: o.Reserved, Committed: o.Committed, Damaged: o.Damaged,
				QualityControl: o.QualityControl, SafetyStock: o.SafetyStock, Incoming: o.Incoming,
			},
		}
	}
	return levels, nil
}
