package web_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/web"
)

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://shop.test:8080"+path, nil))
	return w
}

func loadSchema(t *testing.T) *ast.Schema {
	t.Helper()
	names, err := filepath.Glob("../graph/schema/*.graphqls")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	sources := make([]*ast.Source, 0, len(names))
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		sources = append(sources, &ast.Source{Name: name, Input: string(text)})
	}
	schema, err := gqlparser.LoadSchema(sources...)
	require.NoError(t, err)
	return schema
}

// TestBoardDocuments: every document of the live board fits the schema. Each has its
// hash as id, so that TRUSTED_DOCUMENTS takes the manifest.
func TestBoardDocuments(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("board/documents.json")
	require.NoError(t, err)
	var documents map[string]string
	require.NoError(t, json.Unmarshal(text, &documents))
	require.Greater(t, len(documents), 15)
	schema := loadSchema(t)
	for id, document := range documents {
		_, errs := gqlparser.LoadQueryWithRules(schema, document, nil)
		require.Empty(t, errs, document)
		sum := sha256.Sum256([]byte(document))
		require.Equal(t, hex.EncodeToString(sum[:]), id)
	}
}

// TestBoardIsSmall: what a browser loads for the board, compressed, without the chart,
// which is loaded when a product's page is opened.
func TestBoardIsSmall(t *testing.T) {
	t.Parallel()
	const bytesMax = 60_000
	var sent bytes.Buffer
	w := gzip.NewWriter(&sent)
	for _, name := range []string{"board.js", "board.css"} {
		text, err := os.ReadFile(filepath.Join("board", "dist", name))
		require.NoError(t, err)
		_, err = w.Write(text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.Less(t, sent.Len(), bytesMax)
}

func TestSampleOperationsFitTheSchema(t *testing.T) {
	t.Parallel()
	schema := loadSchema(t)
	operations := web.SampleOperations()
	require.Len(t, operations, 15)
	require.Equal(t, "product-list", operations[0].Name)
	for _, operation := range operations {
		_, errs := gqlparser.LoadQueryWithRules(schema, operation.Text, nil)
		require.Empty(t, errs, operation.Name)
		require.True(t, strings.HasPrefix(operation.Text, "# "), "%s begins with a comment", operation.Name)
	}
}

func TestPagesNeedNoOtherServer(t *testing.T) {
	t.Parallel()
	pages := map[string]http.Handler{"/": web.Board(), "/playground": web.Playground("/graphql"), "/playground/": web.Playground("/graphql")}
	link := regexp.MustCompile(`(?:src|href)="([^"]+)"(?: integrity="([^"]+)")?`)
	for path, handler := range pages {
		page := get(handler, path)
		require.Equal(t, http.StatusOK, page.Code)
		require.Equal(t, "no-cache", page.Header().Get("Cache-Control"))
		require.Equal(t, "nosniff", page.Header().Get("X-Content-Type-Options"))
		require.Equal(t, "no-referrer", page.Header().Get("Referrer-Policy"))

		links := link.FindAllStringSubmatch(page.Body.String(), -1)
		require.NotEmpty(t, links)
		for _, found := range links {
			url, integrity := found[1], html.UnescapeString(found[2])
			require.True(t, strings.HasPrefix(url, "/") && !strings.HasPrefix(url, "//"), "%s stays on this server", url)
			if !strings.Contains(url, "/assets/") {
				continue
			}
			file := get(handler, url)
			require.Equal(t, http.StatusOK, file.Code, url)
			require.Equal(t, "public, max-age=31536000, immutable", file.Header().Get("Cache-Control"))
			require.Equal(t, "nosniff", file.Header().Get("X-Content-Type-Options"))
			require.NotEmpty(t, file.Header().Get("Content-Type"))
			if integrity != "" {
				sum := sha256.Sum256(file.Body.Bytes())
				require.Equal(t, "sha256-"+base64.StdEncoding.EncodeToString(sum[:]), integrity, url)
			}

			again := httptest.NewRequest(http.MethodGet, url, nil)
			again.Header.Set("If-None-Match", file.Header().Get("ETag"))
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, again)
			require.Equal(t, http.StatusNotModified, w.Code, url)
		}
	}
}

func TestContentSecurityPolicy(t *testing.T) {
	t.Parallel()
	for path, handler := range map[string]http.Handler{"/": web.Board(), "/playground": web.Playground("/graphql")} {
		policy := get(handler, path).Header().Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'")
		require.Contains(t, policy, "frame-ancestors 'none'")
		require.Contains(t, policy, "connect-src 'self' ws://shop.test:8080 wss://shop.test:8080")
		require.NotContains(t, policy, "unsafe")
		require.NotContains(t, policy, "http")

		// A Host that would add to the policy is ignored.
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host = "x; script-src *"
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.True(t, strings.HasSuffix(w.Header().Get("Content-Security-Policy"), "connect-src 'self'"))
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	board, playground := web.Board(), web.Playground("/graphql")
	for _, path := range []string{"/nothing", "/assets/", "/assets/0/board.js", "/index.html"} {
		w := get(board, path)
		require.Equal(t, http.StatusNotFound, w.Code, path)
		require.Contains(t, w.Body.String(), "Not found")
	}
	require.Equal(t, http.StatusNotFound, get(playground, "/playground/assets/").Code)

	w := httptest.NewRecorder()
	board.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
}
