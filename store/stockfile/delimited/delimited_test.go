package delimited

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// readAll reads all records of a file. Each is shown as its lines and its cells, or
// its problem.
func readAll(t testing.TB, r io.Reader) (shown []string) {
	t.Helper()
	lines, err := NewLines(r)
	if err != nil {
		return []string{err.Error()}
	}
	records, err := NewRecords(lines)
	require.NoError(t, err)
	for {
		record, err := records.Next()
		if errors.Is(err, io.EOF) {
			return shown
		}
		if err != nil {
			return append(shown, err.Error())
		}
		text := strings.Join(record.Cells, "|")
		if record.Problem != "" {
			text = "! " + record.Problem
		}
		shown = append(shown, fmt.Sprintf("%d-%d %s", record.First(), record.Last(), text))
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file string
		want []string
	}{
		"plain":                        {"a,b\n1,2\n", []string{"1-1 a|b", "2-2 1|2"}},
		"no last end":                  {"a,b\n1,2", []string{"1-1 a|b", "2-2 1|2"}},
		"CRLF":                         {"a,b\r\n1,\"x\r\ny\"\r\n3,4\r\n", []string{"1-1 a|b", "2-3 1|x\ny", "4-4 3|4"}},
		"CR":                           {"a,b\r1,\"x\ry\"\r3,4\r", []string{"1-1 a|b", "2-3 1|x\ny", "4-4 3|4"}},
		"mixed ends":                   {"a,b\n1,2\r\n3,4\r5,6", []string{"1-1 a|b", "2-2 1|2", "3-3 3|4", "4-4 5|6"}},
		"empty lines":                  {"\n\na,b\n\n1,2\n", []string{"3-3 a|b", "4-4 ", "5-5 1|2"}},
		"semicolons":                   {"a;b,c;d\n1;2\n", []string{"1-1 a|b,c|d", "2-2 1|2"}},
		"tabs":                         {"a\tb\n1\t\n", []string{"1-1 a|b", "2-2 1|"}},
		"sep=":                         {"sep=;\r\na;b,c,d\r\n1;2\r\n", []string{"2-2 a|b,c,d", "3-3 1|2"}},
		"SEP= in quotes":               {"\"SEP=\t\"\na\tb\n", []string{"2-2 a|b"}},
		"sep=|":                        {"sep=|\na|b\n", []string{"2-2 a|b"}},
		"byte order mark":              {"\ufeffsep=;\na;b\n", []string{"2-2 a|b"}},
		"quotes":                       {"\"a\",\"b\"\"c\",\"\",\" d \"\n", []string{`1-1 a|b"c|| d `}},
		"blanks of quotes":             {"\"a\" , \"b\"\n", []string{"1-1 a|b"}},
		"separator in a cell":          {"\"a,b\",c\n", []string{"1-1 a,b|c"}},
		"quote inside":                 {"a,b\n1,12\" x\n3,4\n", []string{"1-1 a|b", `2-2 ! the cell 12" x has a quote inside; write it as "12"" x"`, "3-3 3|4"}},
		"quote too early":              {"a,b\n1,\"12\" x\"\n3,4\n", []string{"1-1 a|b", `2-2 ! the quote before x" closes its cell too early; double the quotes inside a cell, and end the cell with one`, "3-3 3|4"}},
		"open quote":                   {"a,b\n1,\"x\n3,4\n5,6\n", []string{"1-1 a|b", "2-2 ! " + openQuote, "3-3 3|4", "4-4 5|6"}},
		"open, then a quote":           {"a,b\n1,\"x\n3,\"y\"\n5,6\n", []string{"1-1 a|b", "2-2 ! " + openQuote, "3-3 3|y", "4-4 5|6"}},
		"open at the end":              {"a,b\n1,\"", []string{"1-1 a|b", "2-2 ! " + openQuote}},
		"not UTF-8":                    {"a,b\nCaf\xe9,2\n3,4\n", []string{"1-1 a|b", `2-2 ! the line is not UTF-8 at "Caf\xe9,2"; save the file as "CSV UTF-8"`, "3-3 3|4"}},
		"not UTF-8 in a cell of lines": {"a,b\n1,\"x\n\xe9\"\n3,4\n", []string{"1-1 a|b", "2-2 ! " + openQuote, `3-3 ! the line is not UTF-8 at "\xe9\""; save the file as "CSV UTF-8"`, "4-4 3|4"}},
		"NUL":                          {"a,b\n1,\x002\n3,4\n", []string{"1-1 a|b", "2-2 ! the line has a NUL byte, so the file is not text; save it as CSV in UTF-8", "3-3 3|4"}},
		"workbook":                     {"PK\x03\x04 and more", []string{otherFiles[0].message}},
		"UTF-32":                       {"\xff\xfe\x00\x00a\x00\x00\x00", []string{"the file is UTF-32; save it as CSV in UTF-8"}},
		"UTF-16, no mark":              {"a\x00b\x00\n\x00", []string{"the file is UTF-16 without a byte order mark, or is not text; save it as CSV in UTF-8"}},
		"empty":                        {"\ufeff \r\n\n", []string{"the file is empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, readAll(t, strings.NewReader(c.file)))
			assert.Equal(t, c.want, readAll(t, iotest.OneByteReader(strings.NewReader(c.file))), "byte by byte")
		})
	}
}

