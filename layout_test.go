package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Sizes that a reader can take in. Generated code is exempt, and the functions of
// tests are.
const (
	fileLinesMax     = 500
	functionLinesMax = 60
	packageFilesMax  = 15
	packageLinesMax  = 2500
	pageLinesMax     = 40 // of a doc.go
	prefixFilesMax   = 2  // files of a folder that may share a prefix
)

// offence is one violation of a rule.
type offence struct{ path, problem string }

// report fails the test for every offence.
func report(t *testing.T, rule string, found []offence) {
	t.Helper()
	for _, o := range found {
		assert.Fail(t, fmt.Sprintf("%s: %s: %s", rule, o.path, o.problem))
	}
}

func contains[T comparable](list []T, item T) bool { return slices.Contains(list, item) }

// generated reports whether a file is written by a generator.
func generated(path string) bool {
	return within(path, "graph/generated") || path == "examples/orderservice/client/client.go"
}

func isTest(path string) bool { return strings.HasSuffix(path, "_test.go") }

// sources has the text of every Go file of the repository, by its path.
func sources(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := readSources()
	require.NoError(t, err)
	return files
}

var readSources = sync.OnceValues(func() (map[string][]byte, error) { return readFiles(".go") })

// readFiles reads the files with these extensions, except what others wrote.
func readFiles(extensions ...string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (slices.Contains([]string{"node_modules", "testdata", "third_party"}, entry.Name()) || len(path) > 1 && entry.Name()[0] == '.') {
			return fs.SkipDir
		}
		if slices.Contains(extensions, filepath.Ext(path)) {
			files[filepath.ToSlash(path)], err = os.ReadFile(path)
		}
		return err
	})
	return files, err
}

func countLines(text []byte) int { return bytes.Count(text, []byte("\n")) }

// oversized lists files, functions and packages that are too large.
func oversized(t *testing.T, files map[string][]byte) (found []offence) {
	t.Helper()
	packageFiles, packageLines := map[string]int{}, map[string]int{}
	for path, text := range files {
		if generated(path) {
			continue
		}
		lines := countLines(text)
		if lines > fileLinesMax {
			found = append(found, offence{path, fmt.Sprintf("%d lines, more than %d", lines, fileLinesMax)})
		}
		if filepath.Base(path) == "doc.go" && lines > pageLinesMax {
			found = append(found, offence{path, fmt.Sprintf("%d lines, more than %d", lines, pageLinesMax)})
		}
		if isTest(path) {
			continue
		}
		found = append(found, longFunctions(t, path, text)...)
		folder := filepath.ToSlash(filepath.Dir(path))
		packageFiles[folder]++
		packageLines[folder] += lines
	}
	for folder, n := range packageFiles {
		if n > packageFilesMax {
			found = append(found, offence{folder, fmt.Sprintf("%d files, more than %d", n, packageFilesMax)})
		}
		if lines := packageLines[folder]; lines > packageLinesMax {
			found = append(found, offence{folder, fmt.Sprintf("%d lines, more than %d", lines, packageLinesMax)})
		}
	}
	return found
}

func longFunctions(t *testing.T, path string, text []byte) (found []offence) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if lines := set.Position(function.End()).Line - set.Position(function.Pos()).Line + 1; lines > functionLinesMax {
			found = append(found, offence{path, fmt.Sprintf("%s has %d lines, more than %d", function.Name.Name, lines, functionLinesMax)})
		}
	}
	return found
}

// TestSizes: every file, function, package and package page is short enough.
func TestSizes(t *testing.T) {
	t.Parallel()
	files := sources(t)
	assert.Greater(t, len(files), 50)
	report(t, "sizes", oversized(t, files))
}

// platformSuffix is what the go command reads as a build constraint, and what a
// file for the other platforms is called.
var platformSuffix = regexp.MustCompile(`(_(linux|darwin|windows|unix|other|amd64|arm64))+$`)

// sharedPrefixes lists prefixes that too many files of one folder share: they are
// a package that is missing.
func sharedPrefixes(files map[string][]byte) (found []offence) {
	type prefix struct{ folder, name string }
	count := map[prefix]int{}
	for path := range files {
		name, _, _ := strings.Cut(filepath.Base(path), ".")
		if name, _, shared := strings.Cut(platformSuffix.ReplaceAllString(name, ""), "_"); shared && !isTest(path) && !generated(path) {
			count[prefix{filepath.ToSlash(filepath.Dir(path)), name}]++
		}
	}
	for p, n := range count {
		if n > prefixFilesMax {
			found = append(found, offence{p.folder, fmt.Sprintf("%d files begin with %s_: make them a package", n, p.name)})
		}
	}
	return found
}

// TestFilePrefixes: no three files of a folder share a prefix.
func TestFilePrefixes(t *testing.T) {
	t.Parallel()
	report(t, "prefixes", sharedPrefixes(sources(t)))
}

// engineType matches the types of an engine, here and in a package of its own.
var engineType = regexp.MustCompile(`^\*?((postgres|sqlite)[A-Z]\w*|(postgres|sqlite)\.[A-Z]\w*)$`)

// downcasts lists type assertions and type switches from an interface to the type
// of an engine. Callers must not know which engine they have.
func downcasts(t *testing.T, path string, text []byte) (found []offence) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
	require.NoError(t, err)
	source := func(node ast.Node) string {
		return string(text[set.Position(node.Pos()).Offset:set.Position(node.End()).Offset])
	}
	flag := func(node ast.Node) {
		found = append(found, offence{path, fmt.Sprintf("line %d: downcast to %s", set.Position(node.Pos()).Line, source(node))})
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.TypeAssertExpr:
			if n.Type == nil {
				break
			}
			_, pointer := n.Type.(*ast.StarExpr)
			operand := source(n.X)
			if engineType.MatchString(source(n.Type)) || pointer && (operand == "engine" || strings.HasSuffix(operand, ".engine")) {
				flag(n.Type)
			}
		case *ast.TypeSwitchStmt:
			for _, clause := range n.Body.List {
				for _, listed := range clause.(*ast.CaseClause).List {
					if engineType.MatchString(source(listed)) {
						flag(listed)
					}
				}
			}
		}
		return true
	})
	return found
}

// TestNoDowncasts: an engine is used through its interface.
func TestNoDowncasts(t *testing.T) {
	t.Parallel()
	for path, text := range sources(t) {
		report(t, "downcasts", downcasts(t, path, text))
	}
}

// pageProblems says what is wrong with the package comment of a package.
func pageProblems(t *testing.T, path, page string, files map[string][]byte) (found []offence) {
	t.Helper()
	if _, ok := files[page]; !ok {
		return []offence{{path, "has no " + page}}
	}
	for name, text := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.PackageClauseOnly)
		require.NoError(t, err)
		switch {
		case name == page && len(file.Doc.Text()) <= 80:
			found = append(found, offence{path, page + " says too little"})
		case name != page && file.Doc != nil:
			found = append(found, offence{path, name + " has a package comment too"})
		}
	}
	return found
}

// TestEveryPackageHasItsPage: a doc.go says what the package is for. The page of
// the program is in server.go. Generated code has none.
func TestEveryPackageHasItsPage(t *testing.T) {
	t.Parallel()
	for path, p := range packages(t) {
		if !ours(path) || path == "onhand/graph/generated" {
			continue
		}
		files := map[string][]byte{}
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			require.NoError(t, err)
			files[name] = text
		}
		page := "doc.go"
		if path == "onhand" {
			page = "server.go"
		}
		report(t, "pages", pageProblems(t, path, page, files))
	}
}
