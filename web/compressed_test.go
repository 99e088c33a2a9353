package web_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/web"
)

// discarding is an answer that nobody reads.
type discarding struct{ header http.Header }

func (d discarding) Header() http.Header          { return d.header }
func (discarding) Write(body []byte) (int, error) { return len(body), nil }
func (discarding) WriteHeader(int)                {}

// TestFilesAreCompressedOnce: a browser gets the compressed script, a program the plain
// one, and a flood of requests compresses nothing again. It measures memory, so it runs
// alone.
func TestFilesAreCompressedOnce(t *testing.T) {
	h := web.Playground("/graphql")
	ask := func(path, accept string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
		r.Header.Set("Accept-Encoding", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code, path)
		return w
	}
	script := regexp.MustCompile(`src="([^"]+)"`).FindStringSubmatch(ask("/playground", "").Body.String())[1]
	plain := ask(script, "br, gzip;q=0")
	require.Empty(t, plain.Header().Get("Content-Encoding"))
	packed := ask(script, "br, gzip")
	require.Equal(t, "gzip", packed.Header().Get("Content-Encoding"))
	require.Equal(t, "Accept-Encoding", packed.Header().Get("Vary"))
	require.NotEqual(t, plain.Header().Get("ETag"), packed.Header().Get("ETag"))
	require.Less(t, packed.Body.Len(), plain.Body.Len()/2)
	reader, err := gzip.NewReader(packed.Body)
	require.NoError(t, err)
	text, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.Equal(t, plain.Body.Bytes(), text)

	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, script, http.NoBody)
	r.Header.Set("Accept-Encoding", "gzip")
	const requests, bytesMax = 20, 200_000 // a compression takes more than that by itself
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range requests {
		h.ServeHTTP(discarding{http.Header{}}, r)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, (after.TotalAlloc-before.TotalAlloc)/requests, uint64(bytesMax))
}
