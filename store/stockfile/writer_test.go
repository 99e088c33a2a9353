package stockfile

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

// writable are the formats of NewWriter.
var writable = []Format{Shop, Shop17, CSV, JSONLines}

func shopStock() ([]*models.Stock, []models.Location) {
	title := func(s string) *string { return &s }
	locations := []models.Location{
		{LocationID: "north", Name: "North, by the sea"}, {LocationID: "a", Name: "Same"}, {LocationID: "b", Name: "Same"}, {LocationID: "z", Name: "Ärmel"},
	}
	return []*models.Stock{
		{Product: models.Product{ProductID: "00123", Title: title(`12" "Mug", blue`)}, Levels: []models.Level{
			{LocationID: "north", Quantities: models.Quantities{Available: 7, Reserved: 1, Committed: 2, Damaged: 3, QualityControl: 4, SafetyStock: 5, Incoming: 6}},
			{LocationID: "b", Quantities: models.Quantities{Available: -3}},
		}},
		{Product: models.Product{ProductID: mID, Title: title("T-Shirt")}, Levels: []models.Level{{LocationID: "z"}}},
		{Product: models.Product{ProductID: "what?"}},
	}, locations
}

func writeAll(t testing.TB, format Format, stocks []*models.Stock, locations []models.Location) string {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, format, locations)
	require.NoError(t, err)
	for _, s := range stocks {
		require.NoError(t, w.Write(s))
	}
	require.NoError(t, w.Flush())
	return b.String()
}

// imported is the stock that an import of exported rows into an empty database
// makes.
func imported(t testing.TB, rows []models.StockRow, format Format, locations []models.Location) []*models.Stock {
	t.Helper()
	index := NewLocationIndex(locations)
	var stocks []*models.Stock
	for _, row := range rows {
		require.Empty(t, row.Problem)
		require.False(t, row.New.Any(), "an export sets nothing")
		id := row.ProductID
		if id == "" {
			id = row.Variant
		}
		if n := len(stocks); n == 0 || stocks[n-1].ProductID != id {
			made := &models.Stock{Product: models.Product{ProductID: id}}
			if row.Title != "" {
				made.Title = &row.Title
			}
			stocks = append(stocks, made)
		}
		if !row.Now.Any() {
			continue
		}
		at, err := index.Find(format, row.Location)
		require.NoError(t, err)
		c := row.Now
		s := stocks[len(stocks)-1]
		s.Levels = append(s.Levels, models.Level{LocationID: at, Quantities: models.Quantities{
			Available: c.Available.Units, Reserved: c.Reserved.Units, Committed: c.Committed.Units, Damaged: c.Damaged.Units,
			QualityControl: c.QualityControl.Units + c.Unavailable.Units, SafetyStock: c.SafetyStock.Units, Incoming: c.Incoming.Units,
		}})
	}
	return stocks
}

// TestRoundTrip: a file that is written, read and written again has the same
// bytes.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	stocks, locations := shopStock()
	for _, format := range writable {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			file := writeAll(t, format, stocks, locations)
			back := imported(t, readRows(t, file, Auto), format, locations)
			require.Len(t, back, len(stocks))
			assert.Equal(t, file, writeAll(t, format, back, locations))
		})
	}
}

// TestBlanksAroundLocationNames: readers drop them, so that locations with such
// names are still found, and names that differ only in blanks are not unique.
func TestBlanksAroundLocationNames(t *testing.T) {
	t.Parallel()
	locations := []models.Location{{LocationID: "n", Name: "North"}, {LocationID: "m", Name: "North "}, {LocationID: "s", Name: " South "}}
	stock := &models.Stock{Product: models.Product{ProductID: "mug"}, Levels: []models.Level{
		{LocationID: "n", Quantities: models.Quantities{Available: 1}}, {LocationID: "m", Quantities: models.Quantities{Available: 2}},
		{LocationID: "s", Quantities: models.Quantities{Available: 3}},
	}}
	for _, format := range []Format{Shop, Shop17} {
		found, index := map[string]int{}, NewLocationIndex(locations)
		for _, row := range readRows(t, writeAll(t, format, []*models.Stock{stock}, locations), Auto) {
			id, err := index.Find(format, row.Location)
			require.NoError(t, err)
			found[id] = row.Now.Available.Units
		}
		assert.Equal(t, map[string]int{"n": 1, "m": 2, "s": 3}, found)
	}
}

func TestBytesOfWrittenFiles(t *testing.T) {
	t.Parallel()
	stocks, locations := shopStock()
	assert.Equal(t, head19+
		`00123,"12"" ""Mug"", blue",Title,Default Title,,,,,00123,,,"North, by the sea",,6,12,3,7,22,
00123,"12"" ""Mug"", blue",Title,Default Title,,,,,00123,,,a,,not stocked,not stocked,not stocked,not stocked,not stocked,
00123,"12"" ""Mug"", blue",Title,Default Title,,,,,00123,,,b,,0,0,0,-3,-3,
00123,"12"" ""Mug"", blue",Title,Default Title,,,,,00123,,,Ärmel,,not stocked,not stocked,not stocked,not stocked,not stocked,
`, writeAll(t, Shop, stocks[:1], locations), "locations with the same name are named by their ids")
	assert.Contains(t, writeAll(t, Shop17, stocks[1:2], locations), "shirt,T-Shirt,Size,M,Colour,Dark red,,,,,,Ärmel,0,0,0,0,0\n")
	assert.Equal(t, strings.Join(csvColumns(), ",")+"\nwhat?"+strings.Repeat(",", len(csvColumns())-1)+"\n", writeAll(t, CSV, stocks[2:], locations))
	assert.Equal(t, `{"productId":"what?","new":{}}`+"\n", writeAll(t, JSONLines, stocks[2:], locations))
}

