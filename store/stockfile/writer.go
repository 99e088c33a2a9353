package stockfile

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"onhand/models"
)

// Writer writes a file of stock, a product at a time.
type Writer struct {
	write func(*models.Stock) error
	flush func() error
	rows  int
}

// NewWriter begins a file. A shop's file has a row for every product and location, so it needs to know all locations.
//
// Errors: [OnlineRetail] cannot be written; locations whose names a reader could not tell apart.
func NewWriter(w io.Writer, format Format, locations []models.Location) (*Writer, error) {
	if format == JSONLines {
		return newJSONWriter(w), nil
	}
	out := &Writer{}
	table := csv.NewWriter(w)
	out.flush = func() error {
		table.Flush()
		return table.Error()
	}
	var header []string
	var rows func(*models.Stock) [][]string
	switch format {
	case CSV:
		header, rows = plainColumns(), plainRows
	case Shop, Shop17:
		grid, err := newShopGrid(format, locations)
		if err != nil {
			return nil, err
		}
		header, rows = grid.header, grid.rows
	default:
		return nil, fmt.Errorf("%s can be read, not written", format)
	}
	out.write = func(s *models.Stock) error {
		for _, record := range rows(s) {
			out.rows++
			if err := table.Write(record); err != nil {
				return err
			}
		}
		return nil
	}
	return out, table.Write(header)
}

// Write adds one product with all its levels.
func (w *Writer) Write(s *models.Stock) error { return w.write(s) }

// Rows is how many rows were written so far.
func (w *Writer) Rows() int { return w.rows }

// Flush hands on what is still held.
func (w *Writer) Flush() error { return w.flush() }

func titleOf(s *models.Stock) string {
	if s.Title == nil {
		return ""
	}
	return *s.Title
}

// byID is a product's levels in the order of location ids, which nobody's sourcing order changes.
func byID(s *models.Stock) []models.Level {
	levels := slices.Clone(s.Levels)
	slices.SortFunc(levels, func(a, b models.Level) int { return cmp.Compare(a.LocationID, b.LocationID) })
	return levels
}

// quantitiesOf is in the order of quantityColumns.
func quantitiesOf(q models.Quantities) []int {
	return []int{q.Available, q.Reserved, q.Committed, q.Damaged, q.QualityControl, q.SafetyStock, q.Incoming, q.OnHand()}
}

// plainRows are a product's levels; one without any still has a row of its own.
func plainRows(s *models.Stock) [][]string {
	width := len(plainColumns())
	if len(s.Levels) == 0 {
		empty := make([]string, width)
		empty[0], empty[1] = s.ProductID, titleOf(s)
		return [][]string{empty}
	}
	var records [][]string
	for _, l := range byID(s) {
		record := append(make([]string, 0, width), s.ProductID, titleOf(s), l.LocationID)
		for _, n := range quantitiesOf(l.Quantities) {
			record = append(record, strconv.Itoa(n))
		}
		records = append(records, record[:width]) // the new ones are empty
	}
	return records
}

// shopGrid writes every product at every location.
type shopGrid struct {
	format    Format
	header    []string
	locations []models.Location
	names     []string
}

func newShopGrid(format Format, locations []models.Location) (*shopGrid, error) {
	g := &shopGrid{format: format, header: shopColumns, locations: slices.Clone(locations)}
	if format == Shop17 {
		g.header = shop17Columns
	}
	places := NewLocationIndex(locations)
	slices.SortFunc(g.locations, func(a, b models.Location) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.LocationID, b.LocationID))
	})
	for _, l := range g.locations {
		name, err := places.name(l)
		if err != nil {
			return nil, err
		}
		g.names = append(g.names, name)
	}
	return g, nil
}

func (g *shopGrid) rows(s *models.Stock) [][]string {
	v, ok := ParseVariant(s.ProductID)
	sku := ""
	if !ok || !v.lasts() { // the product id is the SKU, and there is one variant of it
		v, sku = Variant{Handle: s.ProductID, Options: [3]VariantOption{defaultOption}}, s.ProductID
	}
	records := make([][]string, len(g.locations))
	for i, l := range g.locations {
		record := append(make([]string, 0, len(g.header)), v.Handle, titleOf(s))
		for _, o := range v.Options {
			record = append(record, o.Name, o.Value)
		}
		record = append(record, sku, "", "", g.names[i])
		if g.format == Shop {
			record = append(record, "") // the bin
		}
		record = append(record, g.quantities(s, l.LocationID)...)
		records[i] = record[:len(g.header)] // On hand (new) is for the merchant
	}
	return records
}

// quantities are Incoming, Unavailable, Committed, Available, On hand. What is held is committed, in a shop's words.
func (g *shopGrid) quantities(s *models.Stock, location string) []string {
	cells := make([]string, 0, len(g.header))
	at := slices.IndexFunc(s.Levels, func(l models.Level) bool { return l.LocationID == location })
	if at < 0 {
		return append(cells, notStocked, notStocked, notStocked, notStocked, notStocked)
	}
	q := s.Levels[at].Quantities
	for _, n := range []int{q.Incoming, q.Damaged + q.QualityControl + q.SafetyStock, q.Reserved + q.Committed, q.Available, q.OnHand()} {
		cells = append(cells, strconv.Itoa(n))
	}
	return cells
}

// newJSONWriter writes one object a line, with an empty "new" for the merchant to fill.
func newJSONWriter(w io.Writer) *Writer {
	buffered := bufio.NewWriter(w)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	out := &Writer{flush: buffered.Flush}
	out.write = func(s *models.Stock) error {
		levels := byID(s)
		if len(levels) == 0 {
			out.rows++
			return encoder.Encode(jsonRow{ProductID: s.ProductID, Title: titleOf(s), New: &jsonCounts{}})
		}
		for _, l := range levels {
			row := jsonRow{ProductID: s.ProductID, Title: titleOf(s), LocationID: l.LocationID, New: &jsonCounts{}}
			for i, n := range quantitiesOf(l.Quantities) {
				*row.list()[i] = &n
			}
			out.rows++
			if err := encoder.Encode(row); err != nil {
				return err
			}
		}
		return nil
	}
	return out
}
