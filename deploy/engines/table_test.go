package engines

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	page          = root + "/docs/scaling.md"
	tableHead     = "| feature | where | CockroachDB 25.2 | YugabyteDB 2025.2 | Citus | Aurora Limitless |\n"
	cockroachFile = "testdata/cockroach.txt"
)

var verdict = regexp.MustCompile(`^(yes|no|in part|not stated)\b`)

// where are the parts of the product that need a feature.
const (
	inStatements = "statements"
	inMigrations = "tables"
	inBoth       = "both"
)

// needed are the features, and where they are needed.
func needed(t *testing.T) map[string]string {
	t.Helper()
	places := map[string]string{}
	for place, read := range map[string]func() ([]statement, error){inStatements: sent, inMigrations: migrations} {
		list, err := read()
		require.NoError(t, err)
		require.NotEmpty(t, list)
		for _, s := range list {
			for feature := range featuresOf(t, s) {
				if old := places[feature]; old != "" && old != place {
					places[feature] = inBoth
				} else {
					places[feature] = place
				}
			}
		}
	}
	return places
}

// TestTableOfEngines: the table of docs/scaling.md has a row for each feature that the product's SQL needs, and no other,
// with a verdict for each engine.
func TestTableOfEngines(t *testing.T) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(text), tableHead)
	require.True(t, ok, "docs/scaling.md has no table %s", tableHead)
	rows := map[string]string{}
	for line := range strings.Lines(rest) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") {
			break
		}
		if strings.HasPrefix(line, "|---") {
			continue
		}
		require.Len(t, cells, 6, line)
		for _, cell := range cells[2:] {
			assert.Regexp(t, verdict, strings.TrimSpace(cell), line)
		}
		rows[strings.TrimSpace(cells[0])] = strings.TrimSpace(cells[1])
	}
	features := needed(t)
	for _, feature := range slices.Sorted(maps.Keys(features)) {
		assert.Equal(t, features[feature], rows[feature], "docs/scaling.md says where %q is needed", feature)
	}
	for feature := range rows {
		assert.Contains(t, features, feature, "nothing needs %q", feature)
	}
}

// TestCockroachDBParses: the parser of CockroachDB takes every statement but those of testdata/cockroach.txt.
func TestCockroachDBParses(t *testing.T) {
	var report strings.Builder
	for _, part := range []struct {
		name string
		read func() ([]statement, error)
	}{{"statements", sent}, {"tables", migrations}} {
		list, err := part.read()
		require.NoError(t, err)
		var refused []string
		for _, s := range list {
			if _, err := parser.Parse(s.text); err != nil {
				reason, _, _ := strings.Cut(err.Error(), "\n")
				refused = append(refused, fmt.Sprintf("%s\n    %s", head(s.text), reason))
			}
		}
		slices.Sort(refused)
		fmt.Fprintf(&report, "%s: %d of %d are refused\n\n%s\n\n", part.name, len(refused), len(list), strings.Join(refused, "\n"))
	}
	if *update {
		require.NoError(t, os.WriteFile(cockroachFile, []byte(report.String()), 0o644))
	}
	known, err := os.ReadFile(cockroachFile)
	require.NoError(t, err)
	require.Equal(t, string(known), report.String(), "run: cd deploy/engines && go test -update -run Cockroach .")
}

var comments = regexp.MustCompile(`(?m)^\s*--.*$`)

// head is the beginning of a statement, without comments.
func head(text string) string {
	text = strings.TrimSpace(spaces.ReplaceAllString(comments.ReplaceAllString(text, ""), " "))
	return text[:min(len(text), 140)]
}

// TestMain parses the flags first.
func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}
