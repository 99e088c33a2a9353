package stockfile

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/stockfile/delimited"
)

const header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

// invoiceFile has each kind once, two products whose ids differ only in case, one
// product with two descriptions and one without any.
const invoiceFile = header +
	`100,15056bl,EDWARDIAN PARASOL BLACK,10,2010-12-01T08:26:00,2.55,17850,United Kingdom
100,15056BL,"PARASOL, BLACK",3,2010-12-01T08:26:00,2.55,17850,United Kingdom
100,15056bl,EDWARDIAN PARASOL BLACK,5,2010-12-01T08:27:00,2.55,17850,United Kingdom
C101,15056BL,PARASOL BLACK,-2,2010-12-01T08:27:00,2.55,17850,United Kingdom
102,22423,,-7,2010-12-02T09:00:00,0,,United Kingdom
A103,B,Adjust bad debt,1,2010-12-02T09:01:00,11062.06,,United Kingdom
`

func zipped(t *testing.T, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(s))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestReadOnlineRetail(t *testing.T) {
	t.Parallel()
	half, err := ParseOpening("0.5")
	require.NoError(t, err)
	inputs := map[string][]byte{
		"plain":            []byte(invoiceFile),
		"gzip":             zipped(t, invoiceFile),
		"byte order mark":  []byte("\ufeff" + invoiceFile),
		"carriage returns": []byte(strings.ReplaceAll(invoiceFile, "\n", "\r\n")),
		"no last newline":  []byte(strings.TrimSuffix(invoiceFile, "\n")),
		"other times": []byte(strings.NewReplacer("2010-12-01T08:26:00", "12/1/2010 8:26", "2010-12-01T08:27:00", "12/1/2010 8:27",
			"2010-12-02T09:00:00", "2010-12-02 09:00:00").Replace(invoiceFile)),
	}
	for name, input := range inputs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, summary, err := ReadOnlineRetail(bytes.NewReader(input), FullOpening)
			require.NoError(t, err)
			at := OnlineRetailLocation().LocationID
			require.Equal(t, []models.OpeningRow{
				{ProductID: "15056BL", Title: "PARASOL, BLACK", LocationID: at, Available: 3},
				{ProductID: "15056bl", Title: "EDWARDIAN PARASOL BLACK", LocationID: at, Available: 15},
				{ProductID: "22423", Title: "", LocationID: at, Available: 7},
				{ProductID: "B", Title: "Adjust bad debt", LocationID: at, Available: 1},
			}, rows)
			require.Equal(t, Summary{
				Lines: 6, Products: 4,
				Sales: InvoiceCount{2, 4, 19}, Cancellations: InvoiceCount{1, 1, 2}, Adjustments: InvoiceCount{1, 1, 7},
				LinesPerInvoiceMax: 3, OpeningUnits: 26,
				First: time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC), Last: time.Date(2010, 12, 2, 9, 1, 0, 0, time.UTC),
			}, summary)

			rows, summary, err = ReadOnlineRetail(bytes.NewReader(input), half)
			require.NoError(t, err)
			require.Equal(t, []int{1, 7, 3, 0}, []int{rows[0].Available, rows[1].Available, rows[2].Available, rows[3].Available})
			require.Equal(t, 11, summary.OpeningUnits)
		})
	}
}

func TestReadOnlineRetailBadLines(t *testing.T) {
	t.Parallel()
	good := "1,A,x,1,2010-12-01T08:26:00,1,,UK\n"
	for name, c := range map[string]struct{ line, want string }{
		"no invoice":          {",A,x,1,2010-12-01T08:26:00,1,,UK", "line 3: the InvoiceNo is empty"},
		"no product":          {"2, ,x,1,2010-12-01T08:26:00,1,,UK", "line 3: the StockCode is empty"},
		"quantity zero":       {"2,A,x,0,2010-12-01T08:26:00,1,,UK", `line 3: the Quantity "0"`},
		"quantity not whole":  {"2,A,x,1.5,2010-12-01T08:26:00,1,,UK", `line 3: the Quantity "1.5"`},
		"quantity huge":       {"2,A,x,1000000001,2010-12-01T08:26:00,1,,UK", `line 3: the Quantity "1000000001"`},
		"sum huge":            {"2,A,x,1000000000,2010-12-01T08:26:00,1,,UK", "line 3: A needs more than"},
		"time":                {"2,A,x,1,yesterday,1,,UK", `line 3: the InvoiceDate "yesterday"`},
		"cancellation adds":   {"C2,A,x,1,2010-12-01T08:26:00,1,,UK", "line 3: the cancellation C2 has the positive"},
		"mixed kinds":         {"1,A,x,-1,2010-12-01T08:26:00,1,,UK", "line 3: the invoice 1 both sells and writes off"},
		"short":               {"2,A,x,1", `line 3: the InvoiceDate "" is not like`},
		"long":                {"2,A,x,1,2010-12-01T08:26:00,1,,UK,more", `line 3: 9 cells, and the header names 8 columns; the value "more" is in none`},
		"quote":               {`2,A,x"y,1,2010-12-01T08:26:00,1,,UK`, `line 3: the cell x"y has a quote inside`},
		"not UTF-8":           {"2,A,\xa3,1,2010-12-01T08:26:00,1,,UK", "line 3: the line is not UTF-8"},
		"NUL":                 {"2,A\x00,x,1,2010-12-01T08:26:00,1,,UK", "line 3: the line has a NUL byte"},
		"control character":   {"2,A\x01,x,1,2010-12-01T08:26:00,1,,UK", "line 3: the StockCode must not contain control characters"},
		"product id too long": {"2," + strings.Repeat("A", 256) + ",x,1,2010-12-01T08:26:00,1,,UK", "line 3: the StockCode must not be longer than 255"},
		"swallowed":           {"2,A,\"x,1,2010-12-01T08:26:00,1,,UK\n3,B,y\",1,2010-12-01T08:26:00,1,,UK", "line 3: lines 3 to 4 are read as one row"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, summary, err := ReadOnlineRetail(strings.NewReader(header+good+c.line+"\n"), FullOpening)
			var bad *BadLinesError
			require.ErrorAs(t, err, &bad)
			require.ErrorContains(t, err, c.want)
			require.Len(t, bad.Lines, 1)
			require.Nil(t, rows, "an invalid file gives nothing else")
			require.Zero(t, summary)
		})
	}
}

