package stockfile

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
)

// realFile opens the Online Retail file, which is too large for the repository.
func realFile(t *testing.T) io.Reader {
	t.Helper()
	path := os.Getenv("ONLINE_RETAIL_CSV")
	if path == "" {
		t.Skip("ONLINE_RETAIL_CSV does not name the Online Retail file (see NOTICE.md)")
	}
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestRealFile(t *testing.T) {
	t.Parallel()
	rows, summary, err := ReadOnlineRetail(realFile(t), FullOpening)
	require.NoError(t, err)
	require.Equal(t, Summary{
		Lines: 541_909, Products: 4_070,
		Sales:              InvoiceCount{Invoices: 20_728, Lines: 531_285, Units: 5_660_981},
		Cancellations:      InvoiceCount{Invoices: 3_836, Lines: 9_288, Units: 277_574},
		Adjustments:        InvoiceCount{Invoices: 1_336, Lines: 1_336, Units: 206_957},
		LinesPerInvoiceMax: 1_114, OpeningUnits: 5_660_981 + 206_957,
		First: time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC), Last: time.Date(2011, 12, 9, 12, 50, 0, 0, time.UTC),
	}, summary)
	titles, untitled := map[string]string{}, 0
	for _, row := range rows {
		titles[row.ProductID] = row.Title
		if row.Title == "" {
			untitled++
		}
	}
	require.Equal(t, 112, untitled)

	demo, _, _ := Demo()
	for _, row := range demo {
		require.Equal(t, lettersOf(titles[row.ProductID]), lettersOf(row.Title), row.ProductID)
	}

	var all Summary
	last := time.Time{}
	err = ReadInvoices(realFile(t), func(i Invoice) error {
		c := all.of(i.Kind)
		c.Invoices++
		c.Lines += len(i.Lines)
		for _, line := range i.Lines {
			c.Units += line.Units
		}
		require.False(t, i.Time.Before(last))
		last = i.Time
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []InvoiceCount{summary.Sales, summary.Cancellations, summary.Adjustments}, []InvoiceCount{all.Sales, all.Cancellations, all.Adjustments})
}

// lettersOf drops what the demo's titles change: case, spaces and punctuation.
func lettersOf(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}
