package trusted_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/trusted"
)

const (
	names  = "query Names { locations { name } }"
	broken = "query Broken {"

	relay  = `{"3be4abb81fa595e25eb725b2c6a87508": "` + names + `", "broken": "` + broken + `"}`
	apollo = `{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "names", "name": "Names", "type": "query", "body": "` + names + `"}]}`
)

// check refuses documents that are not closed.
func check(text string) error {
	if strings.Count(text, "{") != strings.Count(text, "}") {
		return errors.New("not closed")
	}
	return nil
}

type adminKey struct{}

// manifestFile writes a manifest.
func manifestFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "manifest.json")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func open(t *testing.T, path string, only bool, log *slog.Logger) (*trusted.TrustedDocuments, error) {
	t.Helper()
	return trusted.Open(trusted.OpenConfig{
		Path: path, Only: only, Check: check, Log: log,
		Exempt: func(ctx context.Context) bool { return ctx.Value(adminKey{}) != nil },
	})
}

// request is a request with a text, an id, or both.
func request(text, id string) *graphql.RawParams {
	r := &graphql.RawParams{Query: text}
	if id != "" {
		r.Extensions = map[string]any{"persistedQuery": map[string]any{"version": json.Number("1"), "sha256Hash": id}}
	}
	return r
}

// TestManifests: both formats are read. A document that cannot be executed is left out,
// and logged.
func TestManifests(t *testing.T) {
	t.Parallel()
	for id, text := range map[string]string{"3be4abb81fa595e25eb725b2c6a87508": relay, "names": apollo} {
		var log bytes.Buffer
		d, err := open(t, manifestFile(t, text), true, slog.New(slog.NewTextHandler(&log, nil)))
		require.NoError(t, err)
		assert.Equal(t, 1, d.Len())
		r := request("", id)
		require.Nil(t, d.MutateOperationParameters(t.Context(), r))
		assert.Equal(t, names, r.Query)
		assert.Equal(t, text == relay, strings.Contains(log.String(), "broken: not closed"))
	}
	many := `{"a":"b"`
	for i := range trusted.ManifestDocumentsMax {
		many += fmt.Sprintf(`,"%d":"b"`, i)
	}
	for text, problem := range map[string]string{
		"":   "neither Apollo's",
		"[]": "neither Apollo's",
		`{"format": "apollo-persisted-query-manifest", "version": 2, "operations": []}`:                                                   "version 2",
		`{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "a", "body": "b"}, {"id": "a", "body": "c"}]}`: "two documents with the id",
		`{"": "a"}`: "1 to 255 bytes",
		`{"` + strings.Repeat("x", 256) + `": ""}`: "1 to 255 bytes",
		many + "}":                    "at most 10000 documents, not 10001",
		strings.Repeat(" ", 16<<20+1): "larger than 16 MiB",
	} {
		_, err := open(t, manifestFile(t, text), false, slog.New(slog.DiscardHandler))
		assert.ErrorContains(t, err, problem, "%.80s", text)
	}
	_, err := open(t, filepath.Join(t.TempDir(), "none"), false, slog.New(slog.DiscardHandler))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// TestDocuments: a trusted document is found by its id. Beside others, everything else
// is left as it is. Alone, everything else is refused, but for exempt callers.
func TestDocuments(t *testing.T) {
	t.Parallel()
	path, other := manifestFile(t, apollo), "{ other }"
	beside, err := open(t, path, false, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	alone, err := open(t, path, true, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	admin := context.WithValue(t.Context(), adminKey{}, true)
	const forbidden, mismatch = "FORBIDDEN", "BAD_USER_INPUT"
	for name, test := range map[string]struct {
		text, id, want      string
		besideCode, oneCode any
	}{
		"an id":                {"", "names", names, nil, nil},
		"an id with its kind":  {"", "sha256:names", names, nil, nil},
		"both":                 {names, "names", names, nil, nil},
		"another document":     {other, "names", other, mismatch, mismatch},
		"the document":         {names, "", names, nil, nil},
		"an unknown id":        {"", "unknown", "", nil, forbidden},
		"no document":          {"", "", "", nil, forbidden},
		"an unknown document":  {other, "", other, nil, forbidden},
		"a document with hash": {names, "hash", names, nil, nil},
	} {
		codeOf := func(d *trusted.TrustedDocuments, ctx context.Context) any {
			r := request(test.text, test.id)
			problem := d.MutateOperationParameters(ctx, r)
			assert.Equal(t, test.want, r.Query, name)
			if problem == nil {
				return nil
			}
			return problem.Extensions["code"]
		}
		assert.Equal(t, test.besideCode, codeOf(beside, t.Context()), name)
		assert.Equal(t, test.oneCode, codeOf(alone, t.Context()), name)
		assert.Equal(t, test.besideCode, codeOf(alone, admin), "%s, exempt", name)
	}
}

// lockedLog is a log that another goroutine writes.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *lockedLog) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

// TestReload: a changed file is read again, in place or renamed over the old one. While
// it is missing or no manifest, the documents stay, and that is logged once.
func TestReload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path, log := manifestFile(t, apollo), &lockedLog{}
		d, err := open(t, path, true, slog.New(slog.NewTextHandler(log, nil)))
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		watched := make(chan struct{})
		go func() { d.Watch(ctx); close(watched) }()
		defer func() { stop(); <-watched }()
		wait := func() { time.Sleep(3 * time.Second); synctest.Wait() }
		knows := func(id string) bool { return d.MutateOperationParameters(ctx, request("", id)) == nil }
		wait()
		assert.True(t, knows("names"))
		assert.Equal(t, 1, log.count("count=1"), "an unchanged file is not read again")

		require.NoError(t, os.WriteFile(path, []byte(`{"second": "`+names+`"}`), 0o600))
		wait()
		assert.True(t, knows("second"))
		assert.False(t, knows("names"))

		require.NoError(t, os.WriteFile(path+".new", []byte(`{"third_": "`+names+`"}`), 0o600))
		require.NoError(t, os.Rename(path+".new", path))
		wait()
		assert.True(t, knows("third_"))

		require.NoError(t, os.WriteFile(path, []byte("no manifest"), 0o600))
		wait()
		wait()
		assert.True(t, knows("third_"))
		assert.Equal(t, 1, log.count("was not read"))

		require.NoError(t, os.Remove(path))
		wait()
		wait()
		assert.True(t, knows("third_"))
		assert.Equal(t, 2, log.count("was not read"))

		require.NoError(t, os.WriteFile(path, []byte(apollo), 0o600))
		wait()
		assert.True(t, knows("names"))
	})
}
