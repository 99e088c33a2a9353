package models

import (
	"fmt"
	"slices"
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

// ImportProgress is called with how far an import has come: rows read, then levels written
// out of total.
type ImportProgress func(stage ImportStage, done, total int)

// ImportStage is what an import is doing.
type ImportStage string

// The stages of an import. Only ImportWriting has a total.
const (
	ImportReading  ImportStage = "reading"
	ImportDeciding ImportStage = "deciding"
	ImportWriting  ImportStage = "writing"
)

// ImportOptions control an import.
type ImportOptions struct {
	// DryRun checks every row and changes nothing.
	DryRun bool
	// Create adds the products, locations and levels that do not exist yet, with
	// the file's quantities.
	Create bool
	// CreateSimilar adds also products and locations whose id is similar to a known
	// one, such as 17 and 0017, or London and LONDON.
	CreateSimilar bool
	// SkipBad imports the other rows when some rows have problems.
	SkipBad bool
	// IgnoreStale sets quantities even where they changed after the file was made.
	IgnoreStale bool
	// Reference is stored with every movement. It is usually the file's name.
	Reference string
	// Note and Actor are stored with every movement too: why, and who.
	Note, Actor string
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
	ImportSimilar         ImportOutcome = "similar"  // Create would add a twin of a known id
	ImportRepeated        ImportOutcome = "repeated" // rows of one level with different quantities
	ImportStale           ImportOutcome = "stale"    // the level changed after the file was made
	ImportTooLow          ImportOutcome = "too low"
	ImportTooHigh         ImportOutcome = "too high"
)

// ImportOutcomes lists the outcomes in the order of the report.
var ImportOutcomes = []ImportOutcome{
	ImportChanged, ImportCreated, ImportUnchanged, ImportSame,
	ImportStale, ImportTooLow, ImportTooHigh, ImportRepeated, ImportSimilar, ImportUnknownProduct, ImportUnknownLocation, ImportUnreadable,
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
	Line, LastLine        int
	ProductID, LocationID string
	Outcome               ImportOutcome
	// Before and After are the level's quantities. Of a row with a problem, After is
	// what the file asks for.
	Before, After Quantities
	Now           Counts // the quantities when the file was made
	Note, Problem string
	FirstLine     int // of the rows for the same level
	// Sets reports that the row asks for a quantity; Compared, that it also says what
	// was there.
	Sets, Compared bool
	// SimilarProduct and SimilarLocation are known ids that the row's are similar to.
	SimilarProduct, SimilarLocation string
}

// Increases reports whether a changed row is an increase: of what is available, or
// else of what is on hand, or else of the first state that differs.
func (r ImportedRow) Increases() bool {
	deltas := []int{r.After.Available - r.Before.Available, r.After.OnHand() - r.Before.OnHand()}
	for _, s := range Settable {
		deltas = append(deltas, *r.After.Of(s)-*r.Before.Of(s))
	}
	i := slices.IndexFunc(deltas, func(delta int) bool { return delta != 0 })
	return i >= 0 && deltas[i] > 0
}

// Shows reports whether the row asks for nothing and shows other quantities than
// there are: its writer may have edited what is shown.
func (r ImportedRow) Shows() bool {
	return r.Outcome == ImportUnchanged && !r.Sets && len(r.differences()) > 0
}

// Message describes in a sentence what happened to the row; empty where nothing
// happened.
func (r ImportedRow) Message() string {
	text := r.sentence()
	if r.Note != "" && (r.Outcome == ImportCreated || r.Outcome == ImportUnchanged && r.LocationID == "") {
		text = strings.TrimPrefix(text+"; "+r.Note, "; ")
	}
	return text
}

func (r ImportedRow) sentence() string {
	switch r.Outcome {
	case ImportUnchanged:
		if r.Shows() {
			return "asks for nothing; " + strings.Join(r.differences(), ", ")
		}
	case ImportChanged:
		if !r.Compared {
			return r.changes() + "; not compared"
		}
		return r.changes()
	case ImportSimilar:
		return r.similar()
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
			parts = append(parts, fmt.Sprintf("%s %d -> %d (%+d)", s.words(), from, to, to-from))
		}
	}
	if len(parts) == 0 {
		return "nothing there"
	}
	return strings.Join(parts, ", ")
}

func (r ImportedRow) stale() string {
	return strings.Join(r.differences(), ", ") + "; export again, or --ignore-stale"
}

// differences lists what the file shows and is not so.
func (r ImportedRow) differences() (parts []string) {
	for _, s := range Settable {
		if saw := r.Now.Of(s); saw.Given && saw.Units != *r.Before.Of(s) {
			parts = append(parts, fmt.Sprintf("%s was %d when the file was made and is %d", s.words(), saw.Units, *r.Before.Of(s)))
		}
	}
	if saw := r.Now.OnHand; saw.Given && saw.Units != r.Before.OnHand() {
		parts = append(parts, fmt.Sprintf("on hand was %d when the file was made and is %d", saw.Units, r.Before.OnHand()))
	}
	return parts
}

// similar lists the pairs of ids.
func (r ImportedRow) similar() string {
	var parts []string
	for _, pair := range []struct{ kind, id, known string }{{"product", r.ProductID, r.SimilarProduct}, {"location", r.LocationID, r.SimilarLocation}} {
		if pair.known != "" {
			parts = append(parts, fmt.Sprintf("the %s %q is new, and near to %q", pair.kind, pair.id, pair.known))
		}
	}
	return strings.Join(parts, ", ") + "; correct it, or --create-similar adds it"
}

func (s State) words() string { return strings.ToLower(strings.ReplaceAll(string(s), "_", " ")) }
