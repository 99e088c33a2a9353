package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"onhand/models"
)

const (
	barWidth    = 30                     // characters
	barInterval = 100 * time.Millisecond // the shortest time between two redraws
)

// bar is a progress bar on a terminal. Without a terminal, and when it is nil, it
// prints nothing.
type bar struct {
	out   io.Writer // nil without a terminal
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

// show draws done of total. A total of zero means that it is not known.
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

// clear erases the bar.
func (b *bar) clear() {
	if b != nil && b.out != nil && b.stage != "" {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}

// fileBar is a bar that counts how much of a file was read.
type fileBar struct {
	*bar
	file       io.Reader
	read, size int // size is 0 where it is not known
}

// Read implements io.Reader.
func (b *fileBar) Read(p []byte) (int, error) {
	n, err := b.file.Read(p)
	b.read += n
	return n, err
}

// showImport draws the progress of an import. While it reads, the part of the
// file is drawn, because the number of rows is not known yet.
func (b *fileBar) showImport(stage models.ImportStage, done, total int) {
	if stage == models.ImportReading {
		done, total = min(b.read, b.size), b.size // a size of 0 draws no part
	}
	b.show(string(stage), done, total)
}