// TestLongLines: a line or a record that is too long is a problem of its first
// line, and the lines after it are read.
func TestLongLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3*LineSizeMax)
	assert.Equal(t, []string{"1-1 a|b", "2-2 ! the line is longer than 65536 bytes", "3-3 3|4"}, readAll(t, strings.NewReader("a,b\n"+long+"\n3,4\n")))
	assert.Equal(t, []string{"1-1 a|b", "2-2 ! the line is longer than 65536 bytes"}, readAll(t, strings.NewReader("a,b\n"+long)))
	shown := readAll(t, strings.NewReader("a,b\n1,\""+strings.Repeat("\nx", 5000)+"\"\n3,4\n"))
	assert.Len(t, shown, 5003)
	assert.Equal(t, "2-2 ! "+openQuote, shown[1])
	assert.Equal(t, "3-3 x", shown[2])
	assert.Equal(t, "5003-5003 3|4", shown[5002])
}

// utf16Of encodes text.
func utf16Of(order binary.ByteOrder, units ...uint16) string {
	raw := make([]byte, 2*len(units))
	for i, u := range units {
		order.PutUint16(raw[2*i:], u)
	}
	return string(raw)
}

func TestUTF16(t *testing.T) {
	t.Parallel()
	text := append([]uint16{0xfeff}, utf16.Encode([]rune("Gr\u00f6\u00dfe,\U0001f600\r\n1,2\r\n"))...)
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(utf16Of(binary.LittleEndian, text...)))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	for _, file := range []string{utf16Of(binary.LittleEndian, text...), utf16Of(binary.BigEndian, text...), b.String()} {
		assert.Equal(t, []string{"1-1 Gr\u00f6\u00dfe|\U0001f600", "2-2 1|2"}, readAll(t, iotest.OneByteReader(strings.NewReader(file))))
	}
	for name, file := range map[string]string{
		"half a character": utf16Of(binary.LittleEndian, 0xfeff, 'a', '\n', 0xd83d, 'b'),
		"the other half":   utf16Of(binary.LittleEndian, 0xfeff, 'a', '\n', 0xde00, 'b'),
		"half at the end":  utf16Of(binary.LittleEndian, 0xfeff, 'a', '\n', 0xd83d),
		"an odd last byte": utf16Of(binary.LittleEndian, 0xfeff, 'a', '\n', 'b') + "c",
	} {
		shown := readAll(t, strings.NewReader(file))
		require.Len(t, shown, 2, name)
		assert.Contains(t, shown[1], "2-2 ! the line is not UTF-8", name)
	}
}

func TestFaultsOfReading(t *testing.T) {
	t.Parallel()
	broken := io.MultiReader(strings.NewReader("a,b\n1,2\n"+strings.Repeat(" ", startSize)+"\n"), iotest.ErrReader(errors.New("the disk is gone")))
	assert.Contains(t, strings.Join(readAll(t, broken), "\n"), "after line 3: the disk is gone")
	assert.Equal(t, []string{"read the beginning: the disk is gone"}, readAll(t, iotest.ErrReader(errors.New("the disk is gone"))))
	assert.Contains(t, readAll(t, strings.NewReader("\x1f\x8b\x01"))[0], "open gzip")
}

// FuzzRecords: every line of a file is in exactly one record, and what is read is
// text of the file.
func FuzzRecords(f *testing.F) {
	for _, file := range []string{"a,b\n1,\"x\n\"\"y\"\n", "sep=;\na;\"b\n\xff\n\"", "\"a\n\"b\nc\"", "\xff\xfea\x00,\x00\n\x00", "a\r\r\n\rb", "\"\n\n\"\""} {
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		text, err := decode(bytes.NewReader(file))
		if err != nil {
			return
		}
		plain, err := io.ReadAll(text)
		if err != nil || len(plain) == 0 {
			return
		}
		want := bytes.Count(bytes.TrimSuffix(plain, []byte("\n")), []byte("\n")) + 1
		lines, err := NewLines(bytes.NewReader(file))
		if err != nil {
			return
		}
		records, err := NewRecords(lines)
		require.NoError(t, err)
		var seen []int
		for {
			record, err := records.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			for _, line := range record.Lines {
				seen = append(seen, line.Number)
			}
			require.Equal(t, record.Problem != "", record.Cells == nil)
			for _, cell := range record.Cells {
				require.True(t, utf8.ValidString(cell))
			}
		}
		if len(seen) == 0 {
			return // only sep=
		}
		require.True(t, slices.IsSorted(seen))
		require.Equal(t, want, seen[len(seen)-1])
		require.Len(t, seen, want-seen[0]+1)
	})
}
