package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sameType lists the type names that several packages may have, and why.
var sameType = map[string]string{
	"Engine":      "postgres.Engine and sqlite.Engine are the two implementations of dialect.Engine",
	"transaction": "the dialect.Transaction of each of them",
	"Store":       "graph.Store is what graph needs of store.Store; neither imports the other",
}

// repeatedTypes lists the type names that two packages declare: exported names, and
// unexported ones in the packages of store. Aliases, tests, programs and generated code do
// not count. It also lists exceptions that are not needed.
func repeatedTypes(t *testing.T, files map[string][]byte, exceptions map[string]string) (found []offence) {
	t.Helper()
	folders := map[string]map[string]bool{} // by name
	for path, text := range files {
		if isTest(path) || generated(path) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		require.NoError(t, err)
		if file.Name.Name == "main" {
			continue
		}
		for _, name := range declaredTypes(file) {
			if !ast.IsExported(name) && !within(path, "store") {
				continue
			}
			if folders[name] == nil {
				folders[name] = map[string]bool{}
			}
			folders[name][filepath.ToSlash(filepath.Dir(path))] = true
		}
	}
	for name, in := range folders {
		if list := slices.Sorted(maps.Keys(in)); len(list) > 1 && exceptions[name] == "" {
			found = append(found, offence{list[0], fmt.Sprintf("%s is a type in %s too", name, strings.Join(list[1:], ", "))})
		}
	}
	for name := range exceptions {
		if len(folders[name]) < 2 {
			found = append(found, offence{"sameType", name + " is one type; remove the exception"})
		}
	}
	return found
}

// declaredTypes lists the types that a file declares, without aliases.
func declaredTypes(file *ast.File) (names []string) {
	for _, declaration := range file.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range group.Specs {
			if declared, ok := spec.(*ast.TypeSpec); ok && !declared.Assign.IsValid() {
				names = append(names, declared.Name.Name)
			}
		}
	}
	return names
}

// TestTypeNames: a type name means one thing in the repository.
func TestTypeNames(t *testing.T) {
	t.Parallel()
	report(t, "type names", repeatedTypes(t, sources(t), sameType))
}

// TestRuleTypeNames breaks the rule on purpose.
func TestRuleTypeNames(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"once":       {map[string]string{"store/a/x.go": "package a\ntype Batch int\ntype batch int", "store/b/x.go": "package b\ntype Row int"}, ""},
		"twice":      {map[string]string{"store/a/x.go": "package a\ntype Batch int", "models/x.go": "package b\ntype (\n\tBatch string\n)"}, "models: Batch is a type in store/a too"},
		"unexported": {map[string]string{"store/a/x.go": "package a\ntype row int", "store/b/x.go": "package b\ntype row int"}, "store/a: row is a type in store/b too"},
		"elsewhere":  {map[string]string{"graph/x.go": "package a\ntype row int", "store/b/x.go": "package b\ntype row int"}, ""},
		"alias":      {map[string]string{"store/a/x.go": "package a\ntype Row int", "store/b/x.go": "package b\ntype Row = a.Row"}, ""},
		"program":    {map[string]string{"store/a/x.go": "package a\ntype Config int", "bench/b/x.go": "package main\ntype Config int"}, ""},
		"excepted":   {map[string]string{"store/a/x.go": "package a\ntype Known int", "store/b/x.go": "package b\ntype Known int"}, ""},
		"needless":   {map[string]string{"store/a/x.go": "package a\ntype Known int"}, "sameType: Known is one type; remove the exception"},
	} {
		files, exceptions := map[string][]byte{}, map[string]string{}
		for path, text := range test.files {
			files[path] = []byte(text)
			if strings.Contains(text, "Known") {
				exceptions["Known"] = "for a reason"
			}
		}
		require.Equal(t, test.want, problems(repeatedTypes(t, files, exceptions)), name)
	}
}
