package telemetry

import (
	"errors"
	"strings"
)

// headers are those of the setting. No message has a part of it, because it may have a secret.
func (s *TraceSettings) headers() (map[string]string, error) {
	headers, err := pairs(s.Headers)
	if err != nil {
		return nil, errors.New("otel-exporter-otlp-headers must be name=value,name=value")
	}
	for name, value := range headers {
		if !isHeaderName(name) {
			return nil, errors.New("otel-exporter-otlp-headers has a name that is no header of HTTP: it must have only letters, digits and !#$%&'*+-.^_`|~")
		}
		if !isHeaderValue(value) {
			return nil, errors.New("otel-exporter-otlp-headers has a value with a control character, which HTTP does not allow")
		}
	}
	return headers, nil
}

// isHeaderName reports whether a text is a token of HTTP (RFC 9110, section 5.6.2).
func isHeaderName(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return text != ""
}

// isHeaderValue reports whether HTTP can send a text as the value of a header: it has no
// control character but tabs.
func isHeaderValue(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
