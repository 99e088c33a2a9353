package serving

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSecretsInFiles: the token of simulated shoppers and the headers of the collector may be in
// files. No message has them.
func TestSecretsInFiles(t *testing.T) {
	t.Parallel()
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "secret")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	s := usable(IdentitySettings{})
	s.ShopperTokenFile, s.HeadersFile = file("a-token\n"), file("x-key=hunter2\r\n")
	for range 2 {
		require.NoError(t, s.Check())
		assert.Equal(t, "a-token", s.ShopperToken)
		assert.Equal(t, "x-key=hunter2", s.Headers)
	}
	for message, change := range map[string]func(s *Settings){
		"simulated-shoppers-token and simulated-shoppers-token-file do not go together": func(s *Settings) {
			s.ShopperToken, s.ShopperTokenFile = "hunter2", file("hunter2")
		},
		"otel-exporter-otlp-headers-file is empty":      func(s *Settings) { s.HeadersFile = file("") },
		"otel-exporter-otlp-headers must be name=value": func(s *Settings) { s.HeadersFile = file("hunter2") },
		"simulated-shoppers-token-file: open":           func(s *Settings) { s.ShopperTokenFile = filepath.Join(t.TempDir(), "none") },
	} {
		s := usable(IdentitySettings{})
		change(s)
		err := s.Check()
		require.ErrorContains(t, err, message)
		assert.NotContains(t, err.Error(), "hunter2")
	}
}
