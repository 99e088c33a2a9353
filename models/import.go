package models

import (
	"fmt"
	"strings"
)

// Count is a number of units that a file gives or leaves out.
type Count struct {
	Units int
	Given bool
}

// Counted returns a Count that is given.
func Counted(units int) Count { return Count{Units: units, Given: true} }

// Counts are the quantities of one level in a file. Unavailable is damaged, quality
// control and safety stock together, for files that have one column for the three.
type Counts struct {
	Available, Reserved, Committed, Damaged, QualityControl, SafetyStock, Incoming Count

	Unavailable, OnHand Count
}

// StockRow is one parsed row of a stock file: the quantities of one level when the
// file was made, and the new quantities.
type StockRow struct {
	// Line is the number of the row's first line in the file; the first line is 1.
	Line int
	// LastLine is the number of its last line, which differs where a cell in quotes
	// has line breaks.
	LastLine int
	// ProductID is the product's id. In a shop's file it is the SKU. A SKU can be
	// empty, or the same for several variants. Then Variant is the id.
	ProductID string
	// Variant is the id made from a shop's handle and options; empty in files that
	// have product ids.
	Variant string
	Title   string // for new products; may be empty
	// Location is a location's id or, in a shop's file, its name. It is empty in a
	// row without a level.
	Location string
	// Now are the quantities when the file was made, New the new ones. A count that
	// New does not give stays as it is.
	Now, New Counts
	// Note is for the report: what the file says and the import ignores.
	Note string
	// Problem is why the row cannot be parsed. Its other fields are then incomplete.
	Problem string
}

// OpeningRow is the counted stock of one product at one location when a shop starts
// with Onhand.
type OpeningRow struct {
	ProductID  string
	Title      string // may be empty
	LocationID string
	Available  int // units
}

// Of returns a pointer to the count of a state; nil for an unknown state.
func (c *Counts) Of(s State) *Count {
	switch s {
	case Available:
		return &c.Available
	case Reserved:
		return &c.Reserved
	case Committed:
		return &c.Committed
	case Damaged:
		return &c.Damaged
	case QualityControl:
		return &c.QualityControl
	case SafetyStock:
		return &c.SafetyStock
	case Incoming:
		return &c.Incoming
	}
	return nil
}

// Any reports whether a count is given.
func (c Counts) Any() bool { return c != Counts{} }

// ImportOptions control an import.
type ImportOptions struct {
	// DryRun checks every row and changes nothing.
	DryRun bool
	// Create adds the products, locations and levels that do not exist yet, with
	// the file's quantities.
	Create bool
	// SkipBad imports the other rows when some rows have problems.
	SkipBad bool
	// IgnoreStale sets quantities even where they changed after the file was made.
	IgnoreStale bool
	// Reference is stored with every movement. It is usually the file's name.
	Reference string
}

// ImportOutcome is what an import did, or would do, with one row.
type ImportOutcome string

// The outcomes. The second group are problems.
const (
	ImportUnchanged ImportOutcome = "unchanged"
	ImportChanged   ImportOutcome = "changed"
	ImportCreated   ImportOutcome = "created" // the level is new
	ImportSame      ImportOutcome = "same"    // an earlier row says the same

	ImportUnreadable      ImportOutcome = "unreadable"
	ImportUnknownProduct  ImportOutcome = "unknown product"
	ImportUnknownLocation ImportOutcome = "unknown location"
	ImportRepeated        ImportOutcome = "repeated" // rows of one level with different quantities
	ImportStale           ImportOutcome = "stale"    // the level changed after the file was made
	ImportTooLow          ImportOutcome = "too low"
	ImportTooHigh         ImportOutcome = "too high"
)

// ImportOutcomes lists the outcomes in the order of the report.
var ImportOutcomes = []ImportOutcome{
	ImportChanged, ImportCreated, ImportUnchanged, ImportSame,
	ImportStale, ImportTooLow, ImportTooHigh, ImportRepeated, ImportUnknownProduct, ImportUnknownLocation, ImportUnreadable,
}

// Fine reports that the row has no problem.
func (o ImportOutcome) Fine() bool {
	return o == ImportUnchanged || o == ImportChanged || o == ImportCreated || o == ImportSame
}

// ImportSummary counts an import's rows.
type ImportSummary struct {
	Rows, Problems      int
	Outcomes            map[ImportOutcome]int
	Products, Locations int // new ones
	// Applied reports that the fine rows were written. They are not written in a dry
	// run, nor when rows have problems and SkipBad is not set.
	Applied bool
}

// ImportedRow is one row of the report on an import.
type ImportedRow struct {
	Line                  int
	ProductID, LocationID string
	Outcome               ImportOutcome
	// Before and After are the level's quantities. Of a row with a problem, After is
	// what the file asks for.
	Before, After Quantities
	Now           Counts // the quantities when the file was made
	Note, Problem string
	FirstLine     int // of the rows for the same level
}

// Message describes in a sentence what happened to the row; empty where nothing
// happened.
func (r ImportedRow) Message() string {
	text := r.sentence()
	if r.Note != "" && r.Outcome == ImportCreated {
		text += "; " + r.Note
	}
	return text
}

func (r ImportedRow) sentence() string {
	switch r.Outcome {
	case ImportChanged:
		return r.changes()
	case ImportCreated:
		return "stocked from now on: " + r.changes()
	case ImportSame:
		return fmt.Sprintf("the same as line %d", r.FirstLine)
	case ImportUnreadable:
		return r.Problem
	case ImportUnknownProduct:
		return fmt.Sprintf("no product %q; --create adds it", r.ProductID)
	case ImportUnknownLocation:
		return fmt.Sprintf("no location %q; --create adds it", r.LocationID)
	case ImportRepeated:
		return fmt.Sprintf("other rows, the first in line %d, ask for something else at the same product and location", r.FirstLine)
	case ImportStale:
		return r.stale()
	case ImportTooLow:
		return fmt.Sprintf("available would be %d: %d reserved, %d committed and %d unavailable are on hand already",
			r.After.Available, r.After.Reserved, r.After.Committed, r.After.Damaged+r.After.QualityControl+r.After.SafetyStock)
	case ImportTooHigh:
		return fmt.Sprintf("a level holds at most %d of each state", QuantityMax)
	}
	return ""
}

// changes lists the states that differ.
func (r ImportedRow) changes() string {
	var parts []string
	for _, s := range Settable {
		if from, to := *r.Before.Of(s), *r.After.Of(s); from != to {
			parts = append(parts, fmt.Sprintf("%s %d -> %d", s.words(), from, to))
		}
	}
	if len(parts) == 0 {
		return "nothing there"
	}
	return strings.Join(parts, ", ")
}

func (r ImportedRow) stale() string {
	var parts []string
	for _, s := range Settable {
		if saw := r.Now.Of(s); saw.Given && saw.Units != *r.Before.Of(s) {
			parts = append(parts, fmt.Sprintf("%s was %d when the file was made and is %d", s.words(), saw.Units, *r.Before.Of(s)))
		}
	}
	if saw := r.Now.OnHand; saw.Given && saw.Units != r.Before.OnHand() {
		parts = append(parts, fmt.Sprintf("on hand was %d when the file was made and is %d", saw.Units, r.Before.OnHand()))
	}
	return strings.Join(parts, ", ") + "; export again, or --ignore-stale"
}

func (s State) words() string { return strings.ToLower(strings.ReplaceAll(string(s), "_", " ")) }
