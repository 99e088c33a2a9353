package guard

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"

	"onhand/models"
)

// decompress replaces a gzip body with what it contains, at most BodyBytesMax. The
// compressed body is bounded already. It refuses other encodings.
func decompress(w http.ResponseWriter, r *http.Request) (ok bool) {
	if len(r.Header["Content-Encoding"]) == 0 {
		return true
	}
	switch strings.ToLower(strings.Join(r.Header.Values("Content-Encoding"), ", ")) {
	case "", "identity":
		return true
	case "gzip", "x-gzip":
	default:
		w.Header().Set("Accept-Encoding", "gzip")
		Refuse(w, http.StatusUnsupportedMediaType, models.CodeBadUserInput, "the body's Content-Encoding is not supported: use gzip, or none")
		return false
	}
	plain, err := gunzip(r.Body)
	switch {
	case err != nil:
		refuseBody(w, err)
		return false
	case len(plain) > BodyBytesMax:
		refuseSize(w)
		return false
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(plain)), int64(len(plain))
	r.Header.Del("Content-Encoding")
	r.Header.Del("Content-Length")
	return true
}

// gunzip returns at most one byte more than BodyBytesMax.
func gunzip(compressed io.Reader) ([]byte, error) {
	reader, err := gzip.NewReader(compressed)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(reader, BodyBytesMax+1))
}
