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

//go:embed static third_party operations/*.graphql
var files embed.FS

// versionLength is how many hex digits of a file's hash stand in its URL: 64
// bits, far more than a handful of files needs to stay apart.
const versionLength = 16

// asset is one embedded file, ready to be served and linked to.
type asset struct {
	URL       string // contains the content's hash, so a URL's content never changes
	Integrity string // for the integrity attribute

	name        string
	contentType string
	etag        string
	body        []byte
}

// assets serves embedded files under one prefix. Because the hash of the
// content is part of each URL, a browser may keep a file for ever and still
// gets the new one right after an upgrade.
type assets struct {
	byName map[string]asset
	byURL  map[string]asset
}

// newAssets reads the named files (paths inside the embedded tree). A name
// that is not there is a mistake in this package, hence the panic: the tests
// build every page.
func newAssets(prefix string, names ...string) assets {
	set := assets{byName: map[string]asset{}, byURL: map[string]asset{}}
	for _, name := range names {
		body := mustRead(name)
		sum := sha256.Sum256(body)
		version := hex.EncodeToString(sum[:])[:versionLength]
		base := path.Base(name)
		a := asset{
			URL:         prefix + version + "/" + base,
			Integrity:   "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
			name:        base,
			contentType: contentType(base),
			etag:        `"` + version + `"`,
			body:        body,
		}
		set.byName[base] = a
		set.byURL[a.URL] = a
	}
	return set
}

// ServeHTTP answers for exactly the URLs of the set.
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
	// The zero time leaves Last-Modified out; the entity tag does its work.
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.body))
}

// contentType does not depend on the machine's own table of types: a host that
// maps .js to something else would break the pages under nosniff.
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
