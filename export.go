package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"onhand/models"
	"onhand/store"
	"onhand/store/stockfile"
)

type exportCommand struct {
	File   string           `arg:"" optional:"" type:"path" help:"Where to write; compressed when it ends in .gz. Default: the terminal, or whatever reads it."`
	Format stockfile.Format `env:"EXPORT_FORMAT" enum:"auto,shop,shop-17,csv,jsonl" default:"auto" help:"shop (inventory CSV of 19 columns), shop-17 (its older form), csv or jsonl (ours, every state of a level), or auto: jsonl for a file named so, else csv."`
}

// Run writes everything as of one moment. A file that was there before stays
// until the new one is whole.
func (c *exportCommand) Run(ctx context.Context, s *settings) error {
	st, err := s.prepared(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	if c.File == "" {
		out := bufio.NewWriter(os.Stdout)
		_, _, err := c.write(ctx, st, out, nil)
		if err == nil {
			err = out.Flush()
		}
		return err
	}
	file, err := newReplacement(c.File)
	if err != nil {
		return err
	}
	defer file.discard()
	products, rows, err := c.toFile(ctx, st, file)
	if err == nil {
		err = file.keep()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, plainly(err))
	}
	fmt.Printf("%d products, %d rows in %s\n", products, rows, c.File)
	return nil
}

func (c *exportCommand) toFile(ctx context.Context, st *store.Store, file io.Writer) (products, rows int, err error) {
	bar := newBar()
	defer bar.end()
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

// replacement is a file that takes its place only when it is whole.
type replacement struct {
	*bufio.Writer
	file *os.File
	path string
}

func newReplacement(path string) (*replacement, error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", path, err)
	}
	return &replacement{Writer: bufio.NewWriter(file), file: file, path: path}, nil
}

// keep moves it to its place.
func (r *replacement) keep() error {
	err := r.Flush()
	if err == nil {
		err = r.file.Chmod(0o644) // as a file that a program writes usually is
	}
	if closed := r.file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(r.file.Name(), r.path)
	}
	return err
}

// discard forgets it; after keep it does nothing.
func (r *replacement) discard() {
	_ = r.file.Close()
	_ = os.Remove(r.file.Name())
}
