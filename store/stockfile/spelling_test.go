package stockfile

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

// oneQuantity is a file of each format whose one row sets a quantity, which is
// spelled as given.
func oneQuantity(spelling string) map[Format]string {
	cell := `"` + strings.ReplaceAll(spelling, `"`, `""`) + `"`
	return map[Format]string{
		Shop:      head19 + shirt + "TS-M,,,Leeds,,0,0,0,5,5," + cell + "\n",
		Shop17:    "Handle,Location,On hand,SKU\nx,Leeds," + cell + ",TS-M\n",
		CSV:       "product_id,location_id,on_hand\nTS-M,Leeds," + cell + "\n",
		JSONLines: `{"productId":"TS-M","locationId":"Leeds","onHand":` + strconv.Quote(spelling) + "}\n",
	}
}

// TestSpellingsOfNumbers: the formats have one table of spellings.
func TestSpellingsOfNumbers(t *testing.T) {
	t.Parallel()
	for spelling, want := range map[string]int{
		"7": 7, "'7": 7, "7.0": 7, "7.00": 7, "7,0": 7, "7,00": 7, "+7": 7, "007": 7, " 7 ": 7, "\u00a07": 7, "'+7.0": 7, "0": 0, "-0": 0, "-0.0": 0, "1000000000": models.QuantityMax,
	} {
		for format, file := range oneQuantity(spelling) {
			rows := readRows(t, file, Auto)
			require.Len(t, rows, 1)
			assert.Empty(t, rows[0].Problem, "%s: %q", format, spelling)
			assert.Equal(t, given(want), rows[0].New.OnHand, "%s: %q", format, spelling)
		}
	}
	for spelling, want := range map[string]string{
		"1,200": "write thousands without a separator", "1.200": "write thousands without a separator", "7.000": "write thousands without a separator",
		"1 200": "write thousands without a separator", "1'200": "write thousands without a separator", "1\u00a0200": "write thousands without a separator", "1,200,000": "write thousands without a separator",
		"7.5": "not a whole number", "7,5": "not a whole number", "7.": "not a whole number", ".0": "not a whole number", "7.0.0": "not a whole number",
		"\u22127": `the sign "-" of the keyboard`, "\u20137": `the sign "-" of the keyboard`, "1E+05": "may have rounded it", "1.2e3": "may have rounded it",
		"\uff17": "not a whole number", "(7)": "not a whole number", "--7": "not a whole number", "+-7": "not a whole number", "''7": "not a whole number", "0x7": "not a whole number", "1_000": "not a whole number",
		"seven": "not a whole number", "NaN": "not a whole number", "7 pcs": "not a whole number", "=7": "not a whole number", "true": "not a whole number", "99999999999999999999": "not a whole number",
	} {
		for format, file := range oneQuantity(spelling) {
			rows := readRows(t, file, Auto)
			require.Len(t, rows, 1)
			assert.Contains(t, rows[0].Problem, want, "%s: %q", format, spelling)
			assert.Contains(t, rows[0].Problem, strconv.Quote(spelling), "%s quotes the value", format)
		}
	}
	for number, want := range map[string]models.Count{"7": given(7), "7.0": given(7), "7.000": given(7), "1e3": given(1000), "70e-1": given(7), "-0": given(0), "null": {}, `""`: {}} {
		rows := readRows(t, `{"productId":"a","locationId":"b","onHand":`+number+`}`, Auto)
		assert.Equal(t, want, rows[0].New.OnHand, number)
		assert.Empty(t, rows[0].Problem, number)
	}
	for _, number := range []string{"7.5", "1e-1", "1e999", "1e10"} {
		rows := readRows(t, `{"productId":"a","locationId":"b","onHand":`+number+`}`, Auto)
		assert.Contains(t, rows[0].Problem, number)
	}
}

// oneMoment is a file of each format whose one row was counted at a time, which is
// spelled as given.
func oneMoment(spelling string) map[Format]string {
	return map[Format]string{
		Shop:      strings.Replace(head19, "Handle,", "Counted_At,Handle,", 1) + spelling + "," + shirt + "TS-M,,,Leeds,,0,0,0,5,5,7\n",
		Shop17:    "Handle,Location,On hand,SKU,counted_at\nx,Leeds,7,TS-M," + spelling + "\n",
		CSV:       "product_id,location_id,counted_at,on_hand,on_hand_new\nTS-M,Leeds," + spelling + ",5,7\n",
		JSONLines: `{"productId":"TS-M","locationId":"Leeds","new":{"onHand":7},"countedAt":` + strconv.Quote(spelling) + "}\n",
	}
}

