package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"onhand/models"
	"onhand/store"
	"onhand/store/stockfile"
)

// Bounds of what an import prints; a report has every row.
const (
	changesShownMax  = 50
	problemsShownMax = 20
)

type importCommand struct {
	File        string            `arg:"" type:"existingfile" help:"The file; may be compressed with gzip."`
	Format      stockfile.Format  `env:"IMPORT_FORMAT" enum:"auto,shop,shop-17,csv,jsonl,online-retail" default:"auto" help:"What the file is: shop (inventory CSV of 19 columns), shop-17 (its older form), csv or jsonl (ours), online-retail (a year of invoices), or auto, which looks."`
	DryRun      bool              `env:"IMPORT_DRY_RUN" help:"Say what would change, and change nothing."`
	Report      string            `env:"IMPORT_REPORT" placeholder:"FILE" help:"Write what became of every row to this CSV file."`
	Create      bool              `env:"IMPORT_CREATE" help:"Add products, locations and levels that are not there yet, with the quantities that the file shows."`
	SkipBadRows bool              `name:"skip-bad-rows" env:"IMPORT_SKIP_BAD_ROWS" help:"Import the other rows when some have problems. The exit code is then 2."`
	IgnoreStale bool              `env:"IMPORT_IGNORE_STALE" help:"Set quantities also where the stock has changed since the file was made."`
	Opening     stockfile.Opening `env:"IMPORT_OPENING" default:"full" help:"For online-retail: the opening stock is full, so that every sale in the file passes, or a fraction of that such as 0.6, so that there are shortages."`
	Replace     bool              `env:"IMPORT_REPLACE" help:"For online-retail: set the available quantities of products that are stocked already, too. What is reserved or committed stays so."`
}

// Run takes all rows, or none when some have problems.
func (c *importCommand) Run(ctx context.Context, s *settings) (err error) {
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	bar, err := newFileBar(file)
	if err != nil {
		return err
	}
	reader, err := stockfile.NewReader(bar, c.Format)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if reader.Format == stockfile.OnlineRetail {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		return c.open(ctx, s, file)
	}
	if c.Replace {
		return fmt.Errorf("%s: --replace is for a file of invoices; this one is %s, and says itself what shall be there", c.File, reader.Format)
	}
	report, err := newReport(c.Report)
	if err != nil {
		return err
	}
	defer report.discard()
	st, err := s.prepared(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	return c.take(ctx, st, reader, bar, report)
}

// take imports and tells.
func (c *importCommand) take(ctx context.Context, st *store.Store, reader *stockfile.Reader, bar *fileBar, report *rowReport) error {
	locations, err := st.Locations(ctx)
	if err != nil {
		return err
	}
	places := stockfile.NewLocationIndex(locations)
	next := func() (models.StockRow, error) {
		row, err := reader.Next()
		if err != nil || row.Problem != "" {
			return row, err
		}
		if row.Location, err = places.Find(reader.Format, row.Location); err != nil {
			row.Problem = err.Error()
		}
		return row, nil
	}
	options := models.ImportOptions{
		DryRun: c.DryRun, Create: c.Create, SkipBad: c.SkipBadRows, IgnoreStale: c.IgnoreStale, Reference: reference(c.File),
	}
	said := &spoken{dry: c.DryRun}
	summary, err := st.Import(ctx, next, options, func(row models.ImportedRow) error {
		said.row(row)
		return report.row(row)
	}, bar.imported)
	bar.end()
	if err != nil {
		return fmt.Errorf("%s: nothing was changed: %w", c.File, plainly(err))
	}
	if err := report.keep(); err != nil {
		return fmt.Errorf("report %s: %w", c.Report, err)
	}
	fmt.Print(said.text())
	fmt.Println(inWords(summary, c.DryRun))
	return c.verdict(summary)
}

// plainly leaves out of a fault what is for programs.
func plainly(err error) error {
	var fault *models.Fault
	if errors.As(err, &fault) && fault.Code == models.CodeUnavailable {
		return errors.New(fault.Message)
	}
	return err
}

// reference is the file's name, as movements keep it.
func reference(path string) string {
	name := []rune(strings.ToValidUTF8(filepath.Base(path), "\ufffd"))
	return string(name[:min(len(name), models.TextLengthMax)])
}

// verdict is an error where rows have problems.
func (c *importCommand) verdict(summary models.ImportSummary) error {
	if summary.Problems == 0 {
		return nil
	}
	problems := fmt.Sprintf("%d of %d rows have problems", summary.Problems, summary.Rows)
	switch {
	case summary.Applied:
		return coded{fmt.Errorf("%s: %s and were left out; the others were taken", c.File, problems), 2}
	case c.DryRun && c.SkipBadRows:
		return coded{fmt.Errorf("%s: %s and would be left out", c.File, problems), 2}
	case c.DryRun:
		return fmt.Errorf("%s: %s, so an import would change nothing", c.File, problems)
	}
	return fmt.Errorf("%s: nothing was changed, because %s; correct them, or --skip-bad-rows takes the others", c.File, problems)
}

// coded is an error with an exit code of its own.
type coded struct {
	error
	code int
}

// ExitCode is what the program ends with.
func (c coded) ExitCode() int { return c.code }

// inWords sums an import up in a line.
func inWords(summary models.ImportSummary, dry bool) string {
	var parts []string
	for _, outcome := range models.ImportOutcomes {
		if n := summary.Outcomes[outcome]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, outcome))
		}
	}
	text := fmt.Sprintf("%d rows: %s", summary.Rows, strings.Join(parts, ", "))
	if summary.Rows == 0 {
		text = "the file has no rows"
	}
	if summary.Products+summary.Locations > 0 {
		text += fmt.Sprintf("; %d new products, %d new locations", summary.Products, summary.Locations)
	}
	if dry {
		text += " (dry run: nothing was changed)"
	}
	return text
}