// TestLocationsOfOneName: names that are the same, or that are the id of another
// location, do not stop an export, and each is found again.
func TestLocationsOfOneName(t *testing.T) {
	t.Parallel()
	for _, locations := range [][]models.Location{
		{{LocationID: "x", Name: "n"}, {LocationID: "b", Name: "x"}, {LocationID: "c", Name: "n"}},
		{{LocationID: "x", Name: "n"}, {LocationID: "b", Name: "x"}, {LocationID: "c", Name: "n"}, {LocationID: "d", Name: "n (x)"}, {LocationID: "n (x) (x)", Name: ""}},
		{{LocationID: "a", Name: "b"}, {LocationID: "b", Name: "a"}},
		{{LocationID: "a", Name: ""}, {LocationID: " a", Name: "a"}, {LocationID: "a ", Name: "a"}},
	} {
		stock := &models.Stock{Product: models.Product{ProductID: "mug"}}
		for i, l := range locations {
			stock.Levels = append(stock.Levels, models.Level{LocationID: l.LocationID, Quantities: models.Quantities{Available: i + 1}})
		}
		for _, format := range []Format{Shop, Shop17} {
			index, found := NewLocationIndex(locations), 0
			for _, row := range readRows(t, writeAll(t, format, []*models.Stock{stock}, locations), Auto) {
				id, err := index.Find(format, row.Location)
				require.NoError(t, err)
				require.Equal(t, locations[row.Now.Available.Units-1].LocationID, id, "%q", row.Location)
				found++
			}
			assert.Equal(t, len(locations), found)
		}
	}
	index := NewLocationIndex([]models.Location{{LocationID: "x", Name: "n"}, {LocationID: "c", Name: "n"}})
	_, err := index.Find(Shop, "n")
	require.EqualError(t, err, `2 locations are called "n"; write the id of one`)
	_, err = index.Find(Shop, "x ")
	require.EqualError(t, err, `the Location must not end with a blank: "x "`)
}

// TestMemoryOfAMillionRows: a file of a million rows is written and read in as
// much memory as a small one.
func TestMemoryOfAMillionRows(t *testing.T) {
	if testing.Short() {
		t.Skip("a million rows")
	}
	const heapMax = 16 << 20
	_, locations := shopStock()
	for _, format := range writable {
		products := 25_000 // times four locations
		if format == Shop {
			products *= 10
		}
		file, pipe := io.Pipe()
		go func() {
			w, err := NewWriter(pipe, format, locations)
			for i := 0; err == nil && i < products; i++ {
				s := &models.Stock{Product: models.Product{ProductID: fmt.Sprint("product-", i)}}
				for _, l := range locations {
					s.Levels = append(s.Levels, models.Level{LocationID: l.LocationID, Quantities: models.Quantities{Available: i}})
				}
				err = w.Write(s)
			}
			if err == nil {
				err = w.Flush()
			}
			pipe.CloseWithError(err)
		}()
		reader, err := NewReader(file, Auto)
		require.NoError(t, err)
		rows, peak := 0, uint64(0)
		for {
			row, err := reader.Next()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			require.Empty(t, row.Problem)
			if rows++; rows%20_000 == 0 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
		}
		assert.Equal(t, products*len(locations), rows, format)
		assert.Less(t, peak, uint64(heapMax), "%s keeps %d MB alive", format, peak>>20)
	}
}

// FuzzReader: no file makes the reader panic or hang, and its rows are within
// their bounds.
func FuzzReader(f *testing.F) {
	stocks, locations := shopStock()
	for _, format := range writable {
		f.Add([]byte(writeAll(f, format, stocks, locations)))
	}
	f.Add([]byte("\ufeffproduct_id;location_id;available\r\na;b;5\r\n"))
	f.Add([]byte(head19 + shirt + "TS-M,,,Leeds,A1,4,1,2,7,10,12\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		rows, err := allRows(bytes.NewReader(file), Auto)
		for _, row := range rows {
			require.Positive(t, row.Line)
			if row.Problem != "" {
				continue
			}
			require.NotEmpty(t, row.ProductID+row.Variant)
			for _, word := range []string{row.ProductID, row.Variant, row.Location} {
				require.True(t, word == "" || word == row.Location || models.CheckID(word) == "")
				require.Empty(t, models.CheckText(word, models.TextLengthMax))
			}
			for _, s := range models.Settable {
				n := row.New.Of(s)
				require.LessOrEqual(t, n.Units, models.QuantityMax)
				require.True(t, s == models.Available || n.Units >= 0)
			}
		}
		_ = err // any is fine
	})
}

// FuzzVariant: ParseVariant decodes what ID encodes.
func FuzzVariant(f *testing.F) {
	f.Add("shirt", "Size", "M", "Colour", "Dark red", "", "")
	f.Add("a?b", "", "", "", "&", "=", "%")
	f.Fuzz(func(t *testing.T, handle, n1, v1, n2, v2, n3, v3 string) {
		v := Variant{Handle: handle, Options: [3]VariantOption{{n1, v1}, {n2, v2}, {n3, v3}}}
		got, ok := ParseVariant(v.ID())
		require.Equal(t, handle != "", ok)
		if v.Options == [3]VariantOption{} {
			v.Options[0] = defaultOption
		}
		if ok {
			require.Equal(t, v, got)
		}
	})
}
