package stockfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
)

// recordSizeMax bounds one record in bytes. Without it one missing quote would
// read the rest of the file into memory as a single field.
const recordSizeMax = 64 << 10

// decompress unpacks gzip and drops a byte order mark, where the first bytes show
// one.
func decompress(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(r)
	if start, _ := buffered.Peek(2); bytes.Equal(start, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("open gzip: %w", err)
		}
		buffered = bufio.NewReader(unzipped)
	}
	if start, _ := buffered.Peek(3); bytes.Equal(start, []byte("\ufeff")) {
		_, _ = buffered.Discard(3) // just peeked, so it is there
	}
	return buffered, nil
}

// recordLimiter fails when one record is longer than recordSizeMax.
type recordLimiter struct {
	r    io.Reader
	left int // bytes the current record may still read
}

func newRecordLimiter(r io.Reader) *recordLimiter { return &recordLimiter{r: r, left: recordSizeMax} }

// next begins a new record.
func (l *recordLimiter) next() { l.left = recordSizeMax }

// Read implements io.Reader.
func (l *recordLimiter) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("a line is longer than %d bytes; a quote may be missing", recordSizeMax)
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}
