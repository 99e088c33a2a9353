package stockfile

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

const (
	head19 = "Handle,Title,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Option3 Name,Option3 Value,SKU,HS Code,COO,Location,Bin name,Incoming (not editable),Unavailable (not editable),Committed (not editable),Available (not editable),On hand (current),On hand (new)\n"
	head17 = "Handle,Title,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Option3 Name,Option3 Value,SKU,HS Code,COO,Location,Incoming,Unavailable,Committed,Available,On hand\n"
	shirt  = "shirt,T-Shirt,Size,M,Colour,Dark red,,,"
	mID    = "shirt?Size=M&Colour=Dark+red"
)

// readRows reads all rows of a file.
func readRows(t *testing.T, file string, format Format) []models.StockRow {
	t.Helper()
	rows, err := allRows(strings.NewReader(file), format)
	require.NoError(t, err)
	return rows
}

func allRows(r io.Reader, format Format) (rows []models.StockRow, err error) {
	reader, err := NewReader(r, format)
	if err != nil {
		return nil, err
	}
	for {
		row, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
}

func given(n int) models.Count { return models.Counted(n) }

func TestShopRows(t *testing.T) {
	t.Parallel()
	seen := models.Counts{Incoming: given(4), Unavailable: given(1), Committed: given(2), Available: given(7), OnHand: given(10)}
	for name, c := range map[string]struct {
		file string
		want models.StockRow
	}{
		"no change":         {head19 + shirt + "TS-M,,,Leeds,A1,4,1,2,7,10,\n", models.StockRow{ProductID: "TS-M", Variant: mID, Title: "T-Shirt", Location: "Leeds", Now: seen}},
		"a new count":       {head19 + shirt + "TS-M,,,Leeds,A1,4,1,2,7,10,12\n", models.StockRow{ProductID: "TS-M", Variant: mID, Title: "T-Shirt", Location: "Leeds", Now: seen, New: models.Counts{OnHand: given(12)}}},
		"no SKU":            {head19 + shirt + " ,,,Leeds,,4,1,2,7,10,\n", models.StockRow{Variant: mID, Title: "T-Shirt", Location: "Leeds", Now: seen}},
		"no variants":       {head19 + "mug,Mug,Title,Default Title,,,,,,,,Leeds,,4,1,2,7,10,\n", models.StockRow{Variant: "mug?Title=Default+Title", Title: "Mug", Location: "Leeds", Now: seen}},
		"not stocked":       {head19 + shirt + "TS-M,,,Leeds,,not stocked,not stocked,not stocked,not stocked,not stocked,\n", models.StockRow{ProductID: "TS-M", Variant: mID, Title: "T-Shirt", Location: "Leeds"}},
		"from now on":       {head19 + shirt + "TS-M,,,Leeds,,not stocked,not stocked,not stocked,not stocked,not stocked,5\n", models.StockRow{ProductID: "TS-M", Variant: mID, Title: "T-Shirt", Location: "Leeds", Now: models.Counts{OnHand: given(0)}, New: models.Counts{OnHand: given(5)}}},
		"oversold":          {head19 + shirt + "TS-M,,,Leeds,,0,0,3,-2,1,\n", models.StockRow{ProductID: "TS-M", Variant: mID, Title: "T-Shirt", Location: "Leeds", Now: models.Counts{Incoming: given(0), Unavailable: given(0), Committed: given(3), Available: given(-2), OnHand: given(1)}}},
		"17, no change":     {head17 + shirt + "TS-M,,,Leeds,4,1,2,7,10\n", models.StockRow{ProductID: "TS-M", Variant: mID, Title: "T-Shirt", Location: "Leeds", Now: seen}},
		"17, a new count":   {head17 + shirt + "TS-M,,,Leeds,4,1,2,7,12\n", models.StockRow{ProductID: "TS-M", Variant: mID, Title: "T-Shirt", Location: "Leeds", Now: seen, New: models.Counts{OnHand: given(12)}}},
		"17, from now on":   {head17 + shirt + "TS-M,,,Leeds,not stocked,not stocked,not stocked,not stocked,5\n", models.StockRow{ProductID: "TS-M", Variant: mID, Title: "T-Shirt", Location: "Leeds", Now: models.Counts{OnHand: given(0)}, New: models.Counts{OnHand: given(5)}}},
		"17, on hand alone": {"Handle,Location,On hand,SKU\nx,Leeds,5,TS-M\n", models.StockRow{ProductID: "TS-M", Variant: "x?Title=Default+Title", Location: "Leeds", New: models.Counts{OnHand: given(5)}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want.Line, c.want.LastLine = 2, 2
			assert.Equal(t, []models.StockRow{c.want}, readRows(t, c.file, Auto))
		})
	}
}

func TestShopRowsThatCannotBeParsed(t *testing.T) {
	t.Parallel()
	for row, want := range map[string]string{
		"TS-M,,,Leeds,,4,1,2,7,10,many\n":          `the On hand (new) "many" is not a whole number`,
		"TS-M,,,Leeds,,4,1,2,7,10,1.5\n":           `the On hand (new) "1.5" is not a whole number`,
		"TS-M,,,Leeds,,4,1,2,7,10,2000000000\n":    "outside",
		"TS-M,,,Leeds,,4,1,2,9,10,\n":              "to change stock, write On hand (new)",
		"TS-M,,,Leeds,,4,1,2,7,10,not stocked\n":   "a file cannot take a product away from a location",
		"TS-M,,,,,4,1,2,7,10,\n":                   "the Location is empty",
		"TS-M,,,Leeds,,4,1,2,7,10,,,x\n":           `21 cells, and the header names 19 columns; the value "x" is in none`,
		"TS-M ,,,Leeds,,4,1,2,7,10,\n":             `the SKU must not end with a blank: "TS-M "`,
		"TS\u200b-M,,,Leeds,,4,1,2,7,10,\n":        `the SKU must not contain the invisible character U+200B: "TS\u200b-M"`,
		"\xff,,,Leeds,,4,1,2,7,10,\n":              "not UTF-8",
		strings.Repeat("S", 256) + ",,,L,,,,,,,\n": "the SKU must not be longer than 255",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			rows := readRows(t, head19+shirt+row+shirt+"TS-M,,,Leeds,,4,1,2,7,10,\n", Auto)
			require.Len(t, rows, 2)
			assert.Contains(t, rows[0].Problem, want)
			assert.Empty(t, rows[1].Problem, "the next row is parsed")
		})
	}
	unnamed := readRows(t, head19+",Mug,,,,,,,,,,Leeds,,4,1,2,7,10,\n", Auto)
	assert.Contains(t, unnamed[0].Problem, "neither SKU nor Handle")
	long := readRows(t, head19+strings.Repeat("h", 250)+",Mug,,,,,,,,,,Leeds,,4,1,2,7,10,\n", Auto)
	assert.Contains(t, long[0].Problem, "give the variant a SKU")
}

