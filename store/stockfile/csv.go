package stockfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"onhand/models"
)

// quantityColumn is one quantity of Onhand's own formats.
type quantityColumn struct {
	name     string
	of       func(*models.Counts) *models.Count
	settable bool
}

// quantityColumns are in the order in which they are written.
var quantityColumns = []quantityColumn{
	{"available", func(c *models.Counts) *models.Count { return &c.Available }, true},
	{"reserved", func(c *models.Counts) *models.Count { return &c.Reserved }, false},
	{"committed", func(c *models.Counts) *models.Count { return &c.Committed }, false},
	{"damaged", func(c *models.Counts) *models.Count { return &c.Damaged }, true},
	{"quality_control", func(c *models.Counts) *models.Count { return &c.QualityControl }, true},
	{"safety_stock", func(c *models.Counts) *models.Count { return &c.SafetyStock }, true},
	{"incoming", func(c *models.Counts) *models.Count { return &c.Incoming }, true},
	{"on_hand", func(c *models.Counts) *models.Count { return &c.OnHand }, true},
}

// quantitiesOf lists quantities in the order of quantityColumns.
func quantitiesOf(q models.Quantities) []int {
	return []int{q.Available, q.Reserved, q.Committed, q.Damaged, q.QualityControl, q.SafetyStock, q.Incoming, q.OnHand()}
}

// newSuffix ends the names of the columns that change stock in a compared file.
const newSuffix = "_new"

// countedAtColumn has the time of a count. It may be in every file, and no export writes it.
const countedAtColumn = "counted_at"

// csvColumns is the header of Onhand's own CSV.
func csvColumns() []string {
	columns := []string{"product_id", "title", "location_id"}
	for _, q := range quantityColumns {
		columns = append(columns, q.name)
	}
	for _, q := range quantityColumns {
		if q.settable {
			columns = append(columns, q.name+newSuffix)
		}
	}
	return columns
}

// csvTable reads Onhand's own CSV. If it is compared, only the columns that end
// in _new change stock, and the others are the quantities when the file was made.
// Otherwise the quantities are those to set.
type csvTable struct {
	*table
	compared bool

	product, location, title int // columns
	counted                  int
	counts                   []csvCount
	nameless                 []int
}

// csvCount is where a quantity is, and its new value.
type csvCount struct {
	quantityColumn
	newName   string
	at, newAt int // columns
}

func newCSVTable(t *table) (csvTable, error) {
	known := map[string]bool{}
	names := append(csvColumns(), countedAtColumn)
	for _, name := range names {
		known[name] = true
	}
	own := csvTable{table: t}
	t.keys = []string{"product_id"}
	own.product, own.location, own.title = t.at("product_id"), t.at("location_id"), t.at("title")
	own.counted = t.at(countedAtColumn)
	for _, q := range quantityColumns {
		t.quantities = append(t.quantities, q.name, q.name+newSuffix)
		own.counts = append(own.counts, csvCount{q, q.name + newSuffix, t.at(q.name), t.at(q.name + newSuffix)})
	}
	for i, name := range t.names {
		if name == "" {
			own.nameless = append(own.nameless, i)
		}
	}
	for _, name := range t.names {
		if name != "" && !known[name] {
			return own, fmt.Errorf("the column %s is not known; there are %s", name, strings.Join(names, ", "))
		}
		own.compared = own.compared || strings.HasSuffix(name, newSuffix)
	}
	return own, nil
}

// row parses the current record.
func (t csvTable) row() (row models.StockRow, err error) {
	if row.ProductID, err = parseProductID("product_id", t.cellAt(t.product)); err != nil {
		return row, err
	}
	if row.Location, err = parseLocationID("location_id", t.cellAt(t.location)); err != nil {
		return row, err
	}
	if err := t.unnamed(); err != nil {
		return row, err
	}
	if row.CountedAt, err = parseMoment(countedAtColumn, t.cellAt(t.counted)); err != nil {
		return row, err
	}
	row.Title, row.Note = parseTitle(t.cellAt(t.title))
	for _, c := range t.counts {
		count, err := parseCount(c.name, t.cellAt(c.at))
		if err != nil {
			return row, err
		}
		newCount, err := parseCount(c.newName, t.cellAt(c.newAt))
		if err != nil {
			return row, err
		}
		setCounts(&row, c.quantityColumn, count, newCount, t.compared)
	}
	return row, errors.Join(checkShown(row, t.compared), checkNew(row))
}

// parseLocationID checks a location's id, which a row without a level does not have.
func parseLocationID(column, value string) (string, error) {
	if strings.TrimSpace(value) == "" {
		return "", nil
	}
	return value, checkID(column, value)
}

// unnamed refuses a value in a column without a name.
func (t csvTable) unnamed() error {
	for _, i := range t.nameless {
		if value := t.cellAt(i); strings.TrimSpace(value) != "" {
			return fmt.Errorf("column %d has the value %q and no name", i+1, shorten(value))
		}
	}
	return nil
}

// setCounts sets one quantity of a row. In a file that is not compared, count is
// the quantity to set.
func setCounts(row *models.StockRow, q quantityColumn, count, newCount models.Count, compared bool) {
	switch {
	case compared:
		*q.of(&row.Now), *q.of(&row.New) = count, newCount
	case q.settable:
		*q.of(&row.New) = count
	default:
		*q.of(&row.Now) = count
	}
}

// csvRecords writes the levels of a product. A product without levels has one
// record too.
func csvRecords(s *models.Stock) [][]string {
	width := len(csvColumns())
	if len(s.Levels) == 0 {
		record := make([]string, width)
		record[0], record[1] = s.ProductID, titleOf(s)
		return [][]string{record}
	}
	var records [][]string
	for _, l := range levelsByLocation(s) {
		record := append(make([]string, 0, width), s.ProductID, titleOf(s), l.LocationID)
		for _, n := range quantitiesOf(l.Quantities) {
			record = append(record, strconv.Itoa(n))
		}
		records = append(records, record[:width]) // the new columns stay empty
	}
	return records
}
