package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

// testIssuer serves a key set that a test changes.
type testIssuer struct {
	*httptest.Server
	answer atomic.Pointer[string]
	asked  atomic.Int32
}

func newIssuer(t *testing.T, keys ...jwkset.JWKMarshal) *testIssuer {
	t.Helper()
	issuer := &testIssuer{}
	issuer.serve(t, keys...)
	issuer.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		issuer.asked.Add(1)
		answer := *issuer.answer.Load()
		if answer == "" {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(issuer.Close)
	return issuer
}

func (i *testIssuer) serve(t *testing.T, keys ...jwkset.JWKMarshal) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"keys": keys})
	require.NoError(t, err)
	i.answer.Store(new(string(text)))
}

// public is the entry of a key set for a key, private or public.
func public(t *testing.T, id string, key any) jwkset.JWKMarshal {
	t.Helper()
	if private, ok := key.(interface{ Public() crypto.PublicKey }); ok {
		key = private.Public()
	}
	options := jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: id}, Marshal: jwkset.JWKMarshalOptions{Private: true}}
	made, err := jwkset.NewJWKFromKey(key, options)
	require.NoError(t, err)
	return made.Marshal()
}

// testKeys are made once: an RSA key takes a while.
var testKeys = sync.OnceValue(func() (keys struct {
	rsa, weak *rsa.PrivateKey
	ec, p384  *ecdsa.PrivateKey
	ed        ed25519.PrivateKey
},
) {
	keys.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	keys.weak, _ = rsa.GenerateKey(rand.Reader, 1024)
	keys.ec, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	keys.p384, _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, keys.ed, _ = ed25519.GenerateKey(rand.Reader)
	return keys
})

// mayRefetch lets the next unknown key cause a fetch at once.
func (v *Verifier) mayRefetch() {
	v.keys.mu.Lock()
	defer v.keys.mu.Unlock()
	v.keys.beganAt = time.Now().Add(-refetchIntervalMin)
}

func named(id string) map[string]any { return map[string]any{"kid": id} }

// TestKeySet: RS256, ES256 and EdDSA are accepted with the key that a token names, and
// nothing else is.
func TestKeySet(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	encrypting := public(t, "encrypts", keys.rsa)
	encrypting.USE = jwkset.UseEnc
	issuer := newIssuer(t, public(t, "rsa", keys.rsa), public(t, "ec", keys.ec), public(t, "ed", keys.ed), public(t, "shared", testSecret), encrypting,
		jwkset.JWKMarshal{KTY: "OKP", CRV: "Ed448", KID: "ed448", X: "AAAA"}, jwkset.JWKMarshal{KTY: "none", KID: "odd"})
	v := open(t, VerifierConfig{KeySetURL: issuer.URL})
	for id, test := range map[string]struct {
		method jwt.SigningMethod
		key    any
	}{"rsa": {jwt.SigningMethodRS256, keys.rsa}, "ec": {jwt.SigningMethodES256, keys.ec}, "ed": {jwt.SigningMethodEdDSA, keys.ed}} {
		caller, err := v.Verify(t.Context(), signed(t, test.method, test.key, named(id), claimsWith(nil)))
		require.NoError(t, err, id)
		assert.Equal(t, "shopper", caller.Subject)
	}
	spki, err := x509.MarshalPKIXPublicKey(keys.rsa.Public())
	require.NoError(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	for name, token := range map[string]string{
		"the public key as secret":  signed(t, jwt.SigningMethodHS256, text, named("rsa"), claimsWith(nil)),
		"the public key, raw":       signed(t, jwt.SigningMethodHS256, spki, named("rsa"), claimsWith(nil)),
		"a secret of the key set":   signed(t, jwt.SigningMethodHS256, testSecret, named("shared"), claimsWith(nil)),
		"another algorithm":         signed(t, jwt.SigningMethodPS256, keys.rsa, named("rsa"), claimsWith(nil)),
		"a stronger algorithm":      signed(t, jwt.SigningMethodRS512, keys.rsa, named("rsa"), claimsWith(nil)),
		"the key of another":        signed(t, jwt.SigningMethodES256, keys.ec, named("rsa"), claimsWith(nil)),
		"a key for encryption":      signed(t, jwt.SigningMethodRS256, keys.rsa, named("encrypts"), claimsWith(nil)),
		"an unknown key":            signed(t, jwt.SigningMethodRS256, keys.rsa, named("none"), claimsWith(nil)),
		"no key named, many in set": signed(t, jwt.SigningMethodRS256, keys.rsa, nil, claimsWith(nil)),
		"a key that is no text":     signed(t, jwt.SigningMethodRS256, keys.rsa, map[string]any{"kid": 1}, claimsWith(nil)),
		"none":                      signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, named("rsa"), claimsWith(nil)),
	} {
		_, err := v.Verify(t.Context(), token)
		assert.Equal(t, models.CodeUnauthenticated, models.CodeOf(err), name)
	}

	alone := open(t, VerifierConfig{KeySetURL: newIssuer(t, public(t, "", keys.ec)).URL})
	_, err = alone.Verify(t.Context(), signed(t, jwt.SigningMethodES256, keys.ec, nil, claimsWith(nil)))
	require.NoError(t, err, "one key needs no name")
}

