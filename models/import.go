package models

import "time"

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
	// CountedAt is when New was counted; nil for now.
	CountedAt *time.Time
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
	// CountedAt is when the rows were counted that do not say it themselves; nil for now.
	CountedAt *time.Time
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
	ImportSuperseded      ImportOutcome = "superseded" // a newer count was written before
	ImportTooOld          ImportOutcome = "too old"    // counted so long ago that the ledger is not read
	ImportFuture          ImportOutcome = "future"     // counted after now
)

// ImportOutcomes lists the outcomes in the order of the report.
var ImportOutcomes = []ImportOutcome{
	ImportChanged, ImportCreated, ImportUnchanged, ImportSame,
	ImportStale, ImportSuperseded, ImportTooOld, ImportFuture, ImportTooLow, ImportTooHigh, ImportRepeated, ImportSimilar, ImportUnknownProduct, ImportUnknownLocation, ImportUnreadable,
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
	// CountedAt is when the row was counted, NewestCount when its level was; nil for none.
	CountedAt, NewestCount *time.Time
	// SimilarProduct and SimilarLocation are known ids that the row's are similar to.
	SimilarProduct, SimilarLocation string
}
