package serving

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/graph/tokens"
	"onhand/graph/transport"
	"onhand/graph/trusted"
	"onhand/store"
)

// TestSchemaPages: in production, the default where tokens are configured, schema and
// playground are there for the scope admin alone. PLAYGROUND changes the page alone.
func TestSchemaPages(t *testing.T) {
	t.Parallel()
	st := demoStore(t, store.Config{})
	require.NoError(t, st.Start())
	identity := IdentitySettings{AuthSecret: testSecret}
	bearer, closeBearer, err := identity.bearer(t.Context(), nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(closeBearer)
	tokenOf := func(scopes ...guard.Scope) string {
		token, err := tokens.Mint([]byte(testSecret), tokens.NewToken{Subject: "someone", Scopes: scopes, Lifetime: time.Hour}, time.Now())
		require.NoError(t, err)
		return "Bearer " + token
	}
	callers := []string{"", tokenOf(guard.ReadInventory, guard.WriteInventory), tokenOf(guard.Admin)}
	const all, admins, none = "200 200 200", "404 404 200", "404 404 404"
	for name, test := range map[string]struct {
		documents                                  DocumentSettings
		local                                      bool
		playground, schema, introspection, browser string
	}{
		"without tokens":             {DocumentSettings{}, true, all, all, "yes yes yes", "303 303 303"},
		"production, without tokens": {DocumentSettings{Profile: "production"}, true, all, all, "yes yes yes", "400 400 400"}, // a local caller has every scope
		"with tokens":                {DocumentSettings{Profile: "auto", Playground: "auto"}, false, admins, admins, "no no yes", "400 400 400"},
		"development, with tokens":   {DocumentSettings{Profile: "development"}, false, all, all, "yes yes yes", "303 303 303"},
		"playground on":              {DocumentSettings{Playground: on}, false, all, admins, "no no yes", "303 303 303"},
		"playground off":             {DocumentSettings{Playground: off, Profile: "development"}, false, none, all, "yes yes yes", "400 400 400"},
	} {
		checked := bearer
		if test.local {
			checked = nil
		}
		h := routes(st, transport.NewClosing(), slog.New(slog.DiscardHandler), routeConfig{registry: newRegistry(st), sites: localSites(t), bearer: checked, documents: test.documents})
		each := func(path string, show func(*httptest.ResponseRecorder) string) string {
			var answers []string
			for _, authorization := range callers {
				r := local(t, http.MethodGet, path)
				r.Header.Set("Accept", "text/html, application/json;q=0.5")
				if authorization != "" && !test.local {
					r.Header.Set("Authorization", authorization)
				}
				answers = append(answers, show(served(t, h, r)))
			}
			return strings.Join(answers, " ")
		}
		status := func(w *httptest.ResponseRecorder) string { return strconv.Itoa(w.Code) }
		assert.Equal(t, test.playground, each("/playground", status), name)
		assert.Equal(t, test.schema, each("/schema.graphql", status), name)
		assert.Equal(t, test.browser, each("/graphql", status), name)
		assert.Equal(t, test.introspection, each("/graphql?query={__schema{types{name}}}", func(w *httptest.ResponseRecorder) string {
			if strings.Contains(w.Body.String(), `"ReserveStockInput"`) {
				return "yes"
			}
			return "no"
		}), name)
		assert.Equal(t, "200 200 200", each("/graphql?query={__typename}", status), name)
	}
}

// TestTrustedDocumentSettings: the manifest is read at the start, and a file that is none
// ends it. Alone, its documents are the only ones.
func TestTrustedDocumentSettings(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	require.ErrorContains(t, (&DocumentSettings{TrustedDocumentsOnly: on}).check(), "trusted-documents")
	require.NoError(t, (&DocumentSettings{TrustedDocumentsOnly: off}).check())
	for key, want := range map[string]string{
		"short": "gateway-key has 5 bytes; it needs 32 at least; openssl rand -hex 32 makes a secret", strings.Repeat("k", gatewayKeyBytesMin-1): "has 31 bytes",
		" " + strings.Repeat("k", 32): "visible ASCII", strings.Repeat(" ", 32): "visible ASCII", strings.Repeat("k", 32) + "\n": "visible ASCII", strings.Repeat("é", 32): "visible ASCII",
	} {
		require.ErrorContains(t, (&DocumentSettings{TrustedDocuments: "a file", TrustedDocumentsOnly: on, GatewayKey: key}).check(), want)
	}
	for _, documents := range []string{"", "a file"} {
		settings := DocumentSettings{TrustedDocuments: documents, TrustedDocumentsOnly: off, GatewayKey: strings.Repeat("k", gatewayKeyBytesMin)}
		require.ErrorContains(t, settings.check(), "gateway-key is for trusted-documents-only: set both", "it would do nothing")
	}
	_, _, err := (&DocumentSettings{TrustedDocuments: "none"}).openTrusted(t.Context(), log)
	require.ErrorIs(t, err, os.ErrNotExist)

	st := demoStore(t, store.Config{})
	require.NoError(t, st.Start())
	path := filepath.Join(t.TempDir(), "manifest.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"stock": "query($id: ID!) { stock(productId: $id) { quantityAvailable } }"}`), 0o600))
	settings := DocumentSettings{TrustedDocuments: path, TrustedDocumentsOnly: on, GatewayKey: strings.Repeat("k", gatewayKeyBytesMin)}
	require.NoError(t, settings.check())
	documents, closeTrusted, err := settings.openTrusted(t.Context(), log)
	require.NoError(t, err)
	defer closeTrusted()
	bearer, closeBearer, err := (&IdentitySettings{AuthSecret: testSecret}).bearer(t.Context(), nil, log)
	require.NoError(t, err)
	defer closeBearer()
	h := routes(st, transport.NewClosing(), log, routeConfig{registry: newRegistry(st), sites: publicSites(t), bearer: bearer, documents: settings, trusted: documents})
	assert.JSONEq(t, `{"data":{"stock":{"quantityAvailable":58}}}`, served(t, h, local(t, http.MethodGet, `/graphql?documentId=stock&variables=%7B%22id%22:%2222423%22%7D`)).Body.String())
	assert.Contains(t, served(t, h, local(t, http.MethodGet, "/graphql?query={__typename}")).Body.String(), `"code":"FORBIDDEN"`)
	fromGateway := local(t, http.MethodGet, "/graphql?query={__typename,reservations(first:1){nodes{id}}}")
	fromGateway.Header.Set(trusted.GatewayHeader, settings.GatewayKey)
	answer := served(t, h, fromGateway).Body.String()
	assert.Contains(t, answer, `"code":"UNAUTHENTICATED"`, "the key of a gateway grants no scope")
	assert.NotContains(t, answer, "manifest")
	assert.Contains(t, served(t, h, local(t, http.MethodGet, "/graphql?query={_service{sdl}}")).Body.String(), "https://specs.apollo.dev/federation", "a gateway reads the subgraph all the same")
}

// TestFederationSettings: what a gateway gets, in production too.
func TestFederationSettings(t *testing.T) {
	t.Parallel()
	st := demoStore(t, store.Config{})
	require.NoError(t, st.Start())
	bearer, closeBearer, err := (&IdentitySettings{AuthSecret: testSecret}).bearer(t.Context(), nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer closeBearer()
	const refused = `"code":"GRAPHQL_VALIDATION_FAILED"`
	for setting, want := range map[string]struct{ service, titles, entities string }{
		"subgraph": {"@key", "", `"tracked":true`}, "full": {"@key", "ProductConnection", `"tracked":true`}, off: {refused, "", refused},
	} {
		settings := DocumentSettings{Federation: setting}
		h := routes(st, transport.NewClosing(), slog.New(slog.DiscardHandler), routeConfig{registry: newRegistry(st), sites: publicSites(t), bearer: bearer, documents: settings})
		answer := func(query string) string {
			return served(t, h, local(t, http.MethodGet, "/graphql?query="+url.QueryEscape(query))).Body.String()
		}
		service := answer("{_service{sdl}}")
		assert.Contains(t, service, want.service, setting)
		assert.Equal(t, want.titles != "", strings.Contains(service, "ProductConnection"), setting)
		assert.Contains(t, answer(`{_entities(representations:[{__typename:"Product",id:"22423"}]){... on Product{tracked}}}`), want.entities, setting)
		assert.Contains(t, answer(`{product(id:"22423"){title}}`), `"title":"`, "the server itself has everything")
	}
}
