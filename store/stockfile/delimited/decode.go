package delimited

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// startSize is how many bytes are looked at to recognise a file.
const startSize = 4096

// otherFiles are files that are not text, by their first bytes, and what to do.
var otherFiles = []struct{ start, message string }{
	{"PK\x03\x04", "the file is a workbook (.xlsx, .ods) or another ZIP archive, not text; open it in the spreadsheet and save it as \"CSV UTF-8\""},
	{"\xd0\xcf\x11\xe0", "the file is an Excel workbook (.xls), not text; open it in Excel and save it as \"CSV UTF-8\""},
	{"%PDF", "the file is a PDF; export it as CSV in UTF-8"},
	{"BZh", "the file is compressed with bzip2; decompress it, or use gzip"},
	{"\xfd7zXZ", "the file is compressed with xz; decompress it, or use gzip"},
	{"\x28\xb5\x2f\xfd", "the file is compressed with zstd; decompress it, or use gzip"},
	{"\xff\xfe\x00\x00", "the file is UTF-32; save it as CSV in UTF-8"},
	{"\x00\x00\xfe\xff", "the file is UTF-32; save it as CSV in UTF-8"},
}

// decode decompresses gzip, and returns the text in UTF-8 without a byte order mark
// and with LF line ends. Input that is no text in its encoding gives invalid UTF-8,
// never a replacement character.
func decode(r io.Reader) (io.Reader, error) {
	input := bufio.NewReaderSize(r, startSize)
	if start, _ := input.Peek(2); bytes.Equal(start, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(input)
		if err != nil {
			return nil, fmt.Errorf("open gzip: %w", err)
		}
		input = bufio.NewReaderSize(unzipped, startSize)
	}
	start, err := input.Peek(startSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the beginning: %w", err)
	}
	for _, other := range otherFiles {
		if bytes.HasPrefix(start, []byte(other.start)) {
			return nil, errors.New(other.message)
		}
	}
	var text io.Reader = input
	switch {
	case bytes.HasPrefix(start, []byte("\ufeff")):
		_, _ = input.Discard(len("\ufeff")) // just peeked, so it is there
	case bytes.HasPrefix(start, []byte{0xff, 0xfe}):
		_, _ = input.Discard(2)
		text = &utf16Reader{r: input, order: binary.LittleEndian}
	case bytes.HasPrefix(start, []byte{0xfe, 0xff}):
		_, _ = input.Discard(2)
		text = &utf16Reader{r: input, order: binary.BigEndian}
	case bytes.Count(start, []byte{0})*4 > len(start):
		return nil, errors.New("the file is UTF-16 without a byte order mark, or is not text; save it as CSV in UTF-8")
	}
	return &lineEnds{r: text}, nil
}

// notText is a byte that UTF-8 never has. It stands for input that is no text.
const notText = 0xff

// utf16Reader decodes UTF-16.
type utf16Reader struct {
	r     *bufio.Reader
	order binary.ByteOrder
	high  rune // half of a character, or 0
	out   []byte
	err   error
}

// Read implements io.Reader.
func (u *utf16Reader) Read(p []byte) (int, error) {
	if len(u.out) == 0 {
		u.fill()
	}
	if len(u.out) == 0 {
		return 0, u.err
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

// fill decodes up to startSize bytes.
func (u *utf16Reader) fill() {
	u.out = u.out[:0]
	for u.err == nil && len(u.out) < startSize {
		var pair [2]byte
		n, err := io.ReadFull(u.r, pair[:])
		if err != nil {
			if n > 0 || u.high != 0 {
				u.out = append(u.out, notText)
			}
			if errors.Is(err, io.ErrUnexpectedEOF) && n > 0 {
				err = io.EOF // the half of a character is reported as what it is
			}
			u.high, u.err = 0, err
			return
		}
		u.decode(rune(u.order.Uint16(pair[:])))
	}
}

func (u *utf16Reader) decode(unit rune) {
	if u.high != 0 {
		whole := utf16.DecodeRune(u.high, unit)
		u.high = 0
		if whole != utf8.RuneError {
			u.out = utf8.AppendRune(u.out, whole)
			return
		}
		u.out = append(u.out, notText)
	}
	switch {
	case !utf16.IsSurrogate(unit):
		u.out = utf8.AppendRune(u.out, unit)
	case unit < 0xdc00: // the first half of a character
		u.high = unit
	default:
		u.out = append(u.out, notText)
	}
}

// lineEnds makes LF of CRLF and CR.
type lineEnds struct {
	r  io.Reader
	cr bool // the byte before was CR
}

// Read implements io.Reader.
func (l *lineEnds) Read(p []byte) (int, error) {
	for {
		n, err := l.r.Read(p)
		if !l.cr && bytes.IndexByte(p[:n], '\r') < 0 {
			return n, err
		}
		kept := p[:0]
		for _, b := range p[:n] {
			switch {
			case b == '\n' && l.cr: // of CRLF
			case b == '\r':
				kept = append(kept, '\n')
			default:
				kept = append(kept, b)
			}
			l.cr = b == '\r'
		}
		if len(kept) > 0 || err != nil || len(p) == 0 {
			return len(kept), err
		}
	}
}
