package stockfile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func invoices(t *testing.T, file string) ([]Invoice, error) {
	t.Helper()
	var got []Invoice
	err := ReadInvoices(strings.NewReader(file), func(i Invoice) error {
		got = append(got, i)
		return nil
	})
	return got, err
}

func TestReadInvoices(t *testing.T) {
	t.Parallel()
	got, err := invoices(t, invoiceFile)
	require.NoError(t, err)
	require.Equal(t, []Invoice{
		{"100", Sale, time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC), "17850", []InvoiceLine{{"15056bl", 10}, {"15056BL", 3}, {"15056bl", 5}}},
		{"C101", Cancellation, time.Date(2010, 12, 1, 8, 27, 0, 0, time.UTC), "17850", []InvoiceLine{{"15056BL", 2}}},
		{"102", Adjustment, time.Date(2010, 12, 2, 9, 0, 0, 0, time.UTC), "", []InvoiceLine{{"22423", 7}}},
		{"A103", Sale, time.Date(2010, 12, 2, 9, 1, 0, 0, time.UTC), "", []InvoiceLine{{"B", 1}}},
	}, got)
	zip, err := invoices(t, string(zipped(t, invoiceFile)))
	require.NoError(t, err)
	require.Equal(t, got, zip)
}

func TestReadInvoicesJoinsSeparatedLines(t *testing.T) {
	t.Parallel()
	got, err := invoices(t, header+
		`1,A,x,1,2010-12-01T08:26:00,1,7,UK
C2,A,x,-1,2010-12-01T08:26:00,1,8,UK
1,B,x,2,2010-12-01T08:27:00,1,7,UK
3,A,x,1,2010-12-01T08:30:00,1,9,UK
`)
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.Equal(t, "1", got[0].Number, "in the order of the first lines")
	require.Equal(t, []InvoiceLine{{"A", 1}, {"B", 2}}, got[0].Lines)
	require.Equal(t, "C2", got[1].Number)
	require.Equal(t, "3", got[2].Number)
}

func TestReadInvoicesStopsAtTheFirstError(t *testing.T) {
	t.Parallel()
	first := "1,A,x,1,2010-12-01T08:26:00,1,7,UK\n"
	for name, c := range map[string]struct{ lines, want string }{
		"bad line":         {"2,A,x,0,2010-12-01T08:26:00,1,7,UK\n", `line 3: the Quantity "0"`},
		"older line":       {"2,A,x,1,2010-12-01T08:25:00,1,7,UK\n", "line 3: older than the line before it"},
		"mixed kinds":      {"1,A,x,-1,2010-12-01T08:26:00,1,7,UK\n", "line 3: the invoice 1 both sells and writes off"},
		"finished invoice": {"2,A,x,1,2010-12-01T08:30:00,1,7,UK\n1,A,x,1,2010-12-01T08:30:00,1,7,UK\n", "line 4: the invoice 1 was over more than 1m0s ago"},
		"too many lines":   {strings.Repeat(first, invoiceLinesMax), "line 10002: the invoice 1 has more than 10000 lines"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := invoices(t, header+first+c.lines)
			var line *LineError
			require.ErrorAs(t, err, &line)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := invoices(t, "")
	require.ErrorContains(t, err, "the file is empty")
}

func TestReadInvoicesReturnsTheErrorOfVisit(t *testing.T) {
	t.Parallel()
	enough, calls := errors.New("enough"), 0
	err := ReadInvoices(strings.NewReader(invoiceFile), func(Invoice) error {
		calls++
		return enough
	})
	require.ErrorIs(t, err, enough)
	require.Equal(t, 1, calls)
}
