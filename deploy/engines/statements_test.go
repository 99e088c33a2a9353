package engines

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pgquery "github.com/wasilibs/go-pgquery"
)

var (
	update  = flag.Bool("update", false, "collect the statements and write testdata")
	collect = flag.Bool("collect", false, "collect the statements and compare them with testdata")
	logs    = flag.String("logs", "", "a folder with logs of a run of the store's tests, in place of a new one")
)

const (
	root           = "../.."
	statementsFile = "testdata/statements.sql"
	migrationFile  = root + "/store/database/postgres/migrations/00001_inventory.sql"
	// lineBytesMax bounds a line of the log.
	lineBytesMax = 4 << 20
)

// spaces are what testdata has as one space. No statement has them in a text.
var spaces = regexp.MustCompile(`\s+`)

// statement is one that the product sends, or one of the migrations.
type statement struct {
	text string
	tree any // as JSON
}

// onhandAccounts are the accounts of the product. Tests use another one.
var onhandAccounts = []string{"onhand_server", "onhand_owner"}

// madeByTests begin statements that tests send by an account of the product.
var madeByTests = []string{"EXPLAIN", "SET enable_", "RESET", "COPY products TO PROGRAM", "DELETE FROM ledger_rows", "TRUNCATE", "-- ping"}

// kindBytes is how much of a statement's beginning tells its kind.
const kindBytes = 48

// kind is the beginning of a statement and its features. Of each kind testdata has one: pages of products with one filter
// more or less are a kind, unless the filter needs another feature.
func kind(t *testing.T, text string) string {
	t.Helper()
	parsed, err := parse(text)
	require.NoError(t, err, text)
	features := found{}
	for _, s := range parsed {
		maps.Copy(features, featuresOf(t, s))
	}
	start := spaces.ReplaceAllString(text, " ")
	return start[:min(len(start), kindBytes)] + "; " + strings.Join(slices.Sorted(maps.Keys(features)), ", ")
}

// sent are the statements of testdata.
var sent = sync.OnceValues(func() ([]statement, error) {
	raw, err := os.ReadFile(statementsFile)
	if err != nil {
		return nil, err
	}
	var list []statement
	for text := range strings.SplitSeq(strings.TrimSpace(string(raw)), ";\n\n") {
		parsed, err := parse(strings.TrimSuffix(strings.TrimSpace(text), ";"))
		if err != nil {
			return nil, err
		}
		list = append(list, parsed...)
	}
	return list, nil
})

// migrations are the statements of the migration that makes the tables.
var migrations = sync.OnceValues(func() ([]statement, error) {
	raw, err := os.ReadFile(migrationFile)
	if err != nil {
		return nil, err
	}
	up, _, _ := strings.Cut(string(raw), "-- +goose Down")
	return parse(up)
})

// parse parses a text of one or several statements with the parser of Postgres.
func parse(text string) (list []statement, err error) {
	tree, err := pgquery.ParseToJSON(text)
	if err != nil {
		return nil, err
	}
	var parsed struct {
		Stmts []struct {
			Stmt     map[string]any `json:"stmt"`
			Location int            `json:"stmt_location"`
			Length   int            `json:"stmt_len"`
		} `json:"stmts"`
	}
	if err := json.Unmarshal([]byte(tree), &parsed); err != nil {
		return nil, err
	}
	for _, s := range parsed.Stmts {
		end := len(text)
		if s.Length > 0 {
			end = s.Location + s.Length
		}
		list = append(list, statement{text: strings.TrimSpace(text[s.Location:end]), tree: s.Stmt})
	}
	return list, nil
}

// collected runs the tests of the store against a Postgres that logs its statements, and returns those of the product,
// one of each kind.
func collected(t *testing.T) map[string]string {
	t.Helper()
	if *logs != "" {
		return logged(t, *logs)
	}
	folder := t.TempDir()
	command := exec.Command("go", "test", "-count=1", "./store", "./store/database")
	command.Dir, command.Env = root, append(os.Environ(), "ONHAND_TEST_STATEMENTS="+folder)
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return logged(t, folder)
}

// logged reads the logs of a folder.
func logged(t *testing.T, folder string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.log"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	seen, kinds := map[string]bool{}, map[string]string{}
	for _, path := range paths {
		file, err := os.Open(path)
		require.NoError(t, err)
		require.NoError(t, eachStatement(file, func(text string) error {
			if seen[text] {
				return nil
			}
			seen[text] = true
			name := kind(t, text)
			if old, ok := kinds[name]; !ok || len(text) < len(old) || len(text) == len(old) && text < old {
				kinds[name] = text
			}
			return nil
		}), path)
		require.NoError(t, file.Close())
	}
	return kinds
}

// entryPattern begins an entry of a log. The further lines of an entry begin with a tab.
var entryPattern = regexp.MustCompile(`^(\S*) ~ LOG:  (?:statement|execute [^:]+): (.*)`)

// eachStatement calls each with every statement of the product in a log.
func eachStatement(log io.Reader, each func(string) error) error {
	var text string // of the entry so far; empty: none of the product's
	finish := func() error {
		whole := strings.TrimSuffix(strings.TrimSpace(text), ";")
		text = ""
		if whole == "" || isMigration(whole) || slices.ContainsFunc(madeByTests, func(start string) bool { return strings.HasPrefix(whole, start) }) {
			return nil
		}
		return each(whole)
	}
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, lineBytesMax)
	for lines.Scan() {
		line := lines.Text()
		if rest, ok := strings.CutPrefix(line, "\t"); ok {
			if text != "" {
				text += "\n" + rest
			}
			continue
		}
		if err := finish(); err != nil {
			return err
		}
		if entry := entryPattern.FindStringSubmatch(line); entry != nil && slices.Contains(onhandAccounts, entry[1]) {
			text = entry[2]
		}
	}
	return errors.Join(finish(), lines.Err())
}

// isMigration tells whether a statement is one of the file of migrations: those are read from there.
func isMigration(text string) bool {
	return slices.ContainsFunc([]string{"CREATE ", "ALTER ", "DROP ", "COMMENT "}, func(start string) bool { return strings.HasPrefix(text, start) }) &&
		!strings.Contains(text, "goose") && !strings.Contains(text, "TEMP")
}

// TestStatements: what the tests of the store make the product send needs no feature that the statements of testdata do not
// need, and so no feature without a row in the table. Collecting takes minutes, so it is done with -collect or -update only.
func TestStatements(t *testing.T) {
	if !*update && !*collect {
		t.Skip("with -collect only: it runs the tests of store and store/database")
	}
	kinds := collected(t)
	if *update {
		var texts []string
		for _, text := range kinds {
			texts = append(texts, spaces.ReplaceAllString(text, " "))
		}
		slices.Sort(texts)
		require.NoError(t, os.WriteFile(statementsFile, []byte(strings.Join(texts, ";\n\n")+";\n"), 0o644))
		return
	}
	known := map[string]bool{}
	list, err := sent()
	require.NoError(t, err)
	for _, s := range list {
		known[kind(t, s.text)] = true
	}
	features := needed(t)
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if known[name] {
			continue
		}
		t.Logf("not in testdata yet: %s", name)
		parsed, err := parse(kinds[name])
		require.NoError(t, err)
		for _, s := range parsed {
			for feature := range featuresOf(t, s) {
				assert.Contains(t, features, feature, "a feature that the table of docs/scaling.md does not have; run: cd deploy/engines && go test -update .")
			}
		}
	}
}
