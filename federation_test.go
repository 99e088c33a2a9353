package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFederationGuide: every command of docs/federation.md is run against a server without
// settings, and its answers are compared. All other code is in the tests of web/federation
// and web/gateway, word for word.
func TestFederationGuide(t *testing.T) {
	t.Parallel()
	r := &reader{t: t, home: t.TempDir(), counts: map[string]int{}}
	r.serve()
	tested := testedCode(t)
	fences := fencesOf(t, "docs/federation.md")
	others := 0
	for i, f := range fences {
		if f.language == "json" {
			continue // compared below
		}
		if f.language != "sh" {
			others++
			assert.True(t, strings.Contains(tested, strings.TrimSpace(indents.ReplaceAllString(f.text, ""))), "no test has this code:\n%s", f.text)
			continue
		}
		for _, c := range shellCommands(t, f.text, nil) {
			answer := r.run(c)
			if strings.Contains(f.text, "schema --federation") || strings.Contains(f.text, "_service") {
				assert.Contains(t, answer, "extend schema")
				assert.Equal(t, strings.Contains(f.text, "--without-access"), !strings.Contains(answer, "@requiresScopes"))
			}
			if i+1 < len(fences) && fences[i+1].language == "json" {
				assert.JSONEq(t, fences[i+1].text, answer)
			}
		}
	}
	r.server.stop()
	assert.GreaterOrEqual(t, others, 6)
	assert.Equal(t, map[string]int{"onhand": 2, "curl": 3}, r.counts)
}

// indents are what differs between code in a document and in a program.
var indents = regexp.MustCompile(`(?m)^ +`)

// testedCode is the code of the tests, without indents.
func testedCode(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range []string{"web/federation/*.js", "web/federation/*.graphql", "web/gateway/*.js"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			all.WriteString(indents.ReplaceAllString(string(text), ""))
		}
	}
	return all.String()
}
