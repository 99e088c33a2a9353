package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"time"
)

//go:embed static third_party operations/*.graphql board/dist
var files embed.FS

// hashDigits is how many hex digits of a file's hash its URL has: 64 bits, far more
// than a few files need to differ.
const hashDigits = 16

// asset is one embedded file with its URL and headers.
type asset struct {
	URL       string // contains the hash of the content, so the content of a URL never changes
	Integrity string // for the integrity attribute

	name        string
	contentType string
	etag        string
	body        []byte
	compressed  func() []byte
}

// assets serves embedded files under one prefix. The hash of the content is part of
// each URL. A browser can cache a file for ever, and gets the new file right after an
// upgrade.
type assets struct {
	byName map[string]asset
	byURL  map[string]asset
}

// newAssets reads the named files (paths inside the embedded tree). It panics on a
// missing file, which is a bug of this package. The tests build every page.
func newAssets(prefix string, names ...string) assets {
	set := assets{byName: map[string]asset{}, byURL: map[string]asset{}}
	for _, name := range names {
		body := mustRead(name)
		set.add(prefix, hashOf(body), name, body)
	}
	return set
}

// addFolder adds all files of an embedded folder. They share one hash, that of the
// whole folder, so that a script can import the others by relative names.
func (s assets) addFolder(prefix, folder string) {
	entries, err := files.ReadDir(folder)
	if err != nil {
		panic("web: " + err.Error())
	}
	bodies := make([][]byte, 0, len(entries))
	for _, entry := range entries {
		bodies = append(bodies, mustRead(path.Join(folder, entry.Name())))
	}
	hash := hashOf(bytes.Join(bodies, nil))
	for i, entry := range entries {
		s.add(prefix, hash, entry.Name(), bodies[i])
	}
}

// hashOf returns the first digits of the hash of a content.
func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])[:hashDigits]
}

func (s assets) add(prefix, hash, name string, body []byte) {
	sum := sha256.Sum256(body)
	base := path.Base(name)
	a := asset{
		URL:         prefix + hash + "/" + base,
		Integrity:   "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
		name:        base,
		contentType: contentType(base),
		etag:        `"` + hash + `"`,
		body:        body,
		compressed:  compressedOnce(body),
	}
	s.byName[base] = a
	s.byURL[a.URL] = a
}

// ServeHTTP serves the URLs of the set, and answers 404 to all others.
func (s assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, found := s.byURL[r.URL.Path]
	if !found {
		notFound(w, r)
		return
	}
	h := w.Header()
	setCommonHeaders(h)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Type", a.contentType)
	h.Set("ETag", a.etag)
	// The zero time omits Last-Modified. The ETag replaces it.
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.content(h, r)))
}

// contentType does not use the machine's own table for the types of the pages. A table
// that maps .js to another type would break the pages under nosniff.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	return mime.TypeByExtension(path.Ext(name))
}

func mustRead(name string) []byte {
	body, err := files.ReadFile(name)
	if err != nil {
		panic("web: " + err.Error())
	}
	return body
}
