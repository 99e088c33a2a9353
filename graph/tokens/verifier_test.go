package tokens

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"onhand/graph/guard"
	"onhand/models"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testSecret is a secret of the shortest length.
var testSecret = []byte("0123456789abcdef0123456789abcdef")

// testTime is the time of the verifiers of tests.
var testTime = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func open(t *testing.T, config VerifierConfig) *Verifier {
	t.Helper()
	config.Logger = slog.New(slog.DiscardHandler)
	if config.now == nil {
		config.now = func() time.Time { return testTime }
	}
	v, err := Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(v.Close)
	return v
}

// signed makes a token of these claims.
func signed(t testing.TB, method jwt.SigningMethod, key any, header, claims map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	for name, value := range header {
		token.Header[name] = value
	}
	text, err := token.SignedString(key)
	require.NoError(t, err)
	return text
}

// claimsWith returns valid claims with changes; nil removes a claim.
func claimsWith(changes map[string]any) map[string]any {
	c := map[string]any{"sub": "shopper", "exp": testTime.Add(time.Minute).Unix()}
	for name, value := range changes {
		if value == nil {
			delete(c, name)
		} else {
			c[name] = value
		}
	}
	return c
}

// TestAccepted: a valid token names its caller, also when it is checked again.
func TestAccepted(t *testing.T) {
	t.Parallel()
	v := open(t, VerifierConfig{Secret: testSecret, Issuer: "https://issuer.example", Audience: "onhand"})
	token := signed(t, jwt.SigningMethodHS256, testSecret, nil, claimsWith(map[string]any{
		"iss": "https://issuer.example", "aud": []string{"other", "onhand"}, "jti": "j", "nbf": testTime.Unix(),
		"scope": "  read:inventory write:orders read:inventory openid read:inventory:all ",
	}))
	for range 2 {
		caller, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		assert.Equal(t, &guard.Identity{
			Subject: "shopper", Scopes: []guard.Scope{guard.ReadInventory, guard.WriteOrders}, TokenID: "j", Expires: testTime.Add(time.Minute + Leeway).Local(),
		}, caller)
	}
}

