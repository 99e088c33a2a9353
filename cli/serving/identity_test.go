package serving

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/graph/tokens"
	"onhand/graph/transport"
	"onhand/store"
)

// testSecret signs the tokens of tests.
const testSecret = "a secret of tests: 32 bytes at least"

// usable are settings that can work.
func usable(identity IdentitySettings) *Settings {
	return &Settings{ListenAddr: "127.0.0.1:8080", ReservationTTL: time.Hour, ReservationTTLMax: time.Hour, IdentitySettings: identity}
}

// TestListenAddress: only with tokens any address may be listened on.
func TestListenAddress(t *testing.T) {
	t.Parallel()
	for _, identity := range []IdentitySettings{{}, {AuthSecret: testSecret}, {AuthJWKSURL: "https://issuer.example/keys"}} {
		for address, local := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, ":8080": false, "0.0.0.0:1": false, "[::]:1": false, "192.0.2.1:1": false, "shop.example:1": false} {
			s := usable(identity)
			s.ListenAddr = address
			if err := s.Check(); local || s.TokensConfigured() {
				require.NoError(t, err, address)
			} else {
				require.ErrorContains(t, err, "a loopback address such as", address)
			}
		}
	}
}

// TestIdentitySettings: settings that cannot work are refused, and no message has a secret.
func TestIdentitySettings(t *testing.T) {
	t.Parallel()
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "setting")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for name, test := range map[string]struct {
		identity IdentitySettings
		message  string
	}{
		"nothing":             {IdentitySettings{}, ""},
		"secret":              {IdentitySettings{AuthSecret: testSecret}, ""},
		"secret in a file":    {IdentitySettings{AuthSecretFile: file(testSecret + "\n")}, ""},
		"key set":             {IdentitySettings{AuthJWKSURLFile: file("https://issuer.example/keys\r\n"), AuthIssuer: "i", AuthAudience: "a"}, ""},
		"short secret":        {IdentitySettings{AuthSecret: "hunter2"}, "has 7 bytes; it needs 32 at least; openssl rand -hex 32 makes a secret"},
		"short file":          {IdentitySettings{AuthSecretFile: file("hunter2\n")}, "has 7 bytes"},
		"empty file":          {IdentitySettings{AuthSecretFile: file("\n")}, "auth-secret-file is empty; openssl rand -hex 32 makes a secret"},
		"large file":          {IdentitySettings{AuthSecretFile: file(strings.Repeat("x", settingBytesMax+1))}, "auth-secret-file is larger"},
		"no file":             {IdentitySettings{AuthSecretFile: "none"}, "no such file or directory; openssl rand -hex 32 makes a secret"},
		"both":                {IdentitySettings{AuthSecret: "hunter2", AuthSecretFile: file(testSecret)}, "do not go together"},
		"no https":            {IdentitySettings{AuthJWKSURL: "http://issuer.example/"}, "https://"},
		"issuer alone":        {IdentitySettings{AuthIssuer: "i"}, "need auth-secret or auth-jwks-url"},
		"revoked alone":       {IdentitySettings{AuthRevokedFile: "revoked"}, "need auth-secret or auth-jwks-url"},
		"audience file alone": {IdentitySettings{AuthAudienceFile: file("a")}, "need auth-secret or auth-jwks-url"},
	} {
		err := usable(test.identity).Check()
		if test.message == "" {
			assert.NoError(t, err, name)
		} else if assert.ErrorContains(t, err, test.message, name) {
			assert.NotContains(t, err.Error(), "hunter2", name)
		}
	}
	both := usable(IdentitySettings{AuthSecret: testSecret, AuthSecretFile: file(testSecret)}).Check()
	require.ErrorContains(t, both, "do not go together")
	require.NotContains(t, both.Error(), "openssl", "there is a secret")
	config, err := (&IdentitySettings{AuthSecretFile: file(" " + testSecret + "\n\n")}).Tokens()
	require.NoError(t, err)
	assert.Equal(t, " "+testSecret+"\n", string(config.Secret), "only one line break does not count")
	_, err = (&IdentitySettings{AuthJWKSURL: "https://issuer.example/"}).Tokens()
	require.ErrorContains(t, err, "no secret is set")
}

// TestRoutesWithTokens: with tokens, other hosts of the setting may ask. A token that is not accepted is
// refused, and a caller without one may read and reserve unless a setting says otherwise.
func TestRoutesWithTokens(t *testing.T) {
	t.Parallel()
	st := demoStore(t, store.Config{})
	require.NoError(t, st.Start())
	identity := IdentitySettings{AuthSecret: testSecret, ReserveAnonymously: off}
	bearer, closeBearer, err := identity.bearer(t.Context(), nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(closeBearer)
	assert.Equal(t, []guard.AnonymousUse{guard.AnonymousReserving}, bearer.TokenRequired)
	h := routes(st, transport.NewClosing(), slog.New(slog.DiscardHandler), routeConfig{sites: publicSites(t), bearer: bearer, registry: newRegistry(st), open: newConnections(0)})
	assert.Equal(t, http.StatusNotFound, served(t, h, local(t, http.MethodGet, "/metrics")).Code, "the admin listener has them")
	assert.Equal(t, http.StatusOK, served(t, h, local(t, http.MethodGet, "/readyz")).Code)
	token, err := tokens.Mint([]byte(testSecret), tokens.NewToken{Subject: "erp", Lifetime: time.Hour}, time.Now())
	require.NoError(t, err)
	for authorization, status := range map[string]int{"": http.StatusOK, "Bearer " + token: http.StatusOK, "Bearer x" + token: http.StatusUnauthorized} {
		r := local(t, http.MethodGet, "/graphql?query={stock(productId:%2222423%22){quantityAvailable}}")
		r.Host = "shop.example.com"
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		assert.Equal(t, status, served(t, h, r).Code, authorization)
	}
}