// TestBothConfigured: with a secret and a key set, each verifies its own algorithms only.
func TestBothConfigured(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	v := open(t, VerifierConfig{Secret: testSecret, KeySetURL: newIssuer(t, public(t, "rsa", keys.rsa)).URL})
	for _, token := range []string{
		signed(t, jwt.SigningMethodHS256, testSecret, named("rsa"), claimsWith(nil)),
		signed(t, jwt.SigningMethodRS256, keys.rsa, named("rsa"), claimsWith(nil)),
	} {
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
	}
	spki, err := x509.MarshalPKIXPublicKey(keys.rsa.Public())
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), signed(t, jwt.SigningMethodHS256, spki, named("rsa"), claimsWith(nil)))
	require.Error(t, err)
}

// TestRotation: under load, tokens of a new key are accepted at once, those of the key
// before as long as the set has it, and unknown keys cause one fetch.
func TestRotation(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	issuer := newIssuer(t, public(t, "old", keys.ec))
	v := open(t, VerifierConfig{KeySetURL: issuer.URL})
	old := func() string { return signed(t, jwt.SigningMethodES256, keys.ec, named("old"), claimsWith(nil)) }
	young := func() string { return signed(t, jwt.SigningMethodEdDSA, keys.ed, named("new"), claimsWith(nil)) }
	_, err := v.Verify(t.Context(), old())
	require.NoError(t, err)
	require.EqualValues(t, 1, issuer.asked.Load())

	issuer.serve(t, public(t, "old", keys.ec), public(t, "new", keys.ed))
	v.mayRefetch()
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			_, err := v.Verify(t.Context(), old())
			assert.NoError(t, err)
			_, err = v.Verify(t.Context(), young())
			assert.NoError(t, err)
		})
	}
	callers.Wait()
	assert.EqualValues(t, 2, issuer.asked.Load())
	for range 100 {
		_, err := v.Verify(t.Context(), signed(t, jwt.SigningMethodES256, keys.ec, named(rand.Text()), claimsWith(nil)))
		assert.Error(t, err)
	}
	assert.EqualValues(t, 2, issuer.asked.Load(), "unknown keys cause no more fetches")

	issuer.serve(t, public(t, "new", keys.ed))
	v.mayRefetch()
	v.keys.refetch(t.Context())
	_, err = v.Verify(t.Context(), signed(t, jwt.SigningMethodES256, keys.ec, named("old"), claimsWith(map[string]any{"jti": "2"})))
	require.Error(t, err, "the key was withdrawn")
}

// TestIssuerDown: without keys each token is UNAVAILABLE; once they are known they stay in
// use, whatever the issuer answers.
func TestIssuerDown(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	issuer := newIssuer(t)
	issuer.answer.Store(new(""))
	v := open(t, VerifierConfig{KeySetURL: issuer.URL})
	verify := func() error {
		_, err := v.Verify(t.Context(), signed(t, jwt.SigningMethodES256, keys.ec, named("ec"), claimsWith(map[string]any{"jti": rand.Text()})))
		return err
	}
	assert.Equal(t, models.CodeUnavailable, models.CodeOf(verify()))
	assert.EqualValues(t, 1, issuer.asked.Load())

	issuer.serve(t, public(t, "ec", keys.ec))
	v.mayRefetch()
	require.NoError(t, verify())
	weak := public(t, "weak", keys.weak)
	for name, answer := range map[string]string{
		"down": "", "no JSON": "<html>", "no keys": `{"keys":[]}`, "large": `{"keys":[]}` + strings.Repeat(" ", keySetBytesMax),
		"many": `{"keys":[` + strings.Repeat(`{},`, keysMax) + `{}]}`,
	} {
		issuer.answer.Store(&answer)
		v.mayRefetch()
		v.keys.refetch(t.Context())
		require.NoError(t, verify(), name)
	}
	issuer.serve(t, weak, public(t, "p384", keys.p384))
	v.mayRefetch()
	v.keys.refetch(t.Context())
	require.NoError(t, verify(), "no key of that set is usable")
}

// TestNoRedirects: the issuer's URL must not lead to another server.
func TestNoRedirects(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	elsewhere := newIssuer(t, public(t, "ec", keys.ec))
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	t.Cleanup(server.Close)
	v := open(t, VerifierConfig{KeySetURL: server.URL})
	_, err := v.Verify(t.Context(), signed(t, jwt.SigningMethodES256, keys.ec, named("ec"), claimsWith(nil)))
	assert.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	assert.Zero(t, elsewhere.asked.Load())
}
