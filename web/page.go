package web

import (
	"bytes"
	"html/template"
	"net/http"
	"strings"
)

// basePolicy is the beginning of every page's Content-Security-Policy. It allows
// nothing: no source, no form, no frame. Each page adds what it needs, from this server
// only.
const basePolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// socketSources allows this host's WebSockets. In older browsers 'self' does not
// include them. The Host header comes from the client, so a value with characters that
// no host and port has is ignored: a space or a semicolon could add to the policy.
func socketSources(host string) string {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]"
	foreign := func(c rune) bool { return !strings.ContainsRune(allowed, c) }
	if host == "" || strings.ContainsFunc(host, foreign) {
		return ""
	}
	return " ws://" + host + " wss://" + host
}

// setCommonHeaders sets the headers of every answer of this package.
func setCommonHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
}

// parse returns the template of an embedded page.
func parse(name string) *template.Template {
	return template.Must(template.New(name).Parse(string(mustRead("static/" + name))))
}

// render executes a template.
func render(t *template.Template, data any) []byte {
	var page bytes.Buffer
	if err := t.Execute(&page, data); err != nil {
		panic("web: " + err.Error())
	}
	return page.Bytes()
}

// writePage answers with a page. The browser must revalidate it on each visit, because
// the page has the hashed URLs of its files.
func writePage(w http.ResponseWriter, code int, policy string, page []byte) {
	h := w.Header()
	setCommonHeaders(h)
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(page) // fails only when the client has gone
}

// notFound answers 404 with a page.
func notFound(w http.ResponseWriter, _ *http.Request) {
	writePage(w, http.StatusNotFound, basePolicy, mustRead("static/404.html"))
}

// readOnly refuses all methods but GET and HEAD.
func readOnly(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		next(w, r)
	})
}
