package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
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
)

// mayImport is the direction of imports: each package with the packages of
// this module that it may import. What is not named here fails the test.
var mayImport = map[string][]string{
	"onhand": {"onhand/graph", "onhand/graph/guard", "onhand/graph/transports", "onhand/models", "onhand/store", "onhand/store/audit", "onhand/store/openingstock", "onhand/store/stockfile", "onhand/web"},

	"onhand/graph":            {"onhand/graph/generated", "onhand/graph/guard", "onhand/graph/loaders", "onhand/graph/scalars", "onhand/graph/transports", "onhand/models"},
	"onhand/graph/generated":  {"onhand/graph/scalars", "onhand/models"},
	"onhand/graph/guard":      {"onhand/models"},
	"onhand/graph/loaders":    {"onhand/models"},
	"onhand/graph/scalars":    {"onhand/models"},
	"onhand/graph/transports": {"onhand/graph/guard", "onhand/models"},

	"onhand/store": {
		"onhand/models", "onhand/store/audit", "onhand/store/backoff", "onhand/store/database", "onhand/store/ledgerfeed", "onhand/store/openingstock",
		"onhand/store/readthrough", "onhand/store/rediscache", "onhand/store/stockfeed", "onhand/store/upkeep",
	},
	"onhand/store/audit":        {"onhand/models", "onhand/store/database", "onhand/store/rediscache"},
	"onhand/store/ledgerfeed":   {"onhand/models", "onhand/store/backoff", "onhand/store/database"},
	"onhand/store/openingstock": {"onhand/models", "onhand/store/database"},
	"onhand/store/readthrough":  {"onhand/models", "onhand/store/database", "onhand/store/rediscache", "onhand/store/stockfeed"},
	"onhand/store/upkeep":       {"onhand/models", "onhand/store/backoff", "onhand/store/database", "onhand/store/rediscache"},

	"onhand/store/database":   {"onhand/models"},
	"onhand/store/rediscache": {"onhand/models"},
	"onhand/store/backoff":    {},
	"onhand/store/stockfeed":  {"onhand/models", "onhand/store/backoff"},
	"onhand/store/stockfile":  {"onhand/models"},

	"onhand/models": {},
	"onhand/web":    {},

	// Nothing that is served imports these.
	"onhand/store/storetest":         {},
	"onhand/store/storetest/fixture": {"onhand/models", "onhand/store/database", "onhand/store/rediscache", "onhand/store/storetest"},

	"onhand/bench/replay":    {"onhand/models", "onhand/store", "onhand/store/audit", "onhand/store/stockfile"},
	"onhand/bench/combiner":  {"onhand/graph", "onhand/graph/guard", "onhand/graph/transports", "onhand/models", "onhand/store", "onhand/store/openingstock", "onhand/store/rediscache", "onhand/store/stockfile", "onhand/store/storetest"},
	"onhand/bench/importing": {"onhand/models", "onhand/store/database", "onhand/store/stockfile", "onhand/store/storetest"},
}

// listed is a package as the go command sees it.
type listed struct {
	ImportPath string
	Name       string
	Dir        string
	Doc        string
	Standard   bool
	Imports    []string
	Deps       []string
	GoFiles    []string
}

// packages asks the go command for this module's packages and all they depend
// on. The test cache knows nothing of what another program reads; it does know
// what this one opens, so that sources, which opens every file, comes first.
func packages(t *testing.T) map[string]listed {
	t.Helper()
	sources(t)
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Name,Dir,Doc,Standard,Imports,Deps,GoFiles", "./...")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	raw, err := command.Output()
	require.NoError(t, err, "%s", &stderr)
	all := map[string]listed{}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	for {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all[p.ImportPath] = p
	}
}

// ours tells packages of this module from others.
func ours(path string) bool { return path == "onhand" || strings.HasPrefix(path, "onhand/") }

// TestImportsPointOneWay: from the server through graph and store to models,
// never back, never sideways.
func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for path, p := range all {
		if !ours(path) {
			continue
		}
		allowed, known := mayImport[path]
		if !assert.True(t, known, "%s is new: say in mayImport what it may import", path) {
			continue
		}
		for _, imported := range p.Imports {
			if ours(imported) {
				assert.Contains(t, allowed, imported, "%s must not import %s", path, imported)
			}
		}
	}
}

// TestWhatStaysApart: the promises of the import direction, over all that a
// package depends on.
func TestWhatStaysApart(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for _, path := range all["onhand/models"].Deps {
		assert.True(t, all[path].Standard, "models depends on %s, which is not in the standard library", path)
	}
	for path, p := range all {
		if path == "onhand/graph" || strings.HasPrefix(path, "onhand/graph/") {
			for _, dep := range p.Deps {
				assert.False(t, dep == "onhand/store" || strings.HasPrefix(dep, "onhand/store/"), "%s reaches %s", path, dep)
				assert.False(t, strings.HasPrefix(dep, "gorm.io/") || strings.HasPrefix(dep, "github.com/redis/"), "%s reaches %s", path, dep)
			}
		}
		if path == "onhand/store" || strings.HasPrefix(path, "onhand/store/") {
			for _, dep := range p.Deps {
				assert.False(t, dep == "onhand/graph" || strings.HasPrefix(dep, "onhand/graph/"), "%s reaches %s", path, dep)
				assert.False(t, strings.HasPrefix(dep, "github.com/99designs/"), "%s reaches %s", path, dep)
			}
		}
	}
	for _, dep := range all["onhand"].Deps {
		assert.NotContains(t, []string{"onhand/store/storetest", "onhand/store/storetest/fixture", "onhand/bench/replay", "onhand/bench/combiner", "onhand/bench/importing"}, dep, "the program carries what is for tests")
	}
}

