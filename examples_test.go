package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"onhand/web"
)

// TestReadmeExamplesTwice: every example of the README works a second time on the same
// data, and the data is where the README says.
func TestReadmeExamplesTwice(t *testing.T) {
	t.Parallel()
	r := &reader{t: t, home: t.TempDir(), counts: map[string]int{}}
	r.serve()
	fences := fencesOf(t, "README.md")
	answered := 0
	for round := range 2 {
		for i, f := range fences[:len(fences)-1] {
			if f.language != "sh" || !strings.Contains(f.text, "/graphql") {
				continue
			}
			answer := ""
			for _, c := range shellCommands(t, f.text, nil) {
				answer = r.run(c)
			}
			answered++
			if round == 0 {
				continue // TestReadmeCommands compares the first answers
			}
			want, got := withoutUnits(fences[i+1].text), withoutUnits(answer)
			if fences[i+1].language == "text" {
				assertLines(t, want, got)
			} else {
				assertShape(t, want, got)
			}
		}
	}
	assert.GreaterOrEqual(t, answered, 2*3)
	r.server.stop()
	r.server = nil
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	assert.Contains(t, string(readme), "`$XDG_DATA_HOME/onhand`")
	data := filepath.Join(r.home, "data", "onhand") // XDG_DATA_HOME is data: see command
	assert.FileExists(t, filepath.Join(data, "onhand.db"))
	require.NoError(t, os.RemoveAll(data))
	r.serve()
	assert.Contains(t, r.server.post(`{ stock(productId: "85123A") { quantityAvailable } }`), "704", "afresh")
	r.server.stop()
}

// withoutUnits hides quantities, which a second run changes.
func withoutUnits(answer string) string {
	return regexp.MustCompile(`("quantityAvailable": ?)\d+`).ReplaceAllString(answer, "${1}0")
}

// TestPlaygroundExamplesTwice: every sample operation of the playground works, and works a
// second time with another key.
func TestPlaygroundExamplesTwice(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "DATABASE_URL=sqlite::memory:")
	made, mutations := 0, 0
	for range 2 {
		for _, sample := range web.SampleOperations() {
			document, err := parser.ParseQuery(&ast.Source{Name: sample.Name, Input: sample.Text})
			require.NoError(t, err)
			for _, operation := range document.Operations {
				if operation.Operation == ast.Subscription {
					continue
				}
				text := sample.Text
				if strings.Contains(text, `"..."`) { // the id that a person copies from another tab
					made++
					text = strings.ReplaceAll(text, `"..."`, `"`+s.reservation(fmt.Sprint("made-", made))+`"`)
				}
				answer := s.execute(text, operation.Name, fmt.Sprint("run-", mutations))
				assert.NotContains(t, answer, `"message"`, operation.Name)
				if operation.Operation == ast.Mutation {
					mutations++
					assert.NotContains(t, answer, `"replayed":true`, operation.Name)
				}
			}
		}
	}
	assert.Equal(t, 2*10, mutations)
	s.stop()
}

// reservation makes a reservation and returns its id.
func (s *server) reservation(key string) string {
	s.t.Helper()
	answer := s.post(`mutation { reserveStock(input: {idempotencyKey: "` + key + `", lines: [{productId: "22423", quantity: 1}]}) { reservation { id } } }`)
	id := regexp.MustCompile(`res_[0-9a-f]{32}`).FindString(answer)
	require.NotEmpty(s.t, id, answer)
	return id
}

// execute runs one operation of a document, as the playground does.
func (s *server) execute(document, operation, key string) string {
	s.t.Helper()
	raw, err := json.Marshal(map[string]any{"query": document, "operationName": operation, "variables": map[string]string{"key": key, "hourAgo": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)}})
	require.NoError(s.t, err)
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.address+"/graphql", bytes.NewReader(raw))
	require.NoError(s.t, err)
	r.Header.Set("Content-Type", "application/json")
	status, answer := s.do(r)
	require.Equal(s.t, http.StatusOK, status, answer)
	return answer
}
