package stockfile

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"onhand/models"
)

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
