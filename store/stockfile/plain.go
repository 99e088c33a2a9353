package stockfile

import (
	"fmt"
	"strings"

	"onhand/models"
)

// quantityColumn is one quantity of our own files: its name in CSV, and where it goes.
type quantityColumn struct {
	name     string
	of       func(*models.Counts) *models.Count
	settable bool
}

// quantityColumns in the order in which they are written.
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

// newSuffix marks the columns that change stock in a file that has both.
const newSuffix = "_new"

// plainColumns is the header we write.
func plainColumns() []string {
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

// plainTable reads our own CSV. With columns that end in _new, only those change stock, and the others say what was
// there when the file was written. Without any, the file was written by hand or by another program, and its quantities
// are what shall be there.
type plainTable struct {
	*table
	compared bool
}

func newPlainTable(t *table) (plainTable, error) {
	known := map[string]bool{}
	for _, name := range plainColumns() {
		known[name] = true
	}
	p := plainTable{table: t}
	for name := range t.columns {
		if name != "" && !known[name] {
			return p, fmt.Errorf("the column %s is not known; there are %s", name, strings.Join(plainColumns(), ", "))
		}
		p.compared = p.compared || strings.HasSuffix(name, newSuffix)
	}
	return p, nil
}

func (t plainTable) row() (row models.StockRow, err error) {
	if row.ProductID, err = identifier("product_id", t.cell("product_id")); err != nil {
		return row, err
	}
	if row.Location = t.cell("location_id"); row.Location != "" {
		if err := text("location_id", row.Location); err != nil {
			return row, err
		}
	}
	row.ProductID, row.Location, row.Title = strings.Clone(row.ProductID), strings.Clone(row.Location), title(t.cell("title"))
	for _, q := range quantityColumns {
		seen, err := number(q.name, t.cell(q.name))
		if err != nil {
			return row, err
		}
		wanted, err := number(q.name+newSuffix, t.cell(q.name+newSuffix))
		if err != nil {
			return row, err
		}
		place(&row, q, seen, wanted, t.compared)
	}
	return row, checkNew(row)
}

// place puts one quantity where it belongs.
func place(row *models.StockRow, q quantityColumn, seen, wanted models.Count, compared bool) {
	switch {
	case compared:
		*q.of(&row.Now), *q.of(&row.New) = seen, wanted
	case q.settable:
		*q.of(&row.New) = seen
	default:
		*q.of(&row.Now) = seen
	}
}
