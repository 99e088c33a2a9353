package web

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"sync"
)

// gzipFrom is the length from which a file is compressed.
const gzipFrom = 1400

// compressedOnce returns a function that compresses a content at its first call. Callers
// without a token have no quota of files, so no request may cost a compression.
func compressedOnce(body []byte) func() []byte {
	return sync.OnceValue(func() []byte {
		var out bytes.Buffer
		w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // a valid level
		_, _ = w.Write(body)                                    // into memory; cannot fail
		_ = w.Close()
		return out.Bytes()
	})
}

// takesGzip reports whether the client accepts gzip.
func takesGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if strings.TrimSpace(name) == "gzip" && !strings.HasPrefix(strings.ReplaceAll(weight, " ", ""), "q=0") {
			return true
		}
	}
	return false
}

// content is what a client gets of a file, and sets the headers that say how.
func (a asset) content(h http.Header, r *http.Request) []byte {
	if len(a.body) < gzipFrom {
		return a.body
	}
	h.Add("Vary", "Accept-Encoding")
	if !takesGzip(r) {
		return a.body
	}
	h.Set("Content-Encoding", "gzip")
	h.Set("ETag", strings.TrimSuffix(a.etag, `"`)+`-gzip"`)
	return a.compressed()
}
