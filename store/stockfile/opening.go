package stockfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"onhand/models"
)

// openingScale is the number of parts of a full opening. Fractions have six
// decimals, so that a tenth of thirty is exactly three.
const openingScale = 1_000_000

// Opening is the fraction of the year's demand that a shop has in stock when it
// opens. The zero value is invalid; use [FullOpening] or [ParseOpening].
type Opening struct {
	millionths int
}

// FullOpening is stock for the whole year: no sale fails, in any order.
var FullOpening = Opening{millionths: openingScale}

// ParseOpening parses "full" or a fraction above 0 and up to 1, such as "0.25".
// Decimals after the sixth are dropped.
func ParseOpening(s string) (Opening, error) {
	if s == "full" {
		return FullOpening, nil
	}
	whole, decimals, _ := strings.Cut(s, ".")
	decimals += "000000"
	n, err := strconv.ParseUint(whole+decimals[:6], 10, 32)
	if _, floatErr := strconv.ParseFloat(s, 64); err != nil || floatErr != nil || n == 0 || n > openingScale {
		return Opening{}, fmt.Errorf("the opening %q must be full, or a fraction above 0 and up to 1", s)
	}
	return Opening{millionths: int(n)}, nil
}

// UnmarshalText makes Opening a command-line flag.
func (o *Opening) UnmarshalText(text []byte) (err error) {
	*o, err = ParseOpening(string(text))
	return err
}

// String formats the opening as ParseOpening parses it.
func (o Opening) String() string {
	if o == FullOpening {
		return "full"
	}
	return strconv.FormatFloat(float64(o.millionths)/openingScale, 'f', -1, 64)
}

// of returns that fraction of units, rounded down.
func (o Opening) of(units int) int { return units * o.millionths / openingScale }

// check refuses the zero value.
func (o Opening) check() error {
	if o.millionths < 1 || o.millionths > openingScale {
		return errors.New("no opening given")
	}
	return nil
}

// OnlineRetailLocation is the location of all stock of the Online Retail file,
// which has no locations.
func OnlineRetailLocation() models.Location {
	return models.Location{LocationID: "uk-warehouse", Name: "UK warehouse", Priority: 1, Active: true}
}
