package cli

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"onhand/models"
	"onhand/store"
	"onhand/store/stockfile"
)

type exportCommand struct {
	File   string           `arg:"" optional:"" default:"-" type:"path" help:"Where to write; compressed when it ends in .gz. - is the standard output, the default."`
	Format stockfile.Format `env:"EXPORT_FORMAT" enum:"auto,shop,shop-17,csv,jsonl" default:"auto" help:"shop (inventory CSV of 19 columns), shop-17 (its older form), csv or jsonl (ours, every state of a level), or auto: jsonl for a file that ends in .jsonl or .ndjson, otherwise csv."`
}

// Run exports all stock as of one moment.
func (c *exportCommand) Run(ctx context.Context, s *settings, terminal outputs) error {
	st, err := s.openExisting(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	file, err := newOutput(c.File, terminal.stdout, s.databaseFiles()...)
	if err != nil {
		return err
	}
	defer file.discard()
	products, rows, err := c.writeFile(ctx, st, file)
	if err == nil {
		err = file.commit()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, withoutCode(err))
	}
	if c.File != standardStream {
		fmt.Fprintf(terminal.stdout, "%d products, %d rows in %s\n", products, rows, c.File)
	}
	return nil
}

// writeFile writes with a progress bar, and compresses when the name asks for it.
func (c *exportCommand) writeFile(ctx context.Context, st *store.Store, file io.Writer) (products, rows int, err error) {
	var bar *bar
	if c.File != standardStream {
		bar = newBar()
	}
	defer bar.clear()
	if !strings.HasSuffix(c.File, ".gz") {
		return c.write(ctx, st, file, bar)
	}
	zipped := gzip.NewWriter(file)
	products, rows, err = c.write(ctx, st, zipped, bar)
	if err == nil {
		err = zipped.Close()
	}
	return products, rows, err
}

func (c *exportCommand) write(ctx context.Context, st *store.Store, out io.Writer, bar *bar) (products, rows int, err error) {
	var w *stockfile.Writer
	total := 0
	err = st.EachStock(ctx, func(locations []models.Location, n int) (err error) {
		total = n
		w, err = stockfile.NewWriter(out, c.format(), locations)
		return err
	}, func(stock *models.Stock) error {
		products++
		bar.show("exporting", products, total)
		return w.Write(stock)
	})
	if err != nil {
		return products, 0, err
	}
	return products, w.Rows(), w.Flush()
}

func (c *exportCommand) format() stockfile.Format {
	if c.Format != stockfile.Auto {
		return c.Format
	}
	switch filepath.Ext(strings.TrimSuffix(c.File, ".gz")) {
	case ".jsonl", ".ndjson":
		return stockfile.JSONLines
	}
	return stockfile.CSV
}
