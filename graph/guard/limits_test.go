package guard_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"onhand/graph/coding"
	"onhand/graph/guard"
)

// compressed joins texts, each compressed by itself.
func compressed(used coding.Coding, texts ...string) (b []byte) {
	for _, text := range texts {
		b = used.Append(b, []byte(text))
	}
	return b
}

func zipped(texts ...string) []byte { return compressed(coding.Gzip, texts...) }

func zstandard(texts ...string) []byte { return compressed(coding.Zstd, texts...) }

// TestContentEncoding: a compressed body is read, bounded by what it contains; other
// codings are refused with what the client may send.
func TestContentEncoding(t *testing.T) {
	t.Parallel()
	const text = `{"query":"{ locations { id } }"}`
	fits := strings.Repeat("x", guard.BodyBytesMax)
	whole := zipped(text)
	for name, test := range map[string]struct {
		encoding string
		body     []byte
		status   int
		want     string
	}{
		"none":                  {"", []byte(text), 200, text},
		"identity":              {"identity", []byte(text), 200, text},
		"gzip":                  {"gzip", whole, 200, text},
		"x-gzip":                {"X-GZIP", whole, 200, text},
		"two members":           {"gzip", zipped(text[:5], text[5:]), 200, text},
		"of the largest size":   {"gzip", zipped(fits), 200, fits},
		"one byte more":         {"gzip", zipped(fits, "x"), 413, ""},
		"a bomb":                {"gzip", zipped(strings.Repeat(fits, 64)), 413, ""},
		"large when compressed": {"gzip", bytes.Repeat(zipped(""), guard.BodyBytesMax/10), 413, ""},
		"cut off":               {"gzip", whole[:len(whole)-9], 400, ""},
		"changed":               {"gzip", append(bytes.Clone(whole[:len(whole)-8]), make([]byte, 8)...), 400, ""},
		"not compressed":        {"gzip", []byte(text), 400, ""},
		"zstd":                  {"zstd", zstandard(text), 200, text},
		"zstd, two frames":      {"ZSTD", zstandard(text[:5], text[5:]), 200, text},
		"zstd, largest":         {"zstd", zstandard(fits), 200, fits},
		"zstd, one byte more":   {"zstd", zstandard(fits, "x"), 413, ""},
		"zstd, a bomb":          {"zstd", zstandard(strings.Repeat(fits, 64)), 413, ""},
		"zstd, many bombs":      {"zstd", bytes.Repeat(zstandard(fits), 64), 413, ""},
		"zstd, cut off":         {"zstd", zstandard(text)[:20], 400, ""},
		"zstd, not compressed":  {"zstd", []byte(text), 400, ""},
		"zstd and more":         {"zstd", append(zstandard(text), text...), 400, ""},
		"deflate":               {"deflate", whole, 415, ""},
		"br":                    {"br", whole, 415, ""},
		"twice":                 {"gzip, gzip", whole, 415, ""},
		"an unknown one":        {"secret", whole, 415, ""},
		"no body":               {"br", nil, 200, ""},
	} {
		for _, withLength := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				var body io.Reader = bytes.NewReader(test.body)
				if !withLength && len(test.body) > 0 {
					body = io.MultiReader(body)
				}
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
				r.Header.Set("Content-Encoding", test.encoding)
				w := httptest.NewRecorder()
				guard.Body(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					assert.Equal(t, http.StatusOK, test.status, "the handler got a refused body")
					got, err := io.ReadAll(r.Body)
					assert.NoError(t, err)
					assert.Equal(t, test.want, string(got))
				}), nil).ServeHTTP(w, r)
				assert.Equal(t, test.status, w.Code)
				if test.status != http.StatusOK {
					assert.Equal(t, "BAD_USER_INPUT", code(t, w))
				}
				assert.Equal(t, test.status == http.StatusUnsupportedMediaType, w.Header().Get("Accept-Encoding") == coding.Supported)
			})
		}
	}
}
