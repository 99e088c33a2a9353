package stockfile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"onhand/models"
)

// notStocked is the value of a shop's file for a product that a location does not
// have.
const notStocked = "not stocked"

// shopColumns and shop17Columns are the headers as the shop system writes them.
var (
	shopColumns   = append(variantColumns(), "Location", "Bin name", "Incoming (not editable)", "Unavailable (not editable)", "Committed (not editable)", "Available (not editable)", "On hand (current)", "On hand (new)")
	shop17Columns = append(variantColumns(), "Location", "Incoming", "Unavailable", "Committed", "Available", "On hand")
)

func variantColumns() []string {
	return []string{"Handle", "Title", "Option1 Name", "Option1 Value", "Option2 Name", "Option2 Value", "Option3 Name", "Option3 Value", "SKU", "HS Code", "COO"}
}

// shopTable reads a shop's file.
//
// Of 19 columns only "On hand (new)" changes stock; empty means no change. "On
// hand (current)" is the quantity when the file was made. Of 17 columns "On hand"
// changes stock where it differs from the sum of the three columns before it;
// that sum is the quantity when the file was made.
type shopTable struct {
	*table
	format Format
}

// shopQuantities are the names of the columns with quantities, in lower case.
func shopQuantities(format Format) []string {
	columns := shopColumns[len(variantColumns())+2:] // without Location and Bin name
	if format == Shop17 {
		columns = shop17Columns[len(variantColumns())+1:]
	}
	names := make([]string, len(columns))
	for i, name := range columns {
		names[i] = strings.ToLower(name)
	}
	return names
}

// row parses the current record.
func (t shopTable) row() (row models.StockRow, err error) {
	if row, err = t.identity(); err != nil {
		return row, err
	}
	if row.CountedAt, err = parseMoment(countedAtColumn, t.cell(countedAtColumn)); err != nil {
		return row, err
	}
	stocked := false
	for i, count := range [...]*models.Count{&row.Now.Incoming, &row.Now.Unavailable, &row.Now.Committed, &row.Now.Available, &row.Now.OnHand} {
		name := t.quantities[i] // the first five, in this order
		value := strings.TrimSpace(t.cell(name))
		if strings.EqualFold(value, notStocked) {
			continue
		}
		if *count, err = parseCount(name, value); err != nil {
			return row, err
		}
		stocked = stocked || count.Given
	}
	if t.format == Shop17 {
		err = t.setNewOf17(&row)
	} else {
		err = t.setNewOf19(&row, stocked)
	}
	return row, err
}

// setNewOf19 sets the new quantity of a file with 19 columns. stocked reports
// whether the location has the product.
func (t shopTable) setNewOf19(row *models.StockRow, stocked bool) (err error) {
	now := row.Now
	if sum, ok := onHandOf(now); ok && now.OnHand.Given && sum != now.OnHand.Units {
		return fmt.Errorf("the On hand (current) %d is not Available %d + Committed %d + Unavailable %d; to change stock, write On hand (new) and leave the others alone",
			now.OnHand.Units, now.Available.Units, now.Committed.Units, now.Unavailable.Units)
	}
	value := strings.TrimSpace(t.cell("on hand (new)"))
	if strings.EqualFold(value, notStocked) {
		if stocked {
			return errors.New("a file cannot take a product away from a location; write 0")
		}
		return nil
	}
	if row.New.OnHand, err = parseCount("On hand (new)", value); err != nil {
		return err
	}
	if strings.EqualFold(strings.TrimSpace(t.cell("on hand (current)")), notStocked) && row.New.OnHand.Given {
		row.Now.OnHand = models.Counted(0)
	}
	return checkNew(*row)
}

// setNewOf17 sets the new quantity of a file with 17 columns.
func (t shopTable) setNewOf17(row *models.StockRow) error {
	sum, ok := onHandOf(row.Now)
	onHand := row.Now.OnHand
	switch {
	case !onHand.Given:
	case !ok: // the file does not say what was there when it was made
		row.New.OnHand, row.Now.OnHand = onHand, models.Count{}
		if strings.EqualFold(strings.TrimSpace(t.cell("available")), notStocked) {
			row.Now.OnHand = models.Counted(0)
		}
	case sum != onHand.Units:
		row.New.OnHand, row.Now.OnHand = onHand, models.Counted(sum)
	}
	return checkNew(*row)
}

// onHandOf is what is on hand according to the other columns, if all are given.
func onHandOf(c models.Counts) (sum int, ok bool) {
	return c.Available.Units + c.Committed.Units + c.Unavailable.Units, c.Available.Given && c.Committed.Given && c.Unavailable.Given
}

