package delimited

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// RecordLinesMax bounds the lines of one record. Without it one missing quote would
// read the rest of the file as one cell, once for each line.
const RecordLinesMax = 200

// separators are those between the cells of a record.
const separators = ",;\t"

// Record is one record of a CSV file.
type Record struct {
	// Lines are the lines of the record. There is more than one where a cell in
	// quotes has line breaks.
	Lines []Line
	// Cells are valid until the next call of Next.
	Cells []string
	// Problem is why the record cannot be read.
	Problem string
}

// First and Last are the numbers of the record's lines.
func (r Record) First() int { return r.Lines[0].Number }
func (r Record) Last() int  { return r.Lines[len(r.Lines)-1].Number }

// Blank reports whether no cell has a value.
func (r Record) Blank() bool {
	if r.Problem != "" {
		return false
	}
	for _, cell := range r.Cells {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

// Records reads the records of a CSV file.
type Records struct {
	lines     *Lines
	separator byte
	cells     []string
	first     [1]Line
}

// NewRecords finds the separator: the one that a first line sep= names, else the
// most frequent of the first line with a value.
func NewRecords(lines *Lines) (*Records, error) {
	line, err := lines.Next()
	if err != nil {
		return nil, err
	}
	if separator, ok := namedSeparator(line.Text); ok {
		return &Records{lines: lines, separator: separator}, nil
	}
	lines.Back(line)
	return &Records{lines: lines, separator: frequentSeparator(line.Text)}, nil
}

// namedSeparator parses a line such as sep=; that spreadsheets write and read.
func namedSeparator(line string) (byte, bool) {
	line = strings.Trim(line, `" `)
	if len(line) == len("sep=;") && strings.EqualFold(line[:4], "sep=") {
		return line[4], strings.IndexByte(separators+"|", line[4]) >= 0
	}
	return 0, false
}

func frequentSeparator(line string) byte {
	best := separators[0]
	for i := range len(separators) {
		if strings.Count(line, separators[i:i+1]) > strings.Count(line, string(best)) {
			best = separators[i]
		}
	}
	return best
}

// Next returns the next record, or io.EOF after the last. After a record with a
// Problem, reading goes on at the line after its last. Any other error ends the
// file.
func (r *Records) Next() (Record, error) {
	line, err := r.lines.Next()
	if err != nil {
		return Record{}, err
	}
	r.first[0] = line
	record := Record{Lines: r.first[:], Problem: line.Problem}
	switch {
	case line.Problem != "":
		return record, nil
	case strings.IndexByte(line.Text, '"') < 0:
		r.cells = r.split(r.cells[:0], line.Text)
		record.Cells = r.cells
		return record, nil
	}
	p := recordParser{Records: r, lines: []Line{line}, text: line.Text}
	problem, err := p.parse()
	if err != nil {
		return Record{}, err
	}
	if problem != "" {
		r.lines.Back(p.lines[1:]...)
		record.Problem = problem
		return record, nil
	}
	r.cells = p.cells
	record.Lines, record.Cells = p.lines, p.cells
	return record, nil
}

// Split splits a line at its separators, as if it had no quotes.
func (r *Records) Split(line Line) []string {
	return r.split(nil, strings.ReplaceAll(line.Text, `"`, ""))
}

// Separates reports whether a text contains the separator.
func (r *Records) Separates(text string) bool { return strings.IndexByte(text, r.separator) >= 0 }

func (r *Records) split(cells []string, text string) []string {
	for {
		at := strings.IndexByte(text, r.separator)
		if at < 0 {
			return append(cells, text)
		}
		cells = append(cells, text[:at])
		text = text[at+1:]
	}
}

// recordParser parses one record that has quotes.
type recordParser struct {
	*Records
	lines []Line
	text  string // what is left of the current line
	cells []string
}

// parse parses the cells. problem says what is wrong with the first line.
func (p *recordParser) parse() (problem string, err error) {
	p.cells = p.Records.cells[:0]
	for {
		var cell string
		if begin := strings.TrimLeft(p.text, " "); strings.HasPrefix(begin, `"`) {
			p.text = begin[1:]
			cell, problem, err = p.quoted()
		} else {
			cell, problem = p.bare()
		}
		if problem != "" || err != nil {
			return problem, err
		}
		p.cells = append(p.cells, cell)
		if p.text == "" {
			return "", nil
		}
		p.text = p.text[1:] // the separator
	}
}

// bare parses a cell without quotes.
func (p *recordParser) bare() (cell, problem string) {
	end := strings.IndexByte(p.text, p.separator)
	if end < 0 {
		end = len(p.text)
	}
	cell, p.text = p.text[:end], p.text[end:]
	if strings.IndexByte(cell, '"') >= 0 {
		return "", fmt.Sprintf(`the cell %s has a quote inside; write it as "%s"`, shorten(cell), shorten(strings.ReplaceAll(cell, `"`, `""`)))
	}
	return cell, ""
}

// quoted parses a cell after its opening quote, through line breaks.
func (p *recordParser) quoted() (cell, problem string, err error) {
	var value strings.Builder
	for {
		at := strings.IndexByte(p.text, '"')
		if at < 0 {
			value.WriteString(p.text)
			if problem, err := p.more(value.Len()); problem != "" || err != nil {
				return "", problem, err
			}
			value.WriteByte('\n')
			continue
		}
		value.WriteString(p.text[:at])
		p.text = p.text[at+1:]
		if strings.HasPrefix(p.text, `"`) {
			value.WriteByte('"')
			p.text = p.text[1:]
			continue
		}
		after := strings.TrimLeft(p.text, " ")
		if after != "" && after[0] != p.separator && len(p.lines) > 1 {
			return "", openQuote, nil
		}
		if after != "" && after[0] != p.separator {
			return "", fmt.Sprintf("the quote before %s closes its cell too early; double the quotes inside a cell, and end the cell with one", shorten(after)), nil
		}
		p.text = after
		return value.String(), "", nil
	}
}

// openQuote is the problem of the line in which the quote opens.
const openQuote = "a quote opens a cell that does not close; double the quotes inside a cell, and end the cell with one"

// more goes on to the next line inside a cell.
func (p *recordParser) more(size int) (problem string, err error) {
	if len(p.lines) == RecordLinesMax || size > LineSizeMax {
		return openQuote, nil
	}
	line, err := p.Records.lines.Next()
	if errors.Is(err, io.EOF) {
		return openQuote, nil
	}
	if err != nil {
		return "", err
	}
	p.lines = append(p.lines, line)
	if line.Problem != "" {
		return openQuote, nil
	}
	p.text = line.Text
	return "", nil
}

// shorten keeps a message readable, whatever a cell contains.
func shorten(value string) string {
	const runesMax = 40
	if runes := []rune(value); len(runes) > runesMax {
		return string(runes[:runesMax]) + "..."
	}
	return value
}