func TestCSVAndJSONRows(t *testing.T) {
	t.Parallel()
	row := func(newCounts models.Counts) models.StockRow {
		return models.StockRow{Line: 2, LastLine: 2, ProductID: "mug", Title: "Mug", Location: "north", New: newCounts}
	}
	for name, c := range map[string]struct {
		file string
		want models.StockRow
	}{
		"by hand":           {"product_id,title,location_id,available\nmug,Mug,north,5\n", row(models.Counts{Available: given(5)})},
		"in another order":  {"damaged,location_id,product_id,title\n2,north,mug,Mug\n", row(models.Counts{Damaged: given(2)})},
		"blank":             {"product_id,title,location_id,available,incoming\nmug,Mug,north,,3\n", row(models.Counts{Incoming: given(3)})},
		"below zero":        {"product_id,title,location_id,available\nmug,Mug,north,-5\n", row(models.Counts{Available: given(-5)})},
		"JSON by hand":      {"\n{\"productId\":\"mug\",\"title\":\"Mug\",\"locationId\":\"north\",\"available\":5}\n", row(models.Counts{Available: given(5)})},
		"compared":          {"product_id,title,location_id,available,available_new\nmug,Mug,north,5,7\n", models.StockRow{Line: 2, LastLine: 2, ProductID: "mug", Title: "Mug", Location: "north", Now: models.Counts{Available: given(5)}, New: models.Counts{Available: given(7)}}},
		"compared, JSON":    {"\n{\"productId\":\"mug\",\"title\":\"Mug\",\"locationId\":\"north\",\"available\":5,\"new\":{\"onHand\":7}}\n", models.StockRow{Line: 2, LastLine: 2, ProductID: "mug", Title: "Mug", Location: "north", Now: models.Counts{Available: given(5)}, New: models.Counts{OnHand: given(7)}}},
		"reserved is shown": {"product_id,title,location_id,available,reserved\nmug,Mug,north,5,1\n", models.StockRow{Line: 2, LastLine: 2, ProductID: "mug", Title: "Mug", Location: "north", Now: models.Counts{Reserved: given(1)}, New: models.Counts{Available: given(5)}}},
		"a product alone":   {"product_id,title,location_id,available\nmug,Mug,,\n", models.StockRow{Line: 2, LastLine: 2, ProductID: "mug", Title: "Mug"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, []models.StockRow{c.want}, readRows(t, c.file, Auto))
		})
	}
	for file, want := range map[string]string{
		"product_id,location_id,available,on_hand\nmug,north,1,1\n": "not both",
		"product_id,location_id,damaged\nmug,north,-1\n":            "damaged cannot be -1",
		"product_id,location_id,available\nmug,,1\n":                "no location",
		"product_id,location_id,available\n,north,1\n":              "the product_id is empty",
		"product_id,location_id,available\nmug,north,1\"2\n":        `the cell 1"2 has a quote inside; write it as "1""2"`,
		"product_id,location_id,available\nmug,north ,1\n":          `the location_id must not end with a blank: "north "`,
		"product_id,location_id,,available\nmug,north,7,1\n":        `column 3 has the value "7" and no name`,
		`{"productId":"mug","locationId":"north","availible":5}`:    `the field "availible" is not known`,
		`{"productId":"mug","new":{"availible":5}}`:                 `the field "availible" in new is not known`,
		`{"productId":"mug","locationId":"north","available":"5x"}`: `the available "5x" is not a whole number`,
		`{"productId":"mug","locationId":"north","available":5.5}`:  "the available 5.5 is not a whole number",
		`{"productId":"mug","locationId":"north","available":true}`: "available is true and not a whole number",
		`{"productId":"mug","locationId":"north","available":{}}`:   "available is an object and not a whole number",
		`{"productId":"mug","locationId":"north","available":[]}`:   "available is a list or an object, which it cannot be",
		`{"productId":"mug","available":1,"available":2}`:           "the field available is there twice",
		`{"productId":7}`:                                      "productId is the number 7 and must be a text in quotes",
		`{"productId":"mug"`:                                   "does not end",
		`{"productId":"mug",}`:                                 "the line is not JSON from character 20: }",
		`{"productId":"mug"} {"productId":"cup"}`:              "more than one JSON object",
		`{"productId":"mug","new":{"reserved":1}}`:             "belongs to reservations and orders",
		`{"productId":"mug","locationId":"n","available":9e9}`: "the available 9e9 is outside",
		`{"productId":"m\ud800ug"}`:                            "productId has half a character",
		`{"productId":"mug "}`:                                 `the productId must not end with a blank: "mug "`,
	} {
		rows := readRows(t, file, Auto)
		require.Len(t, rows, 1, file)
		assert.Contains(t, rows[0].Problem, want, file)
	}
}