// spoken keeps the first changes of a dry run and the first problems.
type spoken struct {
	dry               bool
	lines             []string
	changes, problems int
}

func (s *spoken) row(row models.ImportedRow) {
	shown := false
	switch {
	case !row.Outcome.Fine():
		s.problems++
		shown = s.problems <= problemsShownMax
	case s.dry && (row.Outcome == models.ImportChanged || row.Outcome == models.ImportCreated):
		s.changes++
		shown = s.changes <= changesShownMax
	}
	if shown {
		parts := []string{fmt.Sprintf("line %d", row.Line)}
		if row.ProductID != "" {
			parts = append(parts, strings.TrimSuffix(row.ProductID+" at "+row.LocationID, " at "))
		}
		s.lines = append(s.lines, strings.Join(append(parts, row.Message()), ": "))
	}
}

func (s *spoken) text() string {
	text := strings.Join(append(s.lines, ""), "\n")
	if more := max(0, s.changes-changesShownMax) + max(0, s.problems-problemsShownMax); more > 0 {
		text += fmt.Sprintf("and %d more; --report FILE lists every row\n", more)
	}
	return text
}

// rowReport is a CSV file of what became of every row; nil when nobody wants one.
type rowReport struct {
	file *replacement
	csv  *csv.Writer
}

func newReport(path string) (*rowReport, error) {
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

func (r *rowReport) row(row models.ImportedRow) error {
	if r == nil {
		return nil
	}
	n := strconv.Itoa
	return r.csv.Write([]string{n(row.Line), row.ProductID, row.LocationID, string(row.Outcome),
		n(row.Before.Available), n(row.After.Available), n(row.Before.OnHand()), n(row.After.OnHand()), row.Message()})
}

// keep puts the report in its place.
func (r *rowReport) keep() error {
	if r == nil {
		return nil
	}
	r.csv.Flush()
	if err := r.csv.Error(); err != nil {
		return err
	}
	return r.file.keep()
}

func (r *rowReport) discard() {
	if r != nil {
		r.file.discard()
	}
}
