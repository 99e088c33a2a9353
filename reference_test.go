package main

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

var update = flag.Bool("update", false, "write docs/api.md in place of comparing it")

// nouns are the files of the schema in the order of docs/api.md.
var nouns = []string{"stock", "product", "location", "reservation", "movement", "errors", "schema"}

// TestAPIReference: docs/api.md is what the schema gives. `make generate` writes it.
func TestAPIReference(t *testing.T) {
	t.Parallel()
	want := apiReference(t)
	if *update {
		require.NoError(t, os.WriteFile("docs/api.md", []byte(want), 0o600))
	}
	assert.True(t, want == document(t, "docs/api.md"), "docs/api.md is out of date: run make generate")
}

func apiReference(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("graph/schema/*.graphqls")
	require.NoError(t, err)
	rank := func(file string) int {
		i := slices.Index(nouns, strings.TrimSuffix(filepath.Base(file), ".graphqls"))
		if i < 0 {
			i = len(nouns) // a noun without a place of its own
		}
		return i
	}
	slices.SortStableFunc(files, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	var b strings.Builder
	b.WriteString("# API reference\n\nWritten by `make generate` from the schema (`graph/schema`), whose descriptions these are. A scope in the last column is needed for the field.\n")
	for _, file := range files {
		parsed, err := parser.ParseSchema(&ast.Source{Name: file, Input: document(t, file)})
		require.NoError(t, err)
		noun := strings.TrimSuffix(filepath.Base(file), ".graphqls")
		if noun == "schema" {
			noun = "all nouns"
		}
		fmt.Fprintf(&b, "\n## %s\n", strings.ToUpper(noun[:1])+noun[1:])
		for _, definition := range slices.Concat(parsed.Extensions, parsed.Definitions) {
			writeDefinition(&b, definition)
		}
		for _, directive := range parsed.Directives {
			if directive.Description != "" {
				fmt.Fprintf(&b, "\n### `@%s`\n\n%s\n", directive.Name, paragraph(directive.Description))
			}
		}
	}
	return b.String()
}

// writeDefinition writes a type, or the operations that a file adds to a root type.
func writeDefinition(b *strings.Builder, d *ast.Definition) {
	kind := map[ast.DefinitionKind]string{ast.Interface: "interface ", ast.Union: "union ", ast.Enum: "enum ", ast.InputObject: "input ", ast.Scalar: "scalar "}[d.Kind]
	fmt.Fprintf(b, "\n### %s%s\n", kind, d.Name)
	if d.Description != "" {
		fmt.Fprintf(b, "\n%s\n", paragraph(d.Description))
	}
	if len(d.Interfaces) > 0 {
		fmt.Fprintf(b, "\nImplements %s.\n", strings.Join(d.Interfaces, ", "))
	}
	if len(d.Types) > 0 {
		fmt.Fprintf(b, "\nOne of %s.\n", strings.Join(d.Types, ", "))
	}
	switch {
	case len(d.EnumValues) > 0:
		b.WriteString("\n| value | meaning |\n|---|---|\n")
		for _, v := range d.EnumValues {
			fmt.Fprintf(b, "| `%s` | %s |\n", v.Name, cell(v.Description, v.Directives))
		}
	case len(d.Fields) > 0:
		b.WriteString("\n| field | type | meaning | needs |\n|---|---|---|---|\n")
		for _, f := range d.Fields {
			writeField(b, f)
		}
	}
}

// writeField writes a field and a row for each of its arguments.
func writeField(b *strings.Builder, f *ast.FieldDefinition) {
	fmt.Fprintf(b, "| `%s` | `%s`%s | %s | %s |\n", f.Name, f.Type, defaultOf(f.DefaultValue), cell(f.Description, f.Directives), needs(f.Directives))
	for _, a := range f.Arguments {
		fmt.Fprintf(b, "| · `%s` | `%s`%s | %s | %s |\n", a.Name, a.Type, defaultOf(a.DefaultValue), cell(a.Description, a.Directives), needs(a.Directives))
	}
}

func defaultOf(v *ast.Value) string {
	if v == nil {
		return ""
	}
	return " = `" + v.String() + "`"
}

// needs says who may use a field or an argument.
func needs(directives ast.DirectiveList) string {
	for _, name := range []string{"requiresScopes", "argumentRequiresScopes"} {
		if d := directives.ForName(name); d != nil {
			var lists []string
			for _, list := range d.Arguments.ForName("scopes").Value.Children {
				var scopes []string
				for _, scope := range list.Value.Children {
					scopes = append(scopes, "`"+scope.Value.Raw+"`")
				}
				lists = append(lists, strings.Join(scopes, " and "))
			}
			return strings.Join(lists, ", or ")
		}
	}
	if directives.ForName("authenticated") != nil {
		return "a token"
	}
	return ""
}

// cell writes a description into a table, and why something is deprecated.
func cell(description string, directives ast.DirectiveList) string {
	text := strings.ReplaceAll(paragraph(description), "|", `\|`)
	if d := directives.ForName("deprecated"); d != nil {
		reason := d.Arguments.ForName("reason")
		text = strings.TrimSpace("**Deprecated.** " + reason.Value.Raw + " " + text)
	}
	return text
}

// paragraph joins the lines of a description.
func paragraph(description string) string { return strings.Join(strings.Fields(description), " ") }

// TestAPIReferenceIsWhole: the reference has every type and every field of a root type.
func TestAPIReferenceIsWhole(t *testing.T) {
	t.Parallel()
	page, fields := document(t, "docs/api.md"), map[string]bool{}
	files, err := readFiles(".graphqls")
	require.NoError(t, err)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if filepath.Dir(path) != filepath.Join("graph", "schema") {
			continue
		}
		parsed, err := parser.ParseSchema(&ast.Source{Name: path, Input: string(files[path])})
		require.NoError(t, err)
		for _, d := range slices.Concat(parsed.Definitions, parsed.Extensions) {
			assert.Contains(t, page, d.Name+"\n")
			for _, f := range d.Fields {
				fields[f.Name] = true
				assert.Contains(t, page, "\n| `"+f.Name+"` | `"+f.Type.String()+"`")
			}
		}
	}
	assert.Greater(t, len(fields), 100)
}
