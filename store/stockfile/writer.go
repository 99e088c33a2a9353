package stockfile

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"

	"onhand/models"
)

// Writer writes a stock file product by product.
type Writer struct {
	write func(*models.Stock) error
	flush func() error
	rows  int
}

// NewWriter begins a file. locations are all locations: a shop's file has a row
// for every product at every location.
//
// Errors: [OnlineRetail] cannot be written.
func NewWriter(w io.Writer, format Format, locations []models.Location) (*Writer, error) {
	switch format {
	case JSONLines:
		return newJSONWriter(w), nil
	case CSV:
		return newTableWriter(w, csvColumns(), csvRecords)
	case Shop, Shop17:
		shop := newShopWriter(format, locations)
		return newTableWriter(w, shop.header, shop.records)
	}
	return nil, fmt.Errorf("%s can be read, not written", format)
}

// newTableWriter writes a CSV file. records has the records of one product.
func newTableWriter(w io.Writer, header []string, records func(*models.Stock) [][]string) (*Writer, error) {
	table := csv.NewWriter(w)
	out := &Writer{flush: func() error {
		table.Flush()
		return table.Error()
	}}
	out.write = func(s *models.Stock) error {
		for _, record := range records(s) {
			out.rows++
			if err := table.Write(record); err != nil {
				return err
			}
		}
		return nil
	}
	return out, table.Write(header)
}

// Write writes one product with all its levels.
func (w *Writer) Write(s *models.Stock) error { return w.write(s) }

// Rows is how many rows were written so far.
func (w *Writer) Rows() int { return w.rows }

// Flush writes what is buffered.
func (w *Writer) Flush() error { return w.flush() }

func titleOf(s *models.Stock) string {
	if s.Title == nil {
		return ""
	}
	return *s.Title
}

// levelsByLocation orders a product's levels by location id. Other than the
// sourcing order, this order does not change.
func levelsByLocation(s *models.Stock) []models.Level {
	levels := slices.Clone(s.Levels)
	slices.SortFunc(levels, func(a, b models.Level) int { return cmp.Compare(a.LocationID, b.LocationID) })
	return levels
}
