package stockfile

import (
	_ "embed"
	"encoding/csv"
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

// demoFile has one row for each product and location, in the order in which a
// storefront shows them. NOTICE.md says where it comes from.
//
//go:embed demo.csv
var demoFile string

// Demo returns the demo shop: its opening stock, locations and channels. Products
// are real ones of the Online Retail data set. Quantities are invented so that
// most products are in stock, some are low and a few are out of stock. Every call
// returns new slices with the same contents.
func Demo() ([]models.OpeningRow, []models.Location, []models.Channel) {
	locations := []models.Location{
		{LocationID: "london", Name: "London warehouse", Priority: 1, Active: true},
		{LocationID: "leeds", Name: "Leeds warehouse", Priority: 2, Active: true},
		{LocationID: "brighton-shop", Name: "Brighton shop", Priority: 3, Active: true, Pickup: true},
	}
	channels := []models.Channel{
		{ChannelID: "brighton", Name: "Brighton, collect in the shop", LocationIDs: []string{"brighton-shop"}},
		{ChannelID: "web", Name: "Web shop", LocationIDs: []string{"london", "leeds", "brighton-shop"}},
	}
	return demoRows(), locations, channels
}

// demoRows parses the embedded file. It panics on an invalid file, because the
// file is part of the program.
func demoRows() []models.OpeningRow {
	records, err := csv.NewReader(strings.NewReader(demoFile)).ReadAll()
	if err != nil {
		panic(fmt.Sprintf("stockfile: the embedded demo.csv: %v", err))
	}
	rows := make([]models.OpeningRow, 0, len(records)-1)
	for _, record := range records[1:] {
		available, err := strconv.Atoi(record[3])
		if err != nil {
			panic(fmt.Sprintf("stockfile: the embedded demo.csv: %v", err))
		}
		rows = append(rows, models.OpeningRow{ProductID: record[0], Title: record[1], LocationID: record[2], Available: available})
	}
	return rows
}
