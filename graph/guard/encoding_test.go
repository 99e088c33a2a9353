package guard_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
)

func zipped(t *testing.T, texts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, text := range texts {
		w := gzip.NewWriter(&b)
		_, err := io.WriteString(w, text)
		require.NoError(t, err)
		require.NoError(t, w.Close())
	}
	return b.Bytes()
}

// TestContentEncoding: a gzip body is read, bounded by what it contains; other encodings
// are refused with what the client may send.
func TestContentEncoding(t *testing.T) {
	t.Parallel()
	const text = `{"query":"{ locations { id } }"}`
	fits := strings.Repeat("x", guard.BodyBytesMax)
	whole := zipped(t, text)
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
		"two members":           {"gzip", zipped(t, text[:5], text[5:]), 200, text},
		"of the largest size":   {"gzip", zipped(t, fits), 200, fits},
		"one byte more":         {"gzip", zipped(t, fits, "x"), 413, ""},
		"a bomb":                {"gzip", zipped(t, strings.Repeat(fits, 64)), 413, ""},
		"large when compressed": {"gzip", bytes.Repeat(zipped(t, ""), guard.BodyBytesMax/20), 413, ""},
		"cut off":               {"gzip", whole[:len(whole)-9], 400, ""},
		"changed":               {"gzip", append(bytes.Clone(whole[:len(whole)-8]), make([]byte, 8)...), 400, ""},
		"not compressed":        {"gzip", []byte(text), 400, ""},
		"deflate":               {"deflate", whole, 415, ""},
		"br":                    {"br", whole, 415, ""},
		"zstd":                  {"zstd", whole, 415, ""},
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
				})).ServeHTTP(w, r)
				assert.Equal(t, test.status, w.Code)
				if test.status != http.StatusOK {
					assert.Equal(t, "BAD_USER_INPUT", code(t, w))
				}
				assert.Equal(t, test.status == http.StatusUnsupportedMediaType, w.Header().Get("Accept-Encoding") == "gzip")
			})
		}
	}
}