// TestRefused: each token that is not accepted, and why.
func TestRefused(t *testing.T) {
	t.Parallel()
	v := open(t, VerifierConfig{Secret: testSecret, Issuer: "issuer", Audience: "onhand"})
	valid := map[string]any{"iss": "issuer", "aud": "onhand"}
	with := func(name string, value any) map[string]any {
		changed := claimsWith(valid)
		if changed[name] = value; value == nil {
			delete(changed, name)
		}
		return changed
	}
	hs256 := func(claims map[string]any) string { return signed(t, jwt.SigningMethodHS256, testSecret, nil, claims) }
	good := hs256(claimsWith(valid))
	_, err := v.Verify(t.Context(), good)
	require.NoError(t, err)
	parts := strings.Split(good, ".")
	stranger := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"admin","scope":"admin","exp":99999999999,"iss":"issuer","aud":"onhand"}`))
	for name, test := range map[string]struct{ token, message string }{
		"empty":              {"", "not valid"},
		"no token":           {"null", "not valid"},
		"two parts":          {parts[0] + "." + parts[1], "not valid"},
		"four parts":         {good + ".x", "not valid"},
		"no signature":       {parts[0] + "." + parts[1] + ".", "not valid"},
		"other claims":       {parts[0] + "." + stranger + "." + parts[2], "not valid"},
		"padded":             {good + "=", "not valid"},
		"large":              {good + strings.Repeat("x", tokenBytesMax), "larger than 8 KiB"},
		"none":               {signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, claimsWith(valid)), "not valid"},
		"other secret":       {signed(t, jwt.SigningMethodHS256, []byte("fedcba9876543210fedcba9876543210"), nil, claimsWith(valid)), "not valid"},
		"other algorithm":    {signed(t, jwt.SigningMethodHS512, testSecret, nil, claimsWith(valid)), "not valid"},
		"critical extension": {signed(t, jwt.SigningMethodHS256, testSecret, map[string]any{"crit": []string{"b64"}, "b64": false}, claimsWith(valid)), "not valid"},
		"expired":            {hs256(with("exp", testTime.Add(-Leeway-time.Second).Unix())), "expired"},
		"never expires":      {hs256(with("exp", nil)), "without a claim"},
		"early":              {hs256(with("nbf", testTime.Add(Leeway+time.Second).Unix())), "not valid yet"},
		"other issuer":       {hs256(with("iss", "issuer.example")), "of another issuer"},
		"no issuer":          {hs256(with("iss", nil)), "without a claim"},
		"other audience":     {hs256(with("aud", []string{"web"})), "for another audience"},
		"no audience":        {hs256(with("aud", nil)), "without a claim"},
		"no subject":         {hs256(with("sub", nil)), "without a subject"},
		"long subject":       {hs256(with("sub", strings.Repeat("s", models.TextLengthMax+1))), "not valid"},
		"control character":  {hs256(with("sub", "a\x00b")), "not valid"},
		"long id":            {hs256(with("jti", strings.Repeat("j", tokenIDBytesMax+1))), "not valid"},
		"scopes in a list":   {hs256(with("scope", []string{"admin"})), "not valid"},
	} {
		caller, err := v.Verify(t.Context(), test.token)
		assert.Nil(t, caller, name)
		assert.Equal(t, models.CodeUnauthenticated, models.CodeOf(err), name)
		assert.ErrorContains(t, err, test.message, name)
	}
	_, err = v.Verify(t.Context(), hs256(with("exp", testTime.Add(-Leeway+time.Second).Unix())))
	require.NoError(t, err, "within the leeway")
}

// TestAcceptedTokensExpire: a token that was accepted is refused once it has expired, and
// is checked again after acceptedFor.
func TestAcceptedTokensExpire(t *testing.T) {
	t.Parallel()
	now := testTime
	v := open(t, VerifierConfig{Secret: testSecret, now: func() time.Time { return now }})
	token := signed(t, jwt.SigningMethodHS256, testSecret, nil, claimsWith(map[string]any{"exp": testTime.Add(10 * time.Minute).Unix()}))
	for range 2 {
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
	}
	v.secret = []byte("another secret")
	_, err := v.Verify(t.Context(), token)
	require.NoError(t, err, "it was accepted a moment before")
	now = testTime.Add(acceptedFor)
	_, err = v.Verify(t.Context(), token)
	require.ErrorContains(t, err, "not valid")

	v.secret, now = testSecret, testTime.Add(10*time.Minute+Leeway-time.Second)
	_, err = v.Verify(t.Context(), token)
	require.NoError(t, err)
	now = testTime.Add(10*time.Minute + Leeway)
	_, err = v.Verify(t.Context(), token)
	require.ErrorContains(t, err, "expired")
}

// TestConfigurations that can never work are refused, and no message has the secret.
func TestConfigurations(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config  VerifierConfig
		message string
	}{
		"nothing":       {VerifierConfig{}, "need a secret"},
		"short secret":  {VerifierConfig{Secret: []byte("hunter2 hunter2 hunter2 hunter2")}, "has 31 bytes"},
		"no URL":        {VerifierConfig{KeySetURL: "issuer"}, "not valid"},
		"password":      {VerifierConfig{KeySetURL: "https://u:hunter2@issuer.example/keys"}, "not valid"},
		"in clear text": {VerifierConfig{KeySetURL: "http://issuer.example/keys"}, "https://"},
		"no such list":  {VerifierConfig{Secret: testSecret, RevokedFile: filepath.Join(t.TempDir(), "none")}, "list of revoked tokens"},
	} {
		_, err := Open(t.Context(), test.config)
		assert.ErrorContains(t, err, test.message, name)
		assert.NotContains(t, err.Error(), "hunter2", name)
	}
	for _, url := range []string{"http://localhost:8081/keys", "http://127.0.0.1/keys", "http://[::1]:1/keys", "https://issuer.example/keys"} {
		require.NoError(t, (&VerifierConfig{KeySetURL: url}).Check())
	}
}

// TestMint: a minted token is accepted, and each has an id of its own.
func TestMint(t *testing.T) {
	t.Parallel()
	v := open(t, VerifierConfig{Secret: testSecret, Issuer: "i", Audience: "a"})
	ids := map[string]bool{}
	for range 2 {
		text, err := Mint(testSecret, NewToken{Subject: "erp", Scopes: []guard.Scope{guard.WriteInventory, guard.Admin}, Issuer: "i", Audience: "a", Lifetime: time.Hour}, testTime)
		require.NoError(t, err)
		caller, err := v.Verify(t.Context(), text)
		require.NoError(t, err)
		assert.Equal(t, "erp", caller.Subject)
		assert.Equal(t, []guard.Scope{guard.WriteInventory, guard.Admin}, caller.Scopes)
		ids[caller.TokenID] = true
	}
	assert.Len(t, ids, 2)
	for message, token := range map[string]NewToken{
		"there is no scope": {Subject: "x", Scopes: []guard.Scope{"read"}, Lifetime: time.Hour},
		"the subject":       {Lifetime: time.Hour},
		"valid for":         {Subject: "x"},
	} {
		_, err := Mint(testSecret, token, testTime)
		assert.ErrorContains(t, err, message)
	}
	_, err := Mint(testSecret[1:], NewToken{Subject: "x", Lifetime: time.Hour}, testTime)
	assert.ErrorContains(t, err, "31 bytes")
}

// TestRevoked: a token whose id is in the file is refused, also one that was accepted, and
// its streams end. A file that cannot be read changes nothing.
func TestRevoked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "revoked")
	write := func(text string) {
		require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
	write("# ids\n\n one \r\n")
	v := open(t, VerifierConfig{Secret: testSecret, RevokedFile: path})
	token := func(id any) string {
		return signed(t, jwt.SigningMethodHS256, testSecret, nil, claimsWith(map[string]any{"jti": id}))
	}
	verify := func(id any) error {
		_, err := v.Verify(t.Context(), token(id))
		return err
	}
	require.ErrorContains(t, verify("one"), "revoked")
	require.NoError(t, verify("two"))
	require.NoError(t, verify(nil))

	ended := make(chan string, 4)
	watch := func(id string) func() { return v.OnRevoked(&guard.Identity{TokenID: id}, func() { ended <- id }) }
	watch("one")
	assert.Equal(t, "one", <-ended, "it is revoked already")
	watch("two")
	watch("")
	watch("two")()
	watch("three")
	write("one\ntwo\n")
	assert.Equal(t, "two", <-ended)
	require.ErrorContains(t, verify("two"), "revoked")
	require.NoError(t, verify("three"))
	v.Close()
	assert.Empty(t, ended)
	assert.Len(t, v.revoked.streams, 1)

	require.NoError(t, os.Remove(path))
	v.revoked.refresh(testTime)
	require.ErrorContains(t, verify("two"), "revoked", "the list before stays in use")
	write("")
	v.revoked.refresh(testTime)
	require.NoError(t, verify("two"))
}

// TestRevokedFileIsBounded: a list above a bound is refused, and the message has no path.
func TestRevokedFileIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "revoked")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Truncate(path, revokedBytesMax+1))
	_, err := Open(t.Context(), VerifierConfig{Secret: testSecret, RevokedFile: path})
	require.ErrorContains(t, err, "larger than")
	var lines strings.Builder
	for i := range revokedMax + 1 {
		fmt.Fprintln(&lines, i)
	}
	require.NoError(t, os.WriteFile(path, []byte(lines.String()), 0o600))
	_, err = Open(t.Context(), VerifierConfig{Secret: testSecret, RevokedFile: path})
	require.ErrorContains(t, err, "more than 1000000 ids")
	assert.NotContains(t, err.Error(), path)
}

// BenchmarkVerify measures a token that was accepted before, and one that was not.
func BenchmarkVerify(b *testing.B) {
	v, err := Open(b.Context(), VerifierConfig{Secret: testSecret, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	b.Cleanup(v.Close)
	token, err := Mint(testSecret, NewToken{Subject: "x", Scopes: guard.Scopes, Lifetime: time.Hour}, time.Now())
	require.NoError(b, err)
	for name, again := range map[string]bool{"again": true, "first": false} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !again {
					v.accepted.Invalidate(token)
				}
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// FuzzVerify: no text panics, and only what the secret signed is accepted. Its token has no random id: the processes that
// fuzz share the seeds.
func FuzzVerify(f *testing.F) {
	v, err := Open(f.Context(), VerifierConfig{Secret: testSecret, Logger: slog.New(slog.DiscardHandler), now: func() time.Time { return testTime }})
	require.NoError(f, err)
	f.Cleanup(v.Close)
	token := signed(f, jwt.SigningMethodHS256, testSecret, nil, claimsWith(nil))
	f.Add(token)
	head, _ := json.Marshal(map[string]string{"alg": "none"})
	f.Add(base64.RawURLEncoding.EncodeToString(head) + ".e30.")
	f.Fuzz(func(t *testing.T, text string) {
		if caller, err := v.Verify(t.Context(), text); (err == nil) != (text == token) || (caller == nil) != (err != nil) {
			t.Fatal(caller, err)
		}
	})
}
