package guard_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/models"
)

// fakeVerifier accepts the tokens that it has.
type fakeVerifier struct {
	accepts map[string]guard.Identity
	mu      sync.Mutex
	ends    map[string]func()
}

// Verify implements guard.TokenVerifier.
func (f *fakeVerifier) Verify(_ context.Context, token string) (*guard.Identity, error) {
	if id, known := f.accepts[token]; known {
		return &id, nil
	}
	if token == "later" {
		return nil, models.Unavailable("try again", nil)
	}
	return nil, &models.Fault{Code: models.CodeUnauthenticated, Message: "the token is not valid"}
}

// OnRevoked implements guard.TokenVerifier.
func (f *fakeVerifier) OnRevoked(id *guard.Identity, end func()) (stop func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ends[id.TokenID] = end
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.ends, id.TokenID)
	}
}

func newBearer(refused ...guard.AnonymousUse) (*guard.Bearer, *fakeVerifier) {
	verifier := &fakeVerifier{ends: map[string]func(){}, accepts: map[string]guard.Identity{
		"good": {Subject: "erp", Scopes: []guard.Scope{guard.ReadInventory}, TokenID: "1"},
	}}
	return &guard.Bearer{Verifier: verifier, TokenRequired: refused}, verifier
}

// TestBearer: the header names the caller. Without one the caller is anonymous; a bad one
// is refused with status 401, before the request is read.
func TestBearer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		header  []string
		status  int
		subject string
		code    string
	}{
		"none":        {nil, 200, "", ""},
		"empty":       {[]string{""}, 200, "", ""},
		"good":        {[]string{"Bearer good"}, 200, "erp", ""},
		"lower case":  {[]string{"bearer  good"}, 200, "erp", ""},
		"bad":         {[]string{"Bearer bad"}, 401, "", "UNAUTHENTICATED"},
		"only scheme": {[]string{"Bearer"}, 401, "", "UNAUTHENTICATED"},
		"no scheme":   {[]string{"good"}, 401, "", "UNAUTHENTICATED"},
		"basic":       {[]string{"Basic good"}, 401, "", "UNAUTHENTICATED"},
		"two":         {[]string{"Bearer good", "Bearer good"}, 401, "", "UNAUTHENTICATED"},
		"unavailable": {[]string{"Bearer later"}, 503, "", "UNAVAILABLE"},
	} {
		bearer, _ := newBearer()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", http.NoBody)
		r.Header["Authorization"] = test.header
		w := httptest.NewRecorder()
		reached := false
		guard.WithAddress(bearer.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			reached = true
			assert.Equal(t, test.subject, guard.Subject(r.Context()), name)
			assert.Equal(t, test.subject == "", guard.IsAnonymous(r.Context()), name)
			assert.Equal(t, test.subject != "", guard.Has(r.Context(), guard.ReadInventory), name)
			assert.False(t, guard.Has(r.Context(), guard.WriteInventory), name)
			assert.True(t, guard.TokensConfigured(r.Context()), name)
			assert.NotEmpty(t, guard.Address(r.Context()), name)
		})), guard.Proxies{}).ServeHTTP(w, r)
		assert.Equal(t, test.status, w.Code, name)
		assert.Equal(t, test.status == 200, reached, name)
		if !reached {
			assert.Equal(t, test.code, code(t, w), name)
		}
		if test.status == 401 {
			assert.Contains(t, w.Header().Get("WWW-Authenticate"), `Bearer realm="onhand", error="invalid_token"`, name)
		}
	}
}

// TestTokensNotConfigured: without tokens every caller has every scope, whatever it sends.
func TestTokensNotConfigured(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", http.NoBody)
	r.Header.Set("Authorization", "Bearer bad")
	guard.Local(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for _, scope := range guard.Scopes {
			assert.True(t, guard.Has(r.Context(), scope))
		}
		assert.False(t, guard.IsAnonymous(r.Context()))
		assert.False(t, guard.TokensConfigured(r.Context()))
		_, expires := guard.Expires(r.Context())
		assert.False(t, expires)
	})).ServeHTTP(httptest.NewRecorder(), r)
}