// faultsMayImport is what the fault suite, a module of its own, may know of the
// product: it speaks to the program from outside.
var faultsMayImport = []string{"onhand/models", "onhand/store/storetest"}

// TestFaultsStayOutside: the scenarios import no more of the product than that.
func TestFaultsStayOutside(t *testing.T) {
	t.Parallel()
	imports := 0
	for path, text := range sources(t) {
		if filepath.Dir(path) != "faults" {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range file.Imports {
			if imported := strings.Trim(spec.Path.Value, `"`); ours(imported) {
				imports++
				assert.Contains(t, faultsMayImport, imported, path)
			}
		}
	}
	assert.Positive(t, imports)
}

// TestEveryPackageHasItsPage: a doc.go whose comment says what the package is
// for. The program's page is in server.go; generated code has none.
func TestEveryPackageHasItsPage(t *testing.T) {
	t.Parallel()
	for path, p := range packages(t) {
		if !ours(path) || path == "onhand/graph/generated" {
			continue
		}
		page := "doc.go"
		if path == "onhand" {
			page = "server.go"
		}
		require.Contains(t, p.GoFiles, page, path)
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, page), nil, parser.ParseComments|parser.PackageClauseOnly)
		require.NoError(t, err)
		assert.Greater(t, len(file.Doc.Text()), 80, "%s: %s says too little", path, page)
		for _, name := range p.GoFiles {
			other, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
			require.NoError(t, err)
			assert.True(t, name == page || other.Doc == nil, "%s has a package comment too", filepath.Join(path, name))
		}
	}
}

// fileLinesMax is how long a file may be before it is split.
const fileLinesMax = 500

// TestFilesFitAReader: none is too long, but generated ones.
func TestFilesFitAReader(t *testing.T) {
	t.Parallel()
	files := sources(t)
	assert.Greater(t, len(files), 50)
	for path, text := range files {
		if strings.HasPrefix(path, filepath.Join("graph", "generated")) {
			continue
		}
		assert.LessOrEqual(t, bytes.Count(text, []byte("\n")), fileLinesMax, path)
	}
}

// sources reads every Go file of the module, once.
func sources(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := readSources()
	require.NoError(t, err)
	return files
}

var readSources = sync.OnceValues(func() (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (slices.Contains([]string{"node_modules", "testdata"}, entry.Name()) || len(path) > 1 && entry.Name()[0] == '.') {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".go" {
			files[path], err = os.ReadFile(path)
		}
		return err
	})
	return files, err
})

// documents are what people read beside the code.
var documents = []string{"README.md", "ARCHITECTURE.md", "CHANGELOG.md"}

// notOurs are words that the documents explain and the tree need not use.
var notOurs = []string{"on_hand", "NOTIFY", "REPLACE"}

func document(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(raw)
}

// TestDocumentsNameWhatExists: every test, path, constant and word of code that
// the documents name is in the tree, and every link leads somewhere.
func TestDocumentsNameWhatExists(t *testing.T) {
	t.Parallel()
	code := everything(t)
	known := map[string]bool{}
	for _, word := range append(regexp.MustCompile(`\w+`).FindAllString(code, -1), notOurs...) {
		known[word] = true
	}
	named := 0
	for _, path := range documents {
		text := regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(document(t, path), "")
		for _, test := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(text, -1) {
			named++
			assert.Contains(t, code, "func "+test+"(t *testing.T)", "%s names a test that is not there", path)
		}
		for _, link := range regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`).FindAllStringSubmatch(text, -1) {
			if !strings.Contains(link[1], "://") {
				_, err := os.Stat(link[1])
				assert.NoError(t, err, "a link of %s", path)
			}
		}
		for _, span := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(span[1]); err == nil {
				continue
			}
			for _, word := range regexp.MustCompile(`\w+`).FindAllString(span[1], -1) {
				named++
				assert.True(t, known[word], "%s speaks of `%s`, and the tree knows no %s", path, span[1], word)
			}
		}
	}
	assert.Greater(t, named, 100)
}

// everything is the text of all that the documents may speak of.
func everything(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for path, text := range sources(t) {
		if !strings.HasPrefix(path, filepath.Join("graph", "generated")) {
			all.Write(text)
		}
	}
	others := []string{"Makefile", "compose.yaml", "scripts/servers"}
	for _, pattern := range []string{"graph/schema/*.graphqls", "store/database/migrations/*/*.sql", "web/operations/*.graphql"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, found, pattern)
		others = append(others, found...)
	}
	for _, path := range others {
		all.WriteString(document(t, path))
	}
	return all.String()
}

// TestEveryFailureHasItsTest: each line of the table of what fails names at
// least one test.
func TestEveryFailureHasItsTest(t *testing.T) {
	t.Parallel()
	_, rest, found := strings.Cut(document(t, "ARCHITECTURE.md"), "\n| what | the user sees | what repairs it | test |\n|---|---|---|---|\n")
	require.True(t, found)
	lines := strings.Split(strings.TrimRight(rest, "\n"), "\n")
	assert.Greater(t, len(lines), 10)
	for _, line := range lines {
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		require.Len(t, cells, 4, line)
		assert.Regexp(t, "`Test[A-Z]\\w+`", cells[3], line)
	}
}