// TestFilesOfSpreadsheets: byte order marks, line ends, separators, empty rows
// and compression do not change the rows.
func TestFilesOfSpreadsheets(t *testing.T) {
	t.Parallel()
	file := head19 + shirt + "TS-M,,,Leeds,,4,1,2,7,10,12\n" + "mug,\"Mug, big\",Title,Default Title,,,,,MUG,,,Leeds,,not stocked,not stocked,not stocked,not stocked,not stocked,\n"
	want := readRows(t, file, Shop)
	require.Len(t, want, 2)
	for name, other := range map[string]string{
		"byte order mark": "\ufeff" + file,
		"CRLF":            strings.ReplaceAll(file, "\n", "\r\n"),
		"both":            "\ufeff" + strings.ReplaceAll(file, "\n", "\r\n"),
		"semicolons":      strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(file, ",", ";"), "Mug; big", "Mug, big"), `"`, ""),
		"tabs":            strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(file, ",", "\t"), "Mug\t big", "Mug, big"), `"`, ""),
		"empty rows":      file + ",,,,,,,,,,,,,,,,,,\n\n , ,,,,,,,,,,,,,,,,,\n",
		"no last end":     strings.TrimSuffix(file, "\n"),
		"gzip":            string(zipped(t, file)),
		"other case":      strings.Replace(file, "Handle,Title", "HANDLE, title", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, want, readRows(t, other, Auto))
		})
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	whole := zipped(t, head19)
	for name, c := range map[string]struct {
		file   string
		format Format
		want   string
	}{
		"empty":                  {"", Auto, "the file is empty"},
		"only a byte order mark": {"\ufeff \n", Auto, "the file is empty"},
		"other columns":          {"a,b\n1,2\n", Auto, "not a stock file"},
		"UTF-16 of other text":   {"\xff\xfeH\x00a\x00", Auto, "not a stock file"},
		"UTF-16 without a mark":  {"p\x00r\x00o\x00", Auto, "UTF-16 without a byte order mark"},
		"header not UTF-8":       {"product_id,gr\xf6\xdfe\n", Auto, "line 1: the line is not UTF-8"},
		"workbook":               {"PK\x03\x04\x14\x00\x06\x00", Auto, `save it as "CSV UTF-8"`},
		"old workbook":           {"\xd0\xcf\x11\xe0\xa1\xb1", Auto, "Excel workbook (.xls)"},
		"list":                   {`[{"productId":"a"}]`, Auto, "one JSON object a line"},
		"page":                   {"<html>", Auto, "HTML"},
		"other format":           {head19, Shop17, "the file is shop, not shop-17"},
		"JSON, not CSV":          {`{"productId":"a"}`, CSV, "the file is jsonl, not csv"},
		"column twice":           {"product_id,product_id\n", Auto, "there twice"},
		"column not known":       {"product_id,location_id,avialable\n", Auto, "the column avialable is not known"},
		"quote in the header":    {"product_id,\"location_id\n", Auto, "the header, in line 1: a quote opens a cell"},
		"only sep=":              {"sep=;\n", Auto, "no line that names the columns"},
		"gzip cut off":           {string(whole[:len(whole)-12]), Auto, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := allRows(strings.NewReader(c.file), c.format)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := allRows(io.MultiReader(strings.NewReader(head19+shirt+"TS-M,,,Leeds,,4,1,2,7,10,12\n"+strings.Repeat(" ", 4096)+"\n"), failing{}), Auto)
	require.ErrorContains(t, err, "the disk is gone")
	_, err = NewWriter(&bytes.Buffer{}, OnlineRetail, nil)
	require.Error(t, err)
}

func TestVariantID(t *testing.T) {
	t.Parallel()
	for id, v := range map[string]Variant{
		mID:                       {Handle: "shirt", Options: [3]VariantOption{{"Size", "M"}, {"Colour", "Dark red"}}},
		"mug?Title=Default+Title": {Handle: "mug", Options: [3]VariantOption{defaultOption}},
		"a%3Fb?=%26&=&x=%3D":      {Handle: "a?b", Options: [3]VariantOption{{"", "&"}, {}, {"x", "="}}},
	} {
		assert.Equal(t, id, v.ID())
		got, ok := ParseVariant(id)
		assert.True(t, ok, id)
		assert.Equal(t, v, got)
	}
	assert.Equal(t, "mug?Title=Default+Title", Variant{Handle: "mug"}.ID(), "without options it is a product without variants")
	for _, id := range []string{"mug", "", "?", "?a=b", "mug?", "what?", "a?b", "a?b=c=d", "a?b=%zz", "a?b=c&d=e&f=g&h=i", "a b?c=d", "a?b=c&="} {
		_, ok := ParseVariant(id)
		assert.False(t, ok, id)
	}
}
