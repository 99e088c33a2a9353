package coding

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Coding is a content coding, by its name in HTTP. The empty one is none.
type Coding string

// The content codings.
const (
	None Coding = ""
	Gzip Coding = "gzip"
	Zstd Coding = "zstd"
)

// Supported lists the codings for a client that used another.
const Supported = "gzip, zstd"

// CompressFrom is the length from which answers are compressed. A shorter one fits into
// one packet, so that compression gains no time.
const CompressFrom = 1400

// ErrTooLarge means that a body has more than the allowed bytes once it is decompressed.
var ErrTooLarge = errors.New("the decompressed body is too large")

// Of returns the coding of a body from the values of its Content-Encoding. ok is false
// for a coding that is not supported, and for two of them.
func Of(contentEncoding []string) (coding Coding, ok bool) {
	switch strings.ToLower(strings.Join(contentEncoding, ", ")) {
	case "", "identity":
		return None, true
	case "gzip", "x-gzip":
		return Gzip, true
	case "zstd":
		return Zstd, true
	}
	return None, false
}

// Accepted returns the coding that a client wants for an answer, from the values of its
// Accept-Encoding: the one with the highest q. Of equal ones zstd wins: it takes about the
// same time, and is shorter.
func Accepted(acceptEncoding []string) Coding {
	var gzipped, zstandard, others float64
	for _, value := range acceptEncoding {
		for member := range strings.SplitSeq(value, ",") {
			name, quality := readMember(member)
			switch name {
			case "gzip", "x-gzip":
				gzipped = quality
			case "zstd":
				zstandard = quality
			case "*":
				others = quality
			}
		}
	}
	switch {
	case zstandard > 0 && zstandard >= gzipped:
		return Zstd
	case gzipped > 0 || others > 0 && !named(acceptEncoding, "gzip"):
		return Gzip
	}
	return None
}

// named reports whether a client names a coding, such as to refuse it with q=0.
func named(acceptEncoding []string, name string) bool {
	return strings.Contains(strings.ToLower(strings.Join(acceptEncoding, ",")), name)
}

// readMember reads a member of Accept-Encoding, such as gzip;q=0.5. Of one that cannot
// be read the quality is 0.
func readMember(member string) (name string, quality float64) {
	name, parameters, _ := strings.Cut(member, ";")
	quality = 1
	if text, given := strings.CutPrefix(strings.ToLower(strings.TrimSpace(parameters)), "q="); given {
		parsed, err := strconv.ParseFloat(text, 64)
		if err != nil || !(parsed >= 0 && parsed <= 1) {
			return "", 0
		}
		quality = parsed
	}
	return strings.ToLower(strings.TrimSpace(name)), quality
}

// Append appends what plain is when it is compressed.
func (c Coding) Append(to, plain []byte) []byte {
	switch c {
	case Gzip:
		w := gzipWriters.Get().(*gzipWriter)
		w.appended = to
		w.zip.Reset(w)
		_, _ = w.zip.Write(plain) // appending does not fail
		_ = w.zip.Close()
		to, w.appended = w.appended, nil
		gzipWriters.Put(w)
		return to
	case Zstd:
		return encoder().EncodeAll(plain, to)
	}
	return append(to, plain...)
}

// gzipWriter is a compressor that is used again.
type gzipWriter struct {
	zip      *gzip.Writer
	appended []byte
}

// Write implements io.Writer, for zip.
func (w *gzipWriter) Write(p []byte) (int, error) {
	w.appended = append(w.appended, p...)
	return len(p), nil
}

var gzipWriters = sync.Pool{New: func() any {
	zip, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // a known level
	return &gzipWriter{zip: zip}
}}

// windowBytes is how far back a compressor looks. Most answers are shorter.
const windowBytes = 128 << 10

// encoder compresses with as many states as there are processors. A state begins with
// its first use.
var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(windowBytes), zstd.WithEncoderCRC(false)) // valid options
	return e
})

// Bodies decompresses bodies of requests. Make it with NewBodies.
type Bodies struct {
	bytesMax int
	zstd     func() *zstd.Decoder
}

// concurrentMax is how many bodies in zstd are decompressed at once; others wait.
const concurrentMax = 4

// NewBodies returns Bodies for bodies of at most bytesMax bytes, decompressed.
func NewBodies(bytesMax int) *Bodies {
	return &Bodies{bytesMax, sync.OnceValue(func() *zstd.Decoder {
		d, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(concurrentMax), zstd.WithDecoderMaxMemory(uint64(bytesMax)), zstd.WithDecoderLowmem(true)) // valid options
		return d
	})}
}

// Decode returns what a body is when it is decompressed. The reader must be bounded.
//
// Errors: ErrTooLarge; those of the reader; others where the body is broken.
func (b *Bodies) Decode(coding Coding, body io.Reader) (plain []byte, err error) {
	switch coding {
	case Gzip:
		plain, err = b.gunzip(body)
	case Zstd:
		plain, err = b.unzstd(body)
	default:
		plain, err = b.readAll(body)
	}
	if err == nil && len(plain) > b.bytesMax {
		return nil, ErrTooLarge
	}
	return plain, err
}

// readAll reads at most one byte more than allowed.
func (b *Bodies) readAll(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, int64(b.bytesMax)+1))
}

func (b *Bodies) gunzip(compressed io.Reader) ([]byte, error) {
	r, err := gzip.NewReader(compressed)
	if err != nil {
		return nil, err
	}
	return b.readAll(r)
}

func (b *Bodies) unzstd(compressed io.Reader) ([]byte, error) {
	whole, err := io.ReadAll(compressed)
	if err != nil {
		return nil, err
	}
	plain, err := b.zstd().DecodeAll(whole, nil)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return nil, ErrTooLarge
	}
	return plain, err
}