// identity parses the columns that name the product and the location.
func (t shopTable) identity() (row models.StockRow, err error) {
	row.Title, row.Note = parseTitle(t.cell("title"))
	row.Location = t.cell("location") // a name, which may have blanks
	if strings.TrimSpace(row.Location) == "" {
		return row, errors.New("the Location is empty")
	}
	if problem := models.CheckText(row.Location, models.TextLengthMax); problem != "" {
		return row, fmt.Errorf("the Location %s", problem)
	}
	if sku := t.cell("sku"); strings.TrimSpace(sku) != "" {
		if row.ProductID, err = parseProductID("SKU", sku); err != nil {
			return row, err
		}
	}
	v := Variant{}
	if v.Handle, err = t.part("handle"); err != nil {
		return row, err
	}
	if v.Handle == "" {
		if row.ProductID == "" {
			return row, errors.New("neither SKU nor Handle says which product this is")
		}
		return row, nil
	}
	for i, columns := range optionColumns {
		if v.Options[i].Name, err = t.part(columns.name); err != nil {
			return row, err
		}
		if v.Options[i].Value, err = t.part(columns.value); err != nil {
			return row, err
		}
	}
	switch id := v.ID(); {
	case utf8.RuneCountInString(id) <= models.IDLengthMax:
		row.Variant = id
	case row.ProductID == "":
		return row, fmt.Errorf("its Handle and options are longer than %d characters together; give the variant a SKU", models.IDLengthMax)
	}
	return row, nil
}

// part is a cell that is part of a variant's id. Blanks alone are an empty cell.
func (t shopTable) part(column string) (string, error) {
	value := t.cell(column)
	if strings.TrimSpace(value) == "" {
		return "", nil
	}
	if problem := models.CheckID(value); problem != "" {
		return value, fmt.Errorf("the %s %s", strings.ToUpper(column[:1])+column[1:], problem)
	}
	return value, nil
}

// optionColumns are the columns of a variant's options.
var optionColumns = [3]struct{ name, value string }{
	{"option1 name", "option1 value"}, {"option2 name", "option2 value"}, {"option3 name", "option3 value"},
}

// shopWriter writes every product at every location.
type shopWriter struct {
	format    Format
	header    []string
	locations []models.Location
	names     []string // of locations
}

func newShopWriter(format Format, locations []models.Location) *shopWriter {
	w := &shopWriter{format: format, header: shopColumns, locations: slices.Clone(locations)}
	if format == Shop17 {
		w.header = shop17Columns
	}
	index := NewLocationIndex(locations)
	slices.SortFunc(w.locations, func(a, b models.Location) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.LocationID, b.LocationID))
	})
	for _, l := range w.locations {
		w.names = append(w.names, index.name(l))
	}
	return w
}

func (w *shopWriter) records(s *models.Stock) [][]string {
	v, ok := ParseVariant(s.ProductID)
	sku := ""
	if !ok || !v.writable() { // the product id is the SKU of a product without variants
		v, sku = Variant{Handle: s.ProductID, Options: [3]VariantOption{defaultOption}}, s.ProductID
	}
	records := make([][]string, len(w.locations))
	for i, l := range w.locations {
		record := append(make([]string, 0, len(w.header)), v.Handle, titleOf(s))
		for _, o := range v.Options {
			record = append(record, o.Name, o.Value)
		}
		record = append(record, sku, "", "", w.names[i])
		if w.format == Shop {
			record = append(record, "") // Bin name
		}
		record = append(record, w.quantities(s, l.LocationID)...)
		records[i] = record[:len(w.header)] // On hand (new) stays empty
	}
	return records
}

// quantities are Incoming, Unavailable, Committed, Available, On hand. A shop's
// file counts reserved units as committed.
func (w *shopWriter) quantities(s *models.Stock, locationID string) []string {
	cells := make([]string, 0, len(w.header))
	i := slices.IndexFunc(s.Levels, func(l models.Level) bool { return l.LocationID == locationID })
	if i < 0 {
		return append(cells, notStocked, notStocked, notStocked, notStocked, notStocked)
	}
	q := s.Levels[i].Quantities
	for _, n := range []int{q.Incoming, q.Damaged + q.QualityControl + q.SafetyStock, q.Reserved + q.Committed, q.Available, q.OnHand()} {
		cells = append(cells, strconv.Itoa(n))
	}
	return cells
}
