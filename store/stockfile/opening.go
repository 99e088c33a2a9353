package stockfile

import (
	"fmt"
	"strconv"
	"strings"

	"onhand/models"
)

// openingScale is what a full opening counts as: fractions are kept to six decimals, so that a tenth of thirty is
// exactly three.
const openingScale = 1_000_000

// Opening says how much stock a shop opens with, as a part of what it will sell and write off. The zero value is no
// opening; use [FullOpening] or [ParseOpening].
type Opening struct {
	millionths int
}

// FullOpening is stock for everything: no sale fails, in whatever order they come.
var FullOpening = Opening{millionths: openingScale}

// ParseOpening reads "full" or a fraction above 0 and up to 1, such as "0.25". Decimals after the sixth are dropped.
func ParseOpening(s string) (Opening, error) {
	if s == "full" {
		return FullOpening, nil
	}
	whole, decimals, _ := strings.Cut(s, ".")
	decimals += "000000"
	n, err := strconv.ParseUint(whole+decimals[:6], 10, 32)
	if _, badTail := strconv.ParseFloat(s, 64); err != nil || badTail != nil || n == 0 || n > openingScale {
		return Opening{}, fmt.Errorf("the opening %q must be full, or a fraction above 0 and up to 1", s)
	}
	return Opening{millionths: int(n)}, nil
}

// UnmarshalText makes Opening a command-line flag.
func (o *Opening) UnmarshalText(text []byte) (err error) {
	*o, err = ParseOpening(string(text))
	return err
}

// String writes what ParseOpening reads.
func (o Opening) String() string {
	if o == FullOpening {
		return "full"
	}
	return strconv.FormatFloat(float64(o.millionths)/openingScale, 'f', -1, 64)
}

// of returns the part of units that is there at the opening, rounded down.
func (o Opening) of(units int) int { return units * o.millionths / openingScale }

// check refuses the zero value.
func (o Opening) check() error {
	if o.millionths < 1 || o.millionths > openingScale {
		return fmt.Errorf("no opening given")
	}
	return nil
}

// OnlineRetailLocation is the one place that holds the stock of the Online Retail file, which names none.
func OnlineRetailLocation() models.Location {
	return models.Location{LocationID: "uk-warehouse", Name: "UK warehouse", Priority: 1, Active: true}
}
