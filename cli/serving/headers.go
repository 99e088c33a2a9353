package serving

import (
	"net/http"

	"onhand/graph/guard"
)

// Values of headers that all answers share; nothing changes them.
var (
	nosniff = []string{"nosniff"}
	// pageHeaders are those of every answer but the API's, which is JSON or events. Pages
	// have a policy of their own in place of this one, which allows nothing.
	pageHeaders = http.Header{
		"Content-Security-Policy":      {"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Permissions-Policy":           {"camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
		"Referrer-Policy":              {"no-referrer"},
		"X-Frame-Options":              {"DENY"},
	}
	// strictTransport tells browsers for a year to use TLS for this host.
	strictTransport = []string{"max-age=31536000"}
)

// withHeaders sets the headers that protect an answer in a browser.
func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header["X-Content-Type-Options"] = nosniff
		if r.URL.Path != graphqlPath {
			for name, value := range pageHeaders {
				header[name] = value
			}
		}
		if r.TLS != nil && !guard.IsLoopback(r.Host) { // localhost has servers without TLS on other ports
			header["Strict-Transport-Security"] = strictTransport
		}
		next.ServeHTTP(w, r)
	})
}
