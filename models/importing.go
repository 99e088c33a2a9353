package models

import (
	"fmt"
	"strings"
)

// ImportOptions say how a file's rows are taken.
type ImportOptions struct {
	// DryRun decides everything and changes nothing.
	DryRun bool
	// Create adds products, locations and levels that are not there yet, with
	// the quantities that the file shows.
	Create bool
	// SkipBad imports the other rows when some have problems.
	SkipBad bool
	// IgnoreStale sets quantities whatever changed since the file was made.
	IgnoreStale bool
	// Reference is kept with every movement; usually the file's name.
	Reference string
}

// ImportOutcome is what an import did, or would do, with one row.
type ImportOutcome string

// The outcomes. The first group is fine, the second are problems.
const (
	ImportUnchanged ImportOutcome = "unchanged"
	ImportChanged   ImportOutcome = "changed"
	ImportCreated   ImportOutcome = "created" // the level is new
	ImportSame      ImportOutcome = "same"    // as an earlier row, which counts

	ImportUnreadable      ImportOutcome = "unreadable"
	ImportUnknownProduct  ImportOutcome = "unknown product"
	ImportUnknownLocation ImportOutcome = "unknown location"
	ImportRepeated        ImportOutcome = "repeated" // rows of one level that ask for different things
	ImportStale           ImportOutcome = "stale"    // the level is not what it was when the file was made
	ImportTooLow          ImportOutcome = "too low"
	ImportTooHigh         ImportOutcome = "too high"
)

// ImportOutcomes in the order in which they are told.
var ImportOutcomes = []ImportOutcome{
	ImportChanged, ImportCreated, ImportUnchanged, ImportSame,
	ImportStale, ImportTooLow, ImportTooHigh, ImportRepeated, ImportUnknownProduct, ImportUnknownLocation, ImportUnreadable,
}

// Fine tells that the row is no problem.
func (o ImportOutcome) Fine() bool {
	return o == ImportUnchanged || o == ImportChanged || o == ImportCreated || o == ImportSame
}

// ImportSummary counts an import's rows.
type ImportSummary struct {
	Rows, Problems      int
	Outcomes            map[ImportOutcome]int
	Products, Locations int // that are new
	// Applied says that the fine rows were written. They were not in a dry run,
	// nor when some had problems and those were not to be skipped.
	Applied bool
}

// ImportedRow is one row of the report on an import.
type ImportedRow struct {
	Line                  int
	ProductID, LocationID string
	Outcome               ImportOutcome
	// Before and After are the level's quantities; of a problem, After is what
	// was asked for.
	Before, After Quantities
	Now           Counts // what the file says was there
	Note, Problem string
	FirstLine     int // of the rows that are about the same level
}

// Message says in a sentence what happened to the row; empty where nothing did.
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

// changes lists each state that differs.
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