// TestSpellingsOfTimes: the formats have one table of spellings. A time without its zone
// has more than one meaning.
func TestSpellingsOfTimes(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 1, 5, 12, 5, 57, 0, time.UTC)
	for _, spelling := range []string{
		"2026-01-05T12:05:57Z", " 2026-01-05T12:05:57.000Z ", "'2026-01-05T12:05:57Z", "2026-01-05 12:05:57Z", "2026-01-05T13:05:57+01:00", "2026-01-05 07:05:57-05:00", "2026-01-05t12:05:57z",
	} {
		for format, file := range oneMoment(spelling) {
			rows := readRows(t, file, Auto)
			require.Len(t, rows, 1)
			assert.Empty(t, rows[0].Problem, "%s: %q", format, spelling)
			assert.Equal(t, &want, rows[0].CountedAt, "%s: %q", format, spelling)
			assert.Equal(t, given(7), rows[0].New.OnHand, "%s: %q", format, spelling)
		}
	}
	for format, file := range oneMoment("") {
		rows := readRows(t, file, Auto)
		require.Len(t, rows, 1)
		assert.Nil(t, rows[0].CountedAt, format)
		assert.Empty(t, rows[0].Problem, format)
	}
	for _, spelling := range []string{"2026-01-05T12:05:57", "2026-01-05 12:05", "2026-01-05", "05/01/2026 12:05", "5 Jan 2026", "12:05", "1767614757", "2026-01-05T12:05:57 CET", "2026-02-30T12:05:57Z", "yesterday"} {
		for format, file := range oneMoment(spelling) {
			rows := readRows(t, file, Auto)
			require.Len(t, rows, 1)
			assert.Contains(t, rows[0].Problem, "is not a time with its zone", "%s: %q", format, spelling)
			assert.Contains(t, rows[0].Problem, strconv.Quote(spelling), "%s quotes the value", format)
		}
	}
	for _, value := range []string{"1767614757", "true", `{"at":1}`} {
		rows := readRows(t, `{"productId":"a","locationId":"b","onHand":7,"countedAt":`+value+`}`, Auto)
		assert.Contains(t, rows[0].Problem, "countedAt is ", value)
	}
}

// oneID is a file of each format whose one row has this product id and title.
func oneID(id, title string) map[Format]string {
	quoted := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	return map[Format]string{
		Shop:      head19 + "x," + quoted(title) + ",,,,,,," + quoted(id) + ",,,Leeds,,0,0,0,5,5,\n",
		Shop17:    head17 + "x," + quoted(title) + ",,,,,,," + quoted(id) + ",,,Leeds,0,0,0,5,5\n",
		CSV:       "product_id,title,location_id\n" + quoted(id) + "," + quoted(title) + ",Leeds\n",
		JSONLines: `{"productId":` + strconv.Quote(id) + `,"title":` + strconv.Quote(title) + `,"locationId":"Leeds"}`,
	}
}

// reservationLike has the form of a reservation's id.
const reservationLike = "res_0123456789abcdef0123456789abcdef"

// TestSpellingsOfIDsAndTitles: ids are what the file has, titles are cleaned, and
// the report says so.
func TestSpellingsOfIDsAndTitles(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"0017", "'7", "90.750", "1E5", "+7", "=1+1", "a b", "\u00c4rmel", "NULL", "Onhand:1", "res_1", reservationLike + "0"} {
		for format, file := range oneID(id, "T") {
			rows := readRows(t, file, Auto)
			assert.Empty(t, rows[0].Problem, format)
			assert.Equal(t, id, rows[0].ProductID, format)
		}
	}
	for id, want := range map[string]string{
		" SKU": `must not begin with a blank: " SKU"`, "SKU ": `must not end with a blank: "SKU "`, "SKU\u00a0": `must not end with U+00A0: "SKU\u00a0"`,
		"S\u200bKU": `the invisible character U+200B`, "SKU\ufeff": `the invisible character U+FEFF`, "S\tKU": `control characters: "S\tKU"`, strings.Repeat("x", 256): "longer than 255",
		"onhand:SKU": `must not begin with onhand:, which global ids begin with: "onhand:SKU"`, reservationLike: "must not have the form of a reservation's id",
	} {
		for format, file := range oneID(id, "T") {
			rows := readRows(t, file, Auto)
			require.Len(t, rows, 1, format)
			assert.Contains(t, rows[0].Problem, want, "%s: %q", format, id)
		}
	}
	for title, want := range map[string][2]string{
		" Mug ": {"Mug", ""}, "Caf\u00e9 \U0001f375": {"Caf\u00e9 \U0001f375", ""}, "Mug\tblue": {"Mug blue", "became blanks"}, strings.Repeat("x", 300): {strings.Repeat("x", 255), "cut to 255"},
	} {
		for format, file := range oneID("SKU", title) {
			rows := readRows(t, file, Auto)
			assert.Empty(t, rows[0].Problem, format)
			assert.Equal(t, want[0], rows[0].Title, format)
			assert.Contains(t, rows[0].Note, want[1], format)
			assert.Equal(t, want[1] == "", rows[0].Note == "", format)
		}
	}
	for format, file := range oneID("SKU", "Caf# cr#me") {
		if format == JSONLines {
			file += "\n" + `{"productId":"SKU"}`
		}
		rows := readRows(t, strings.Replace(strings.Replace(file, "#", "\xe9", 1), "#", "\xe8", 1), Auto)
		assert.Contains(t, rows[0].Problem, "the line is not UTF-8 at ", format)
		assert.Contains(t, rows[0].Problem, `Caf\xe9 cr\xe8me`, format)
	}
}

