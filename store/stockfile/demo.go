package stockfile

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"onhand/models"
)

// demoFile has one row per product and location, in the order a shop window would show them. Where it comes from is
// said in NOTICE.md.
//
//go:embed demo.csv
var demoFile string

// Demo returns the demo shop: its opening stock, places and storefronts. Products are real ones of the Online Retail
// data set; quantities are made up so that most are in stock, some are low and a few are gone. It is the same every
// time, and the caller may change what it gets.
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

// demoRows reads the embedded file. It is part of the program and tests read it, so a fault in it is a bug.
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
