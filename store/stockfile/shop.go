package stockfile

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"onhand/models"
)

// notStocked stands where a location does not carry a variant.
const notStocked = "not stocked"

// shopColumns and shop17Columns are the headers, as the shop system writes them.
var (
	shopColumns   = append(variantColumns(), "Location", "Bin name", "Incoming (not editable)", "Unavailable (not editable)", "Committed (not editable)", "Available (not editable)", "On hand (current)", "On hand (new)")
	shop17Columns = append(variantColumns(), "Location", "Incoming", "Unavailable", "Committed", "Available", "On hand")
)

func variantColumns() []string {
	return []string{"Handle", "Title", "Option1 Name", "Option1 Value", "Option2 Name", "Option2 Value", "Option3 Name", "Option3 Value", "SKU", "HS Code", "COO"}
}

// shopTable reads both forms.
//
// Of 19 columns only "On hand (new)" changes stock; empty means no change, and "On hand (current)" says what its writer
// saw. Of 17, "On hand" changes stock where it is no longer the sum of the three columns before it, and that sum is
// what its writer saw.
type shopTable struct {
	*table
	format Format
}

func (t shopTable) row() (row models.StockRow, err error) {
	if row, err = t.identity(); err != nil {
		return row, err
	}
	suffix, onHand := " (not editable)", "on hand (current)"
	if t.format == Shop17 {
		suffix, onHand = "", "on hand"
	}
	seen, stocked := &row.Now, false
	for _, c := range []struct {
		name string
		to   *models.Count
	}{
		{"incoming" + suffix, &seen.Incoming}, {"unavailable" + suffix, &seen.Unavailable},
		{"committed" + suffix, &seen.Committed}, {"available" + suffix, &seen.Available}, {onHand, &seen.OnHand},
	} {
		value := t.cell(c.name)
		if strings.EqualFold(value, notStocked) {
			continue
		}
		if *c.to, err = number(c.name, value); err != nil {
			return row, err
		}
		stocked = stocked || c.to.Given
	}
	if t.format == Shop17 {
		err = t.older(&row)
	} else {
		err = t.newer(&row, stocked)
	}
	return row, err
}

// newer is the rule of the 19 columns.
func (t shopTable) newer(row *models.StockRow, stocked bool) (err error) {
	seen := row.Now
	if sum, ok := sumOf(seen); ok && seen.OnHand.Given && sum != seen.OnHand.Units {
		return fmt.Errorf("the On hand (current) %d is not Available %d + Committed %d + Unavailable %d; to change stock, write On hand (new) and leave the others alone",
			seen.OnHand.Units, seen.Available.Units, seen.Committed.Units, seen.Unavailable.Units)
	}
	wanted := t.cell("on hand (new)")
	if strings.EqualFold(wanted, notStocked) {
		if stocked {
			return errors.New("a file cannot take a product away from a location; write 0")
		}
		return nil
	}
	if row.New.OnHand, err = number("On hand (new)", wanted); err != nil {
		return err
	}
	if strings.EqualFold(t.cell("on hand (current)"), notStocked) && row.New.OnHand.Given {
		row.Now.OnHand = models.Counted(0)
	}
	return checkNew(*row)
}

// older is the rule of the 17 columns.
func (t shopTable) older(row *models.StockRow) error {
	sum, ok := sumOf(row.Now)
	onHand := row.Now.OnHand
	switch {
	case !onHand.Given:
	case !ok: // no way to tell what was seen
		row.New.OnHand, row.Now.OnHand = onHand, models.Count{}
		if strings.EqualFold(t.cell("available"), notStocked) {
			row.Now.OnHand = models.Counted(0)
		}
	case sum != onHand.Units:
		row.New.OnHand, row.Now.OnHand = onHand, models.Counted(sum)
	}
	return checkNew(*row)
}

// sumOf is on hand as the other columns have it.
func sumOf(c models.Counts) (sum int, ok bool) {
	return c.Available.Units + c.Committed.Units + c.Unavailable.Units, c.Available.Given && c.Committed.Given && c.Unavailable.Given
}

// identity reads who and where.
func (t shopTable) identity() (row models.StockRow, err error) {
	row.Title = title(t.cell("title"))
	if row.Location, err = identifier("Location", t.cell("location")); err != nil {
		return row, err
	}
	row.Location = strings.Clone(row.Location)
	if sku := t.cell("sku"); sku != "" {
		if err := text("SKU", sku); err != nil {
			return row, err
		}
		row.ProductID = strings.Clone(sku)
	}
	v := Variant{Handle: t.cell("handle")}
	if v.Handle == "" {
		if row.ProductID == "" {
			return row, errors.New("neither SKU nor Handle says which product this is")
		}
		return row, nil
	}
	cells := []string{v.Handle}
	for i := range v.Options {
		n := string(rune('1' + i))
		v.Options[i] = VariantOption{Name: t.cell("option" + n + " name"), Value: t.cell("option" + n + " value")}
		cells = append(cells, v.Options[i].Name, v.Options[i].Value)
	}
	for _, cell := range cells {
		if err := text("Handle or an option", cell); err != nil {
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
