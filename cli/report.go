package cli

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"onhand/models"
)

// Bounds of what an import prints. The report has every row.
const (
	changesShownMax  = 50
	problemsShownMax = 20
)

// importExcerpt collects the first problems of an import, and the first changes
// of a dry run, for the terminal.
type importExcerpt struct {
	dryRun            bool
	lines             []string
	changes, problems int
}

func (e *importExcerpt) add(row models.ImportedRow) {
	shown := false
	switch {
	case !row.Outcome.Fine():
		e.problems++
		shown = e.problems <= problemsShownMax
	case e.dryRun && (row.Outcome == models.ImportChanged || row.Outcome == models.ImportCreated):
		e.changes++
		shown = e.changes <= changesShownMax
	}
	if !shown {
		return
	}
	parts := []string{fmt.Sprintf("line %d", row.Line)}
	if row.ProductID != "" {
		parts = append(parts, strings.TrimSuffix(row.ProductID+" at "+row.LocationID, " at "))
	}
	e.lines = append(e.lines, strings.Join(append(parts, row.Message()), ": "))
}

func (e *importExcerpt) text() string {
	text := strings.Join(append(e.lines, ""), "\n")
	if more := max(0, e.changes-changesShownMax) + max(0, e.problems-problemsShownMax); more > 0 {
		text += fmt.Sprintf("and %d more; --report FILE lists every row\n", more)
	}
	return text
}

// rowReport is a CSV file with the outcome of every row. Every method of a nil
// report does nothing.
type rowReport struct {
	file *replacement
	csv  *csv.Writer
}

// newRowReport starts a report. It is nil when path is empty.
func newRowReport(path string) (*rowReport, error) {
	if path == "" {
		return nil, nil
	}
	file, err := newReplacement(path)
	if err != nil {
		return nil, err
	}
	r := &rowReport{file: file, csv: csv.NewWriter(file)}
	return r, r.csv.Write([]string{"line", "product_id", "location_id", "outcome", "available_before", "available_after", "on_hand_before", "on_hand_after", "message"})
}

func (r *rowReport) add(row models.ImportedRow) error {
	if r == nil {
		return nil
	}
	n := strconv.Itoa
	return r.csv.Write([]string{n(row.Line), row.ProductID, row.LocationID, string(row.Outcome),
		n(row.Before.Available), n(row.After.Available), n(row.Before.OnHand()), n(row.After.OnHand()), row.Message()})
}

// commit puts the complete report in its place.
func (r *rowReport) commit() error {
	if r == nil {
		return nil
	}
	r.csv.Flush()
	if err := r.csv.Error(); err != nil {
		return err
	}
	return r.file.commit()
}

// discard deletes a report that was not committed.
func (r *rowReport) discard() {
	if r != nil {
		r.file.discard()
	}
}
