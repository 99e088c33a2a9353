package cli

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/graph/tokens"
)

// TestToken: onhand token prints a token that a server with the same settings accepts.
func TestToken(t *testing.T) {
	t.Parallel()
	const secret = "a secret of tests: 32 bytes at least"
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(secret+"\n"), 0o600))
	v, err := tokens.Open(t.Context(), tokens.VerifierConfig{Secret: []byte(secret), Issuer: "i", Audience: "a", Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(v.Close)
	for _, args := range [][]string{
		{"--auth-secret=" + secret, "--scope=read:inventory,write:orders"},
		{"--auth-secret-file=" + path, "--scope=read:inventory", "--scope=write:orders"},
		{"--auth-secret-file=" + path, "--scope=read:inventory write:orders"},
	} {
		c, _, err := parse(t, append([]string{"token", "erp", "--auth-issuer=i", "--auth-audience=a", "--for=2h"}, args...)...)
		require.NoError(t, err)
		var printed strings.Builder
		require.NoError(t, c.Token.Run(&printed))
		caller, err := v.Verify(t.Context(), strings.TrimSuffix(printed.String(), "\n"))
		require.NoError(t, err)
		assert.Equal(t, "erp", caller.Subject)
		assert.Equal(t, []guard.Scope{guard.ReadInventory, guard.WriteOrders}, caller.Scopes)
		assert.WithinDuration(t, time.Now().Add(2*time.Hour+tokens.Leeway), caller.Expires, time.Minute)
	}
	for message, args := range map[string][]string{
		"set AUTH_SECRET":       nil,
		"needs 32 at least":     {"--auth-secret=hunter2"},
		"there is no scope":     {"--auth-secret=" + secret, "--scope=stock"},
		"at most 720h0m0s":      {"--auth-secret=" + secret, "--for=721h"},
		"do not go together":    {"--auth-secret=hunter2", "--auth-secret-file=" + path},
		"valid for a second at": {"--auth-secret=" + secret, "--for=0s"},
	} {
		c, _, err := parse(t, append([]string{"token", "erp"}, args...)...)
		require.NoError(t, err)
		var printed strings.Builder
		err = c.Token.Run(&printed)
		require.ErrorContains(t, err, message)
		assert.NotContains(t, err.Error(), "hunter2")
		assert.Empty(t, printed.String())
	}
}
