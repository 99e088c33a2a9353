package cli

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"onhand/models"
	"onhand/models/importreport"
)

// Bounds of what an import prints. The report has every row.
const (
	changesShownMax  = 20
	problemsShownMax = 20
)

// importExcerpt collects what an import prints: the first changes and problems,
// and the counts.
type importExcerpt struct {
	dryRun bool
	report string // the file with every row; empty without one
	lines  []string

	changes, problems    int
	increases, decreases int
	uncompared           int // changed rows that do not say what was there
	showing              int // rows that ask for nothing and show other quantities
}

func (e *importExcerpt) add(row models.ImportedRow) {
	shown := false
	switch {
	case !row.Outcome.Fine():
		e.problems++
		shown = e.problems <= problemsShownMax
	case row.Outcome == models.ImportChanged:
		e.count(row)
		e.changes++
		shown = e.changes <= changesShownMax
	case row.Outcome == models.ImportCreated && e.dryRun:
		e.changes++
		shown = e.changes <= changesShownMax
	case importreport.Shows(row):
		e.showing++
	}
	if !shown {
		return
	}
	parts := []string{fmt.Sprintf("line %d", row.Line)}
	if row.ProductID != "" {
		parts = append(parts, strings.TrimSuffix(row.ProductID+" at "+row.LocationID, " at "))
	}
	e.lines = append(e.lines, strings.Join(append(parts, importreport.Message(row)), ": "))
}

func (e *importExcerpt) count(row models.ImportedRow) {
	if importreport.Increases(row) {
		e.increases++
	} else {
		e.decreases++
	}
	if !row.Compared {
		e.uncompared++
	}
}

func (e *importExcerpt) text() string {
	text := strings.Join(append(e.lines, ""), "\n")
	if more := max(0, e.changes-changesShownMax) + max(0, e.problems-problemsShownMax); more > 0 {
		place := "--report FILE"
		if e.report != "" {
			place = e.report
		}
		text += fmt.Sprintf("and %d more; %s lists every row\n", more, place)
	}
	return text
}

// summary is the result of an import in one line.
func (e *importExcerpt) summary(summary models.ImportSummary) string {
	if summary.Rows == 0 {
		return "the file has no rows" + e.unwritten(summary)
	}
	text := fmt.Sprintf("%d rows: %s, %s, %d unchanged, %d created, %d refused", summary.Rows, counted(e.increases, "increase"), counted(e.decreases, "decrease"),
		summary.Outcomes[models.ImportUnchanged]+summary.Outcomes[models.ImportSame], summary.Outcomes[models.ImportCreated], summary.Problems)
	var refused []string
	for _, outcome := range models.ImportOutcomes {
		if n := summary.Outcomes[outcome]; n > 0 && !outcome.Fine() {
			refused = append(refused, fmt.Sprintf("%d %s", n, outcome))
		}
	}
	if len(refused) > 0 {
		text += " (" + strings.Join(refused, ", ") + ")"
	}
	if summary.Products+summary.Locations > 0 {
		text += fmt.Sprintf("; %d new products, %d new locations", summary.Products, summary.Locations)
	}
	if e.uncompared > 0 {
		text += fmt.Sprintf("; %s not compared: the file does not say what was there", counted(e.uncompared, "change"))
	}
	if e.showing > 0 {
		text += fmt.Sprintf("; %s than there are: write new quantities into the columns for them", asking(e.showing))
	}
	return text + e.unwritten(summary)
}

// unwritten says why the counts are of what would be.
func (e *importExcerpt) unwritten(summary models.ImportSummary) string {
	switch {
	case e.dryRun:
		return " (dry run: nothing was changed)"
	case !summary.Applied:
		return " (nothing was changed)"
	}
	return ""
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func asking(n int) string {
	if n == 1 {
		return "1 row asks for nothing and shows other quantities"
	}
	return fmt.Sprintf("%d rows ask for nothing and show other quantities", n)
}

// rowReport is a CSV file with the outcome of every row. Every method of a nil
// report does nothing.
type rowReport struct {
	file output
	csv  *csv.Writer
}

// newRowReport starts a report. It is nil when path is empty. It does not replace
// the files that are spared.
func newRowReport(path string, stdout io.Writer, spared ...string) (*rowReport, error) {
	if path == "" {
		return nil, nil
	}
	file, err := newOutput(path, stdout, spared...)
	if err != nil {
		return nil, err
	}
	r := &rowReport{file: file, csv: csv.NewWriter(file)}
	return r, r.csv.Write([]string{"line", "last_line", "product_id", "location_id", "outcome", "available_before", "available_after", "on_hand_before", "on_hand_after", "message"})
}

func (r *rowReport) add(row models.ImportedRow) error {
	if r == nil {
		return nil
	}
	n := strconv.Itoa
	return r.csv.Write([]string{n(row.Line), n(row.LastLine), row.ProductID, row.LocationID, string(row.Outcome),
		n(row.Before.Available), n(row.After.Available), n(row.Before.OnHand()), n(row.After.OnHand()), importreport.Message(row)})
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
