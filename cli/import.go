package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"onhand/models"
	"onhand/store"
	"onhand/store/stockfile"
)

// someRowsFailed is the exit code of an import that left rows out.
const someRowsFailed = 2

type importCommand struct {
	File          string            `arg:"" type:"path" help:"The file; may be compressed with gzip. - is the standard input."`
	Format        stockfile.Format  `env:"IMPORT_FORMAT" enum:"auto,shop,shop-17,csv,jsonl,online-retail" default:"auto" help:"The format of the file: shop (inventory CSV of 19 columns), shop-17 (its older form), csv or jsonl (ours), online-retail (a year of invoices), or auto, which detects it."`
	DryRun        bool              `env:"IMPORT_DRY_RUN" help:"Print what would change, and change nothing."`
	Report        string            `type:"path" env:"IMPORT_REPORT" placeholder:"FILE" help:"Write the outcome of every row to this CSV file. - is the standard output; the summary is then on the standard error."`
	Create        bool              `env:"IMPORT_CREATE" help:"Add products, locations and levels that do not exist yet, with the quantities of the file. Ids that are near to known ones are refused."`
	CreateSimilar bool              `name:"create-similar" env:"IMPORT_CREATE_SIMILAR" help:"As --create, and add also ids that are near to known ones, such as 17 beside 0017, or LONDON beside London."`
	SkipBadRows   bool              `name:"skip-bad-rows" env:"IMPORT_SKIP_BAD_ROWS" help:"Import the other rows when some have problems. The exit code is then 2."`
	IgnoreStale   bool              `env:"IMPORT_IGNORE_STALE" help:"Set quantities also where the stock has changed since the file was made."`
	CountedAt     moment            `name:"counted-at" env:"IMPORT_COUNTED_AT" placeholder:"TIME" help:"When the quantities of the file were counted, for rows without counted_at: what was sold or received since is kept. Written as --as-of of onhand stock."`
	Note          string            `env:"IMPORT_NOTE" placeholder:"TEXT" help:"Why: stored with every movement. The actor is the user of the operating system."`
	Opening       stockfile.Opening `env:"IMPORT_OPENING" default:"full" help:"For online-retail: the opening stock is full, so that every sale in the file passes, or a fraction of that such as 0.6, so that there are shortages."`
	Replace       bool              `env:"IMPORT_REPLACE" help:"For online-retail: also set the available quantities of products that have stock already. Reserved and committed quantities stay."`
}

// Run imports all rows, or none when some have problems.
func (c *importCommand) Run(ctx context.Context, s *settings, stdin io.Reader, terminal outputs) error {
	if problem := models.CheckText(c.Note, models.TextLengthMax); problem != "" {
		return fmt.Errorf("--note %s", problem)
	}
	input, err := openInput(c.File, stdin)
	if err != nil {
		return err
	}
	defer input.close()
	reader, err := stockfile.NewReader(input, c.Format)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if reader.Format == stockfile.OnlineRetail {
		return c.importOpening(ctx, s, input.again(), terminal.stdout)
	}
	input.forget()
	if c.Replace {
		return fmt.Errorf("%s: --replace is for a file of invoices; this file is %s, which lists the stock itself", c.File, reader.Format)
	}
	report, err := newRowReport(c.Report, terminal.stdout, append(s.databaseFiles(), c.File)...)
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	defer report.discard()
	open := s.openExisting
	if c.creates() {
		open = s.openMigrated
		if c.DryRun && s.missing() != nil {
			s.DatabaseURL = memoryDatabase // a dry run creates nothing
		}
	}
	st, err := open(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	text := terminal.stdout
	if c.Report == standardStream {
		text = terminal.stderr
	}
	return c.importRows(ctx, st, reader, input.bar, report, text)
}

func (c *importCommand) creates() bool { return c.Create || c.CreateSimilar }

// importRows imports a stock file and prints what has changed.
func (c *importCommand) importRows(ctx context.Context, st *store.Store, reader *stockfile.Reader, bar *fileBar, report *rowReport, text io.Writer) error {
	locations, err := st.Locations(ctx)
	if err != nil {
		return err
	}
	options := models.ImportOptions{
		DryRun: c.DryRun, Create: c.creates(), CreateSimilar: c.CreateSimilar, SkipBad: c.SkipBadRows, IgnoreStale: c.IgnoreStale,
		Reference: reference(c.File), Note: c.Note, Actor: operator(),
	}
	if !c.CountedAt.IsZero() {
		options.CountedAt = &c.CountedAt.Time
	}
	excerpt := &importExcerpt{dryRun: c.DryRun, report: c.Report}
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
	fmt.Fprint(text, excerpt.text())
	fmt.Fprintln(text, excerpt.summary(summary))
	return c.problems(summary)
}

// operator is the user of the operating system, as movements store it.
func operator() string {
	name := ""
	if u, err := user.Current(); err == nil {
		name = cmp.Or(u.Username, u.Uid)
	}
	return shortened(cmp.Or(name, strconv.Itoa(os.Getuid())))
}

// shortened is a text that movements can store.
func shortened(text string) string {
	clean := []rune(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd")))
	return string(clean[:min(len(clean), models.TextLengthMax)])
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

// withoutCode drops the code of a fault, which is for programs, where the message says
// what to do.
func withoutCode(err error) error {
	var fault *models.Fault
	if errors.As(err, &fault) && (fault.Code == models.CodeUnavailable || fault.Code == models.CodeBadUserInput) {
		return errors.New(fault.Message)
	}
	return err
}

// reference is the file's name as movements store it.
func reference(path string) string {
	if path == standardStream {
		return "standard input"
	}
	return shortened(filepath.Base(path))
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
