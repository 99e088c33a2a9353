package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"onhand/models"
	"onhand/store/openingstock"
	"onhand/store/stockfile"
)

// importOpening imports the opening stock of a year of invoices. It reads the
// whole file first, so that a broken file changes nothing.
func (c *importCommand) importOpening(ctx context.Context, s *settings, file io.Reader, stdout io.Writer) error {
	if c.DryRun || c.creates() || c.SkipBadRows || c.IgnoreStale || c.Report != "" || c.Note != "" || !c.CountedAt.IsZero() {
		return fmt.Errorf("%s: for a file of invoices there are only --opening and --replace", c.File)
	}
	rows, summary, err := stockfile.ReadOnlineRetail(file, c.Opening)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	st, err := s.openMigrated(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	location := stockfile.OnlineRetailLocation()
	load := st.ImportOpening
	if c.Replace {
		load = st.ReplaceOpening
	}
	err = load(ctx, rows, []models.Location{location}, nil, func(done int) {
		fmt.Fprintf(stdout, "%d of %d products\n", done, len(rows))
	})
	var stocked *openingstock.StockedError
	if errors.As(err, &stocked) {
		return fmt.Errorf("%s: %w. Existing stock is not changed, so that sold units do not come back; --replace sets it to the quantities of the file", c.File, err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d products, %d units at %s; the file has %d sales, %d cancellations, %d adjustments\n",
		len(rows), summary.OpeningUnits, location.Name, summary.Sales.Invoices, summary.Cancellations.Invoices, summary.Adjustments.Invoices)
	return nil
}
