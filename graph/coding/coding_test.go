package coding_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"onhand/graph/coding"
)

// TestMain fails on leaked goroutines.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestAccepted: the coding of an answer for each Accept-Encoding.
func TestAccepted(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]coding.Coding{
		"": coding.None, "identity": coding.None, "br": coding.None, "deflate, br": coding.None,
		"gzip": coding.Gzip, "x-gzip": coding.Gzip, "GZIP": coding.Gzip, "gzip, deflate, br": coding.Gzip, "br , gzip ;q=0.1": coding.Gzip,
		"zstd": coding.Zstd, "gzip, deflate, br, zstd": coding.Zstd, "gzip;q=1.0, zstd;q=0.9": coding.Gzip, "gzip;q=0.5,zstd;Q=0.50": coding.Zstd,
		"gzip;q=0": coding.None, "gzip;q=0, zstd;q=0": coding.None, "zstd;q=0, gzip": coding.Gzip,
		"*": coding.Gzip, "*;q=0": coding.None, "gzip;q=0, *": coding.None, "br, *;q=0.1": coding.Gzip,
		"gzip;q=2": coding.None, "gzip;q=-1": coding.None, "gzip;q=NaN": coding.None, "gzip;q=": coding.None, ",,;": coding.None,
	} {
		assert.Equal(t, want, coding.Accepted([]string{value}), "%q", value)
	}
	assert.Equal(t, coding.Zstd, coding.Accepted([]string{"gzip", "zstd"}), "two headers")
	assert.Equal(t, coding.None, coding.Accepted(nil))
}

// TestAppend: other implementations of both codings read what is compressed, appended to
// what was there, by many goroutines at once.
func TestAppend(t *testing.T) {
	t.Parallel()
	texts := []string{"", "x", strings.Repeat(`{"productId":"22423","quantityAvailable":58},`, 2_000)}
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for _, text := range texts {
				zipped := coding.Gzip.Append([]byte("before"), []byte(text))
				assert.True(t, bytes.HasPrefix(zipped, []byte("before")))
				r, err := gzip.NewReader(bytes.NewReader(zipped[6:]))
				if !assert.NoError(t, err) {
					return
				}
				plain, err := io.ReadAll(r)
				assert.NoError(t, err)
				assert.Equal(t, text, string(plain))

				d, err := zstd.NewReader(bytes.NewReader(coding.Zstd.Append([]byte("before"), []byte(text))[6:]), zstd.WithDecoderConcurrency(1))
				if !assert.NoError(t, err) {
					return
				}
				plain, err = io.ReadAll(d)
				d.Close()
				assert.NoError(t, err)
				assert.Equal(t, text, string(plain))

				assert.Equal(t, text, string(coding.None.Append(nil, []byte(text))))
			}
		})
	}
	running.Wait()
}

// TestDecodeBounds: a body is bounded by its decompressed size, and an error of the
// reader is the caller's.
func TestDecodeBounds(t *testing.T) {
	t.Parallel()
	const bytesMax = 10_000
	bodies := coding.NewBodies(bytesMax)
	gone := errors.New("gone")
	for _, used := range []coding.Coding{coding.None, coding.Gzip, coding.Zstd} {
		fits := bytes.Repeat([]byte("x"), bytesMax)
		plain, err := bodies.Decode(used, bytes.NewReader(used.Append(nil, fits)))
		require.NoError(t, err, "%s", used)
		assert.Equal(t, fits, plain)
		for _, excess := range []int{1, 100 * bytesMax} {
			_, err = bodies.Decode(used, bytes.NewReader(used.Append(nil, append(fits, make([]byte, excess)...))))
			assert.ErrorIs(t, err, coding.ErrTooLarge, "%s", used)
		}
		_, err = bodies.Decode(used, iotest.ErrReader(gone))
		assert.ErrorIs(t, err, gone, "%s", used)
	}
}

// FuzzDecode: no body makes decompression panic or exceed its bound.
func FuzzDecode(f *testing.F) {
	const bytesMax = 1_000
	bodies := coding.NewBodies(bytesMax)
	for _, used := range []coding.Coding{coding.Gzip, coding.Zstd} {
		f.Add(used.Append(nil, []byte("{}")))
		f.Add(used.Append(nil, make([]byte, 10*bytesMax)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, used := range []coding.Coding{coding.Gzip, coding.Zstd} {
			plain, err := bodies.Decode(used, bytes.NewReader(body))
			if err == nil && len(plain) > bytesMax {
				t.Fatal("too large")
			}
		}
	})
}

// BenchmarkAppend compresses pages of products.
func BenchmarkAppend(b *testing.B) {
	for _, products := range []int{20, 250} {
		random := rand.New(rand.NewPCG(1, 2))
		page := []byte(`{"data":{"stocks":[`)
		for range products {
			page = fmt.Appendf(page, `{"productId":"%d","quantityAvailable":%d,"status":"IN_STOCK","version":%d},`, 10_000+random.IntN(90_000), random.IntN(300), random.IntN(100_000))
		}
		for _, used := range []coding.Coding{coding.Gzip, coding.Zstd} {
			b.Run(fmt.Sprintf("%s %d", used, products), func(b *testing.B) {
				var to []byte
				b.SetBytes(int64(len(page)))
				for b.Loop() {
					to = used.Append(to[:0], page)
				}
				b.ReportMetric(float64(len(page))/float64(len(to)), "ratio")
			})
		}
	}
}
