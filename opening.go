package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"onhand/models"
	"onhand/store/openingstock"
	"onhand/store/stockfile"
)

func openingRows(rows []stockfile.Row) []openingstock.LevelCount {
	out := make([]openingstock.LevelCount, len(rows))
	for i, r := range rows {
		out[i] = openingstock.LevelCount(r)
	}
	return out
}

// open makes opening stock of a year of invoices. It reads the whole file
// first: a broken file changes nothing.
func (c *importCommand) open(ctx context.Context, s *settings, file io.Reader) error {
	if c.DryRun || c.Create || c.SkipBadRows || c.IgnoreStale || c.Report != "" {
		return fmt.Errorf("%s: a file of invoices knows only --opening and --replace", c.File)
	}
	rows, summary, err := stockfile.ReadOnlineRetail(file, c.Opening)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	st, err := s.prepared(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	location := stockfile.OnlineRetailLocation()
	load := st.ImportOpening
	if c.Replace {
		load = st.ReplaceOpening
	}
	err = load(ctx, openingRows(rows), []models.Location{location}, nil, func(done int) {
		fmt.Printf("%d of %d products\n", done, len(rows))
	})
	var stocked *openingstock.StockedError
	if errors.As(err, &stocked) {
		return fmt.Errorf("%s: %w. Stock that is there is left alone, so that what was sold does not come back; --replace sets it to what the file says", c.File, err)
	}
	if err != nil {
		return err
	}
	fmt.Printf("%d products, %d units at %s; the file has %d sales, %d cancellations, %d adjustments\n",
		len(rows), summary.OpeningUnits, location.Name, summary.Sales.Invoices, summary.Cancellations.Invoices, summary.Adjustments.Invoices)
	return nil
}