func TestReadOnlineRetailListsTheFirstBadLines(t *testing.T) {
	t.Parallel()
	_, _, err := ReadOnlineRetail(strings.NewReader(header+strings.Repeat("1,A\n", 25)), FullOpening)
	var bad *BadLinesError
	require.ErrorAs(t, err, &bad)
	require.Len(t, bad.Lines, BadLinesMax)
	require.Equal(t, 5, bad.More)
	require.ErrorContains(t, err, "25 bad lines\nline 2: the Quantity \"\" must be")
	require.ErrorContains(t, err, "\nand 5 more")
}

func TestReadOnlineRetailInvalidFiles(t *testing.T) {
	t.Parallel()
	whole := zipped(t, invoiceFile)
	damaged := bytes.Clone(whole)
	damaged[len(damaged)-6] ^= 0xff // in the checksum
	for name, c := range map[string]struct {
		input   io.Reader
		opening Opening
		want    string
	}{
		"empty":         {strings.NewReader(""), FullOpening, "the file is empty"},
		"other file":    {strings.NewReader("Handle,Title\n"), FullOpening, "not an Online Retail file"},
		"gzip cut off":  {bytes.NewReader(whole[:len(whole)-12]), FullOpening, "unexpected EOF"},
		"gzip damaged":  {bytes.NewReader(damaged), FullOpening, "checksum"},
		"gzip in name":  {bytes.NewReader([]byte{0x1f, 0x8b, 1}), FullOpening, "open gzip"},
		"open quote":    {strings.NewReader(invoiceFile + `9,"` + strings.Repeat("x\n", delimited.LineSizeMax)), FullOpening, "line 8: a quote opens a cell that does not close"},
		"reading fails": {io.MultiReader(strings.NewReader(invoiceFile), failing{}), FullOpening, "the disk is gone"},
		"no opening":    {strings.NewReader(invoiceFile), Opening{}, "no opening"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, summary, err := ReadOnlineRetail(c.input, c.opening)
			require.ErrorContains(t, err, c.want)
			require.Nil(t, rows)
			require.Zero(t, summary)
		})
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

func TestParseOpening(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Opening{
		"full": FullOpening, "1": FullOpening, "1.0": FullOpening, "0.1": {100_000}, ".25": {250_000}, "0.0000019": {1},
	} {
		got, err := ParseOpening(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, in := range []string{"", "0", "1.1", "-0.5", "half", "0.5x", "0.0000001", "0.5.5", "1e-1", "NaN", "."} {
		_, err := ParseOpening(in)
		require.Error(t, err, in)
	}
	require.Equal(t, "full", FullOpening.String())
	require.Equal(t, "0.25", Opening{250_000}.String())
	require.Equal(t, 3, Opening{100_000}.of(30), "a tenth of thirty is exactly three")
	var flag Opening
	require.NoError(t, flag.UnmarshalText([]byte("0.5")))
	require.Equal(t, "0.5", fmt.Sprint(flag))
}

func TestTitleIsTheMostFrequentDescription(t *testing.T) {
	t.Parallel()
	var p retailProduct
	for _, d := range []string{"", "check", "CAKESTAND", "CAKE STAND", "CAKE STAND", "CAKESTAND", ""} {
		p.addDescription(d)
	}
	require.Equal(t, "CAKESTAND", p.title(), "of two as frequent, the first")
}
