package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"onhand/store"
)

const (
	barWidth    = 30                     // characters
	barInterval = 100 * time.Millisecond // between two drawings
)

// bar shows on a terminal how far something has come, and nothing elsewhere. A
// nil bar shows nothing.
type bar struct {
	out   io.Writer // nil when nobody looks
	drawn time.Time
	stage string
	now   func() time.Time
}

func newBar() *bar {
	b := &bar{now: time.Now}
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		b.out = os.Stderr
	}
	return b
}

// show draws done of total; a total of zero is not known.
func (b *bar) show(stage string, done, total int) {
	if b == nil || b.out == nil {
		return
	}
	now := b.now()
	if stage == b.stage && done != total && now.Sub(b.drawn) < barInterval {
		return
	}
	b.drawn, b.stage = now, stage
	if total == 0 {
		fmt.Fprintf(b.out, "\r\x1b[K%s …", stage)
		return
	}
	full := barWidth * done / total
	fmt.Fprintf(b.out, "\r\x1b[K%-9s [%s%s] %3d %%", stage, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), 100*done/total)
}

// end takes the bar away.
func (b *bar) end() {
	if b != nil && b.out != nil && b.stage != "" {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}

// fileBar is a bar that knows how much of a file was read.
type fileBar struct {
	*bar
	file       io.Reader
	read, size int
}

func newFileBar(file *os.File) (*fileBar, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return &fileBar{bar: newBar(), file: file, size: int(info.Size())}, nil
}

// Read implements io.Reader.
func (b *fileBar) Read(p []byte) (int, error) {
	n, err := b.file.Read(p)
	b.read += n
	return n, err
}

// imported is told of an import's progress. How much of the file was read says
// more than a number of rows.
func (b *fileBar) imported(stage store.ImportStage, done, total int) {
	if stage == store.ImportReading {
		done, total = min(b.read, b.size), b.size
	}
	b.show(string(stage), done, total)
}
