package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"onhand/models"
	"onhand/store"
	"onhand/store/stockfile"
)

// someRowsFailed is the exit code of an import that left rows out.
const someRowsFailed = 2

type importCommand struct {
	File        string            `arg:"" type:"existingfile" help:"The file; may be compressed with gzip."`
	Format      stockfile.Format  `env:"IMPORT_FORMAT" enum:"auto,shop,shop-17,csv,jsonl,online-retail" default:"auto" help:"The format of the file: shop (inventory CSV of 19 columns), shop-17 (its older form), csv or jsonl (ours), online-retail (a year of invoices), or auto, which detects it."`
	DryRun      bool              `env:"IMPORT_DRY_RUN" help:"Print what would change, and change nothing."`
	Report      string            `env:"IMPORT_REPORT" placeholder:"FILE" help:"Write the outcome of every row to this CSV file."`
	Create      bool              `env:"IMPORT_CREATE" help:"Add products, locations and levels that do not exist yet, with the quantities of the file."`
	SkipBadRows bool              `name:"skip-bad-rows" env:"IMPORT_SKIP_BAD_ROWS" help:"Import the other rows when some have problems. The exit code is then 2."`
	IgnoreStale bool              `env:"IMPORT_IGNORE_STALE" help:"Set quantities also where the stock has changed since the file was made."`
	Opening     stockfile.Opening `env:"IMPORT_OPENING" default:"full" help:"For online-retail: the opening stock is full, so that every sale in the file passes, or a fraction of that such as 0.6, so that there are shortages."`
	Replace     bool              `env:"IMPORT_REPLACE" help:"For online-retail: also set the available quantities of products that have stock already. Reserved and committed quantities stay."`
}

// Run imports all rows, or none when some have problems.
func (c *importCommand) Run(ctx context.Context, s *settings, stdout io.Writer) (err error) {
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
		return c.importOpening(ctx, s, file, stdout)
	}
	if c.Replace {
		return fmt.Errorf("%s: --replace is for a file of invoices; this file is %s, which lists the stock itself", c.File, reader.Format)
	}
	report, err := newRowReport(c.Report)
	if err != nil {
		return err
	}
	defer report.discard()
	st, err := s.openMigrated(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	return c.importRows(ctx, st, reader, bar, report, stdout)
}

// importRows imports a stock file and prints what has changed.
func (c *importCommand) importRows(ctx context.Context, st *store.Store, reader *stockfile.Reader, bar *fileBar, report *rowReport, stdout io.Writer) error {
	locations, err := st.Locations(ctx)
	if err != nil {
		return err
	}
	options := models.ImportOptions{
		DryRun: c.DryRun, Create: c.Create, SkipBad: c.SkipBadRows, IgnoreStale: c.IgnoreStale, Reference: reference(c.File),
	}
	excerpt := &importExcerpt{dryRun: c.DryRun}
	summary, err := st.Import(ctx, rowsByLocationID(reader, locations), options, func(row models.ImportedRow) error {
		excerpt.add(row)
		return report.add(row)
	}, bar.showImport)
	bar.clear()
	if err != nil {
		return fmt.Errorf("%s: nothing was changed: %w", c.File, withoutCode(err))
	}
	if err := report.commit(); err != nil {
		return fmt.Errorf("report %s: %w", c.Report, err)
	}
	fmt.Fprint(stdout, excerpt.text())
	fmt.Fprintln(stdout, summaryLine(summary, c.DryRun))
	return c.problems(summary)
}

// rowsByLocationID reads rows and replaces the location's name, which a shop's
// file has, by its id.
func rowsByLocationID(reader *stockfile.Reader, locations []models.Location) func() (models.StockRow, error) {
	places := stockfile.NewLocationIndex(locations)
	return func() (models.StockRow, error) {
		row, err := reader.Next()
		if err != nil || row.Problem != "" {
			return row, err
		}
		if row.Location, err = places.Find(reader.Format, row.Location); err != nil {
			row.Problem = err.Error()
		}
		return row, nil
	}
}

// withoutCode drops the code of an UNAVAILABLE error, which is for programs.
func withoutCode(err error) error {
	var fault *models.Fault
	if errors.As(err, &fault) && fault.Code == models.CodeUnavailable {
		return errors.New(fault.Message)
	}
	return err
}

// reference is the file's name as movements store it.
func reference(path string) string {
	name := []rune(strings.ToValidUTF8(filepath.Base(path), "\ufffd"))
	return string(name[:min(len(name), models.TextLengthMax)])
}

// problems is an error when rows have problems.
func (c *importCommand) problems(summary models.ImportSummary) error {
	if summary.Problems == 0 {
		return nil
	}
	problems := fmt.Sprintf("%d of %d rows have problems", summary.Problems, summary.Rows)
	switch {
	case summary.Applied:
		return exitError{fmt.Errorf("%s: %s and were left out; the others were imported", c.File, problems), someRowsFailed}
	case c.DryRun && c.SkipBadRows:
		return exitError{fmt.Errorf("%s: %s and would be left out", c.File, problems), someRowsFailed}
	case c.DryRun:
		return fmt.Errorf("%s: %s, so an import would change nothing", c.File, problems)
	}
	return fmt.Errorf("%s: nothing was changed, because %s; correct them, or import the others with --skip-bad-rows", c.File, problems)
}

// summaryLine is the result of an import in one line.
func summaryLine(summary models.ImportSummary, dryRun bool) string {
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
	if dryRun {
		text += " (dry run: nothing was changed)"
	}
	return text
}
