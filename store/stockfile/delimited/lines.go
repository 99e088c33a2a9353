package delimited

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// LineSizeMax bounds one line in bytes.
const LineSizeMax = 64 << 10

// Line is one line of a file, without its end.
type Line struct {
	Number int
	Text   string
	// Problem is why the line is no text; Text is then empty.
	Problem string
}

// Lines reads the lines of a file.
type Lines struct {
	r      *bufio.Reader
	number int
	ahead  []Line // lines that were put back
}

// NewLines opens a file.
//
// Errors: a file that is empty, or is not text.
func NewLines(r io.Reader) (*Lines, error) {
	text, err := decode(r)
	if err != nil {
		return nil, err
	}
	l := &Lines{r: bufio.NewReaderSize(text, LineSizeMax)}
	for {
		line, err := l.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, errors.New("the file is empty")
		case err != nil:
			return nil, err
		case line.Problem != "" || strings.TrimSpace(line.Text) != "":
			l.Back(line)
			return l, nil
		}
	}
}

// Back puts lines back, so that Next returns them again.
func (l *Lines) Back(lines ...Line) { l.ahead = append(append([]Line{}, lines...), l.ahead...) }

// Next returns the next line, or io.EOF after the last. Any other error ends the
// file.
func (l *Lines) Next() (Line, error) {
	if len(l.ahead) > 0 {
		line := l.ahead[0]
		l.ahead = l.ahead[1:]
		return line, nil
	}
	text, err := l.r.ReadSlice('\n')
	l.number++
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		err = l.skip()
		if err == nil {
			return Line{Number: l.number, Problem: fmt.Sprintf("the line is longer than %d bytes", LineSizeMax)}, nil
		}
	case errors.Is(err, io.EOF) && len(text) > 0:
		err = nil
	}
	switch {
	case errors.Is(err, io.EOF):
		return Line{}, io.EOF
	case errors.Is(err, io.ErrUnexpectedEOF):
		return Line{}, fmt.Errorf("after line %d: the compressed file is cut off: %w", l.number-1, err)
	case err != nil:
		return Line{}, fmt.Errorf("after line %d: %w", l.number-1, err)
	}
	text = bytes.TrimSuffix(text, []byte("\n"))
	if problem := textProblem(text); problem != "" {
		return Line{Number: l.number, Problem: problem}, nil
	}
	return Line{Number: l.number, Text: string(text)}, nil
}

// skip reads to the end of a line that is too long.
func (l *Lines) skip() error {
	for {
		_, err := l.r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil // the next call reports it
		}
		return err
	}
}

// textProblem is why bytes are no text; empty for text.
func textProblem(text []byte) string {
	const shownMax = 30 // bytes before and after the place
	if at := bytes.IndexByte(text, 0); at >= 0 {
		return "the line has a NUL byte, so the file is not text; save it as CSV in UTF-8"
	}
	if utf8.Valid(text) {
		return ""
	}
	at := 0
	for at < len(text) {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	from, to := max(0, at-shownMax), min(len(text), at+shownMax)
	return "the line is not UTF-8 at " + strconv.QuoteToASCII(string(text[from:to])) + "; save the file as \"CSV UTF-8\""
}
