package web

import (
	"bytes"
	"html/template"
	"net/http"
	"strings"
)

// basePolicy is the Content-Security-Policy every page starts from: nothing is
// allowed, no form may be sent and no other page may frame this one. What a
// page needs is added to it, and nothing added lies outside this server.
const basePolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// socketSources names this host's WebSockets. Current browsers take 'self' to
// include them, older ones do not. The Host header is the visitor's word, so
// anything that is not plainly a host and port is left out: a stray space or
// semicolon in it must not be able to add to the policy.
func socketSources(host string) string {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]"
	foreign := func(c rune) bool { return !strings.ContainsRune(allowed, c) }
	if host == "" || strings.ContainsFunc(host, foreign) {
		return ""
	}
	return " ws://" + host + " wss://" + host
}

// setCommonHeaders puts what every answer of this package carries.
func setCommonHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
}

// parse builds a template out of an embedded page.
func parse(name string) *template.Template {
	return template.Must(template.New(name).Parse(string(mustRead("static/" + name))))
}

// render fills a template in.
func render(t *template.Template, data any) []byte {
	var page bytes.Buffer
	if err := t.Execute(&page, data); err != nil {
		panic("web: " + err.Error())
	}
	return page.Bytes()
}

// writePage answers with a page. It asks for revalidation on each visit: a page
// names the hashed URLs of its files and must not outlive them.
func writePage(w http.ResponseWriter, code int, policy string, page []byte) {
	h := w.Header()
	setCommonHeaders(h)
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(page) // a visitor who went away needs no answer
}

// notFound answers whatever this package does not serve.
func notFound(w http.ResponseWriter, _ *http.Request) {
	writePage(w, http.StatusNotFound, basePolicy, mustRead("static/404.html"))
}

// readOnly refuses every method that would change something.
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