// swallowedFile has one of its rows for each %s.
var swallowedFiles = map[string]struct{ head, open, row, close string }{
	"shop":          {head19, `a,"Cable 16,Title,Default Title,,,,,SKU-A,,,London,,0,0,0,5,5,7`, `b,T,Title,Default Title,,,,,SKU-B,,,London,,0,0,0,5,5,9`, `c,Cable 16",Title,Default Title,,,,,SKU-C,,,London,,0,0,0,5,5,8`},
	"short rows":    {head19, `a,"Cable 16,Title,Default Title,,,,,SKU-A,,,London,,0,0,0,5,5`, `b,T,Title,Default Title,,,,,SKU-B,,,London,,0,0,0,5,5`, `c,Cable 16",Title,Default Title,,,,,SKU-C,,,London,,0,0,0,5,5`},
	"not stocked":   {head17, `a,"16,Title,Default Title,,,,,A,,,London,0,0,0,5,5`, `b,T,Title,Default Title,,,,,B,,,London,not stocked,not stocked,not stocked,not stocked,not stocked`, `c,16",Title,Default Title,,,,,C,,,London,0,0,0,5,5`},
	"own":           {"product_id,title,location_id,available\n", `a,"12 inch,north,5`, `b,T,north,6`, `c,13",north,7`},
	"title first":   {"title,product_id,location_id,available\n", `"12 inch,a,north,5`, `T,b,north,6`, `13",c,north,7`},
	"title last":    {"product_id,location_id,available,title\n", `a,north,5,"12 inch`, `b,north,6,T`, `c,north,7,13"`},
	"semicolons":    {"product_id;title;location_id;available\n", `a;"12 inch;north;5`, `b;T;north;6`, `c;13";north;7`},
	"a doubled one": {"product_id,title,location_id,available\n", `a,"12 inch,north,5`, `b,"",north,6`, `c,13",north,7`},
}

// TestSwallowedLines: a cell in quotes that contains rows of the file is a problem
// of each of its lines, and the rows before and after it are read.
func TestSwallowedLines(t *testing.T) {
	t.Parallel()
	for name, c := range swallowedFiles {
		for between := range 4 {
			t.Run(fmt.Sprint(name, between), func(t *testing.T) {
				t.Parallel()
				file := c.head + strings.Replace(c.row, `""`, "T", 1) + "\n" + c.open + "\n" + strings.Repeat(c.row+"\n", between) + c.close + "\n" + strings.Replace(c.row, `""`, "T", 1) + "\n"
				for _, ends := range []string{"\n", "\r\n", "\r"} {
					rows := readRows(t, strings.ReplaceAll(file, "\n", ends), Auto)
					require.Len(t, rows, between+4)
					for i, row := range rows {
						assert.Equal(t, i+2, row.Line, "every line is there once")
						assert.Equal(t, i+2, row.LastLine)
						if i == 0 || i == len(rows)-1 {
							assert.Empty(t, row.Problem)
						} else {
							assert.Contains(t, row.Problem, fmt.Sprintf("lines 3 to %d are read as one row", between+4))
						}
					}
				}
			})
		}
	}
}