// TestAnonymousUses: a setting refuses a use to callers without a token.
func TestAnonymousUses(t *testing.T) {
	t.Parallel()
	assert.True(t, guard.MayAnonymously(t.Context(), guard.AnonymousReserving))
	ctx := guard.WithTokensConfigured(t.Context(), guard.AnonymousReserving)
	assert.True(t, guard.MayAnonymously(ctx, guard.AnonymousReading))
	assert.False(t, guard.MayAnonymously(ctx, guard.AnonymousReserving))
}

// TestConnect: the token of a WebSocket is that of connection_init, or else that of the
// handshake.
func TestConnect(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		header, payload, subject string
		code                     models.Code
	}{
		"none":              {"", "", "", ""},
		"null":              {"", "null", "", ""},
		"other fields":      {"", `{"headers":{}}`, "", ""},
		"header":            {"Bearer good", `{}`, "erp", ""},
		"bad header":        {"Bearer bad", "", "", models.CodeUnauthenticated},
		"payload":           {"", `{"authorization":"Bearer good"}`, "erp", ""},
		"capital":           {"", `{"Authorization":"bearer good"}`, "erp", ""},
		"token":             {"", `{"token":"good"}`, "erp", ""},
		"payload is better": {"Bearer bad", `{"token":"good"}`, "erp", ""},
		"bad payload":       {"Bearer good", `{"token":"bad"}`, "", models.CodeUnauthenticated},
		"signed out":        {"", `{"authorization":"","token":null}`, "", ""},
		"no text":           {"", `{"authorization":{"Bearer":"good"}}`, "", models.CodeUnauthenticated},
		"a list":            {"", `["Bearer good"]`, "", models.CodeUnauthenticated},
		"unavailable":       {"", `{"token":"later"}`, "", models.CodeUnavailable},
	} {
		bearer, _ := newBearer()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/graphql", http.NoBody)
		r.Header.Set("Upgrade", "WebSocket")
		if test.header != "" {
			r.Header.Set("Authorization", test.header)
		}
		bearer.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			assert.True(t, guard.IsAnonymous(r.Context()), "the token is not checked yet")
			ctx, err := bearer.Connect(r.Context(), json.RawMessage(test.payload))
			if test.code != "" {
				assert.Equal(t, test.code, models.CodeOf(err), name)
				return
			}
			require.NoError(t, err, name)
			assert.Equal(t, test.subject, guard.Subject(ctx), name)
			assert.True(t, guard.TokensConfigured(ctx), name)
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
}

// TestStreamsEndWithTheirToken: the context of a stream ends when its token expires or is
// revoked, and says so.
func TestStreamsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bearer, verifier := newBearer()
		verifier.accepts["short"] = guard.Identity{Subject: "s", TokenID: "2", Expires: time.Now().Add(time.Minute)}
		connect := func(token string) context.Context {
			ctx, err := bearer.Connect(t.Context(), json.RawMessage(`{"token":"`+token+`"}`))
			require.NoError(t, err)
			return ctx
		}
		short, long := connect("short"), connect("good")
		at, expires := guard.Expires(short)
		assert.True(t, expires)
		assert.Equal(t, time.Now().Add(time.Minute), at)
		time.Sleep(time.Minute - time.Nanosecond)
		assert.NoError(t, short.Err())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.ErrorIs(t, short.Err(), context.Canceled)
		assert.True(t, guard.TokenEnded(short))
		assert.NotContains(t, verifier.ends, "2")

		assert.NoError(t, long.Err())
		verifier.ends["1"]()
		synctest.Wait()
		assert.True(t, guard.TokenEnded(long))

		ctx, stop := guard.UntilTokenEnds(guard.WithIdentity(t.Context(), guard.Identity{Expires: time.Now().Add(time.Hour)}))
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		stop()
		require.Error(t, child.Err())
		assert.False(t, guard.TokenEnded(child))
		anonymous, stop := guard.UntilTokenEnds(t.Context())
		defer stop()
		assert.NoError(t, anonymous.Err())
	})
}
