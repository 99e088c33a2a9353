package stockfile

import (
	"fmt"
	"strings"
)

// BadLinesMax is how many bad lines an error lists. It counts the others.
const BadLinesMax = 20

// LineError is what is wrong with one line of a file. The header is line 1.
type LineError struct {
	Line int
	Err  error
}

// Error names the line.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the cause.
func (e *LineError) Unwrap() error { return e.Err }

// BadLinesError lists the first [BadLinesMax] bad lines of a file and counts the
// others.
type BadLinesError struct {
	Lines []*LineError
	More  int
}

// Error has one line of text for each bad line.
func (e *BadLinesError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d bad lines", len(e.Lines)+e.More)
	for _, l := range e.Lines {
		b.WriteString("\n" + l.Error())
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\nand %d more", e.More)
	}
	return b.String()
}

// add lists or counts one line.
func (e *BadLinesError) add(l *LineError) {
	if len(e.Lines) < BadLinesMax {
		e.Lines = append(e.Lines, l)
		return
	}
	e.More++
}
