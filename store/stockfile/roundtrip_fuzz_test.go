package stockfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/stockfile/delimited"
)

// stocksOf makes stock from the valid rows of a file: one level for each product
// and location, with its quantities when the file was made or, without those, the
// quantities to set. A shop's file names its locations; a name that cannot be an
// id gets one.
func stocksOf(rows []models.StockRow) (stocks []*models.Stock, locations []models.Location) {
	index, ids := map[string]int{}, map[string]string{} // of products; of locations, by name
	for _, row := range rows {
		id := row.ProductID
		if id == "" {
			id = row.Variant
		}
		if row.Problem != "" || id == "" {
			continue
		}
		at, seen := index[id]
		if !seen {
			at = len(stocks)
			index[id] = at
			made := &models.Stock{Product: models.Product{ProductID: id}}
			if row.Title != "" {
				made.Title = &row.Title
			}
			stocks = append(stocks, made)
		}
		s := stocks[at]
		if row.Location == "" {
			continue
		}
		location, known := ids[row.Location]
		if !known {
			location = row.Location
			if models.CheckID(location) != "" {
				location = fmt.Sprint("location without an id ", len(ids))
			}
		}
		if slices.ContainsFunc(s.Levels, func(l models.Level) bool { return l.LocationID == location }) {
			continue
		}
		var q models.Quantities
		for _, state := range models.States {
			for _, count := range []models.Count{*row.New.Of(state), *row.Now.Of(state)} {
				if count.Given {
					*q.Of(state) = count.Units
				}
			}
		}
		if q.Check(-models.QuantityMax) != nil {
			continue
		}
		s.Levels = append(s.Levels, models.Level{LocationID: location, Quantities: q})
		if !known {
			ids[row.Location] = location
			locations = append(locations, models.Location{LocationID: location, Name: row.Location})
		}
	}
	return stocks, locations
}

// writtenQuantities are the quantities that a format can express. A shop's file
// has one column for committed and reserved units, and one for units not for
// sale.
func writtenQuantities(format Format, stocks []*models.Stock) map[string]models.Quantities {
	all := map[string]models.Quantities{}
	for _, s := range stocks {
		for _, l := range s.Levels {
			q := l.Quantities
			if format == Shop || format == Shop17 {
				q = models.Quantities{Available: q.Available, Committed: q.Committed + q.Reserved, QualityControl: q.Damaged + q.QualityControl + q.SafetyStock, Incoming: q.Incoming}
			}
			all[s.ProductID+"\x00"+l.LocationID] = q
		}
	}
	return all
}

// FuzzRoundTrip: the stock of a file, written in any format, is read as the same
// stock. Rows that cannot be parsed name their line.
func FuzzRoundTrip(f *testing.F) {
	stocks, locations := shopStock()
	for _, format := range writable {
		f.Add([]byte(writeAll(f, format, stocks, locations)))
	}
	for _, file := range []string{
		"product_id,title,location_id,available,damaged\n+a?Title=Default+Title, T ,n,5,1\n%00?x=y,,n,1,\n%FF?x=y,,n,1,\na?+=b,,n,1,\n",
		"product_id,location_id,available\n\"a\"\"b,\",not stocked,-5\n=1+1,\\.,1000000000\n'a,\u2028,0\nfull,n,1000000001\n",
		`{"productId":"<a>&\u2028","locationId":"{","available":1,"new":{"onHand":2}}` + "\n{\"productId\":1}\n\n{}{}\n",
		"product_id,location_id,available\na,n,1\n\"" + strings.Repeat("b", 2*delimited.LineSizeMax) + "\n", "product_id\n\"a\nb\"c\n", "\x1f\x8bno gzip",
		head19 + shirt + ",,,Leeds,A1,4,1,2,7,10,12\n", head17 + shirt + "SKU,,,Leeds,4,1,2,7,12\n",
	} {
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		rows, err := allRows(bytes.NewReader(file), Auto)
		if err != nil && len(rows) > 0 {
			require.Regexp(t, "line [0-9]", err.Error(), "the error does not name the line")
		}
		last := 0
		for _, row := range rows {
			require.GreaterOrEqual(t, row.Line, last)
			last = row.Line
		}
		stocks, locations := stocksOf(rows)
		if len(stocks) == 0 {
			return
		}
		for _, format := range writable {
			var b bytes.Buffer
			w, err := NewWriter(&b, format, locations)
			require.NoError(t, err)
			for _, s := range stocks {
				require.NoError(t, w.Write(s))
			}
			require.NoError(t, w.Flush())
			back, err := allRows(&b, Auto)
			require.NoError(t, err)
			require.Len(t, back, w.Rows())
			for i, row := range back {
				require.Empty(t, row.Problem, "%s, row %d: %q", format, i, row.ProductID)
			}
			require.Equal(t, writtenQuantities(format, stocks), writtenQuantities(format, imported(t, back, format, locations)), format)
		}
	})
}

// FuzzOnlineRetail: every line of a file of invoices is valid, or an error names
// it.
func FuzzOnlineRetail(f *testing.F) {
	head := strings.Join(columns, ",") + "\n"
	for _, file := range []string{
		head + "536365,85123A,HEART,6,2010-12-01T08:26:00,2.55,17850,UK\nC536365,85123A,HEART,-1,2010-12-02 08:26:00,2.55,17850,UK\n",
		head + "1,A,x,0,1/2/2010 15:04,,,\n2,,x,1,1/2/2010 15:04,,,\n", head + "\"", "", head,
	} {
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		lines, err := newLineReader(bytes.NewReader(file))
		if err != nil {
			require.NotErrorIs(t, err, io.EOF)
			return
		}
		last := 1
		for {
			line, err := lines.next()
			var bad *LineError
			if errors.As(err, &bad) {
				require.Positive(t, bad.Line)
				continue
			}
			if err != nil {
				return
			}
			require.Greater(t, line.number, last)
			last = line.number
			require.True(t, line.units >= 1 && line.units <= models.QuantityMax, "%d units", line.units)
			require.Empty(t, models.CheckID(line.productID))
			require.Empty(t, models.CheckID(line.invoice))
			require.Equal(t, line.kind == Cancellation, strings.HasPrefix(line.invoice, "C"))
		}
	})
}

// FuzzOpening: an accepted opening is a fraction, and String and ParseOpening
// agree.
func FuzzOpening(f *testing.F) {
	for _, text := range []string{"full", "0.25", "1", "1.0000001", "0.0000001", "1e-3", "+0.5", ".5", "0.5_0", "0x1p-2", "-1", "NaN", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseOpening(text)
		if err != nil {
			return
		}
		require.NoError(t, o.check())
		again, err := ParseOpening(o.String())
		require.NoError(t, err)
		require.Equal(t, o, again)
		require.LessOrEqual(t, o.of(models.QuantityMax), models.QuantityMax)
	})
}