// TestLineBreaksInCells: a title with a line break is no swallowed line.
func TestLineBreaksInCells(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		head19 + "a,\"Soft, warm,\nwashable\",Title,Default Title,,,,,SKU-A,,,London,A1,0,0,0,5,5,\n",
		head19 + "a,\"Soft\n\n7\",Title,Default Title,,,,,SKU-A,,,London,A1,0,0,0,5,5,7\n",
		head17 + "a,\"Soft\nand 7 8\",Title,Default Title,,,,,SKU-A,,,London,0,0,0,5,5\n",
		"product_id,title,location_id,available\nSKU-A,\"Soft, warm,\nwashable\",London,5\n",
		"title,product_id,location_id,available\n\"Soft\nwashable\",SKU-A,London,5\n",
		"product_id,location_id,available,title\nSKU-A,London,5,\"Soft\n5 mm, red\"\n",
	} {
		rows := readRows(t, file, Auto)
		require.Len(t, rows, 1, file)
		assert.Empty(t, rows[0].Problem, file)
		assert.Equal(t, "SKU-A", rows[0].ProductID)
		assert.Equal(t, strings.Count(file, "\n"), rows[0].LastLine)
		assert.Contains(t, rows[0].Title, "Soft")
		assert.Contains(t, rows[0].Note, "line breaks")
	}
	rows := readRows(t, "product_id,location_id,available\n\"a\nb\",north,5\nc,north,6\n", Auto)
	require.Len(t, rows, 2)
	assert.Contains(t, rows[0].Problem, `control characters: "a\nb"`)
	assert.Equal(t, []int{2, 3}, []int{rows[0].Line, rows[0].LastLine})
}

// TestShortAndSurplusCells: cells that are missing at the end are empty, and empty
// ones more than the header are nothing.
func TestShortAndSurplusCells(t *testing.T) {
	t.Parallel()
	full := head19 + shirt + "TS-M,,,Leeds,,4,1,2,7,10,"
	want := readRows(t, full+"\n", Auto)
	for _, file := range []string{strings.TrimSuffix(full, ","), full + ",,,", full + ", , ", full + `,"",`} {
		assert.Equal(t, want, readRows(t, file+"\n", Auto), file)
	}
	assert.Equal(t, given(9), readRows(t, full+"9,,\n", Auto)[0].New.OnHand)
	assert.Contains(t, readRows(t, full+"9,,7\n", Auto)[0].Problem, `21 cells, and the header names 19 columns; the value "7" is in none`)
	assert.Contains(t, readRows(t, "product_id,location_id,available\na,b,1,200\n", Auto)[0].Problem, `the value "200" is in none`)
	short := readRows(t, "product_id,location_id,available,damaged\na,b,1\nc\n", Auto)
	assert.Equal(t, given(1), short[0].New.Available)
	assert.Equal(t, models.StockRow{Line: 3, LastLine: 3, ProductID: "c"}, short[1])
}

// TestEncodings: one file in every encoding gives the same rows.
func TestEncodings(t *testing.T) {
	t.Parallel()
	file := head19 + "\u00e4rmel,\u00c4rmel,Size,M,,,,,TS-M,,,Leeds,,4,1,2,7,10,12\n"
	want := readRows(t, file, Auto)
	little, big := "\xff\xfe", "\xfe\xff"
	for _, u := range utf16.Encode([]rune(file)) {
		little += string([]byte{byte(u), byte(u >> 8)})
		big += string([]byte{byte(u >> 8), byte(u)})
	}
	for name, other := range map[string]string{
		"little": little, "big": big, "gzip": string(zipped(t, little)), "CR": strings.ReplaceAll(file, "\n", "\r"),
		"tabs": strings.ReplaceAll(file, ",", "\t"),
	} {
		assert.Equal(t, want, readRows(t, other, Auto), name)
	}
	named := readRows(t, "\ufeffsep=;\r\n"+strings.ReplaceAll(strings.ReplaceAll(file, ",", ";"), "\n", "\r\n"), Auto)
	require.Len(t, named, 1)
	assert.Equal(t, 3, named[0].Line)
	named[0].Line, named[0].LastLine = 2, 2
	assert.Equal(t, want, named)
}

// TestTheShownQuantityWasEdited: a compared file whose shown quantities do not add
// up says which column changes stock.
func TestTheShownQuantityWasEdited(t *testing.T) {
	t.Parallel()
	stocks, locations := shopStock()
	exported := writeAll(t, CSV, stocks[:1], locations)
	require.Contains(t, exported, ",north,7,1,2,3,4,5,6,22,")
	for _, edited := range []string{
		strings.Replace(exported, ",north,7,1", ",north,9,1", 1), strings.Replace(exported, ",6,22,", ",6,25,", 1), strings.Replace(exported, ",2,3,4,5", ",2,0,4,5", 1),
		strings.Replace(writeAll(t, JSONLines, stocks[:1], locations), `"available":7`, `"available":9`, 1),
	} {
		problems := 0
		for _, row := range readRows(t, edited, Auto) {
			if row.Problem != "" {
				problems++
				assert.Contains(t, row.Problem, "to change stock, write the new quantity (available_new, on_hand_new, new) and leave the others alone")
			}
		}
		assert.Equal(t, 1, problems, edited)
	}
}
