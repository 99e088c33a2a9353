package guard

import (
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"onhand/graph/validation"
)

// countExpanded counts selections down from left with every fragment expanded. Unlike
// the code under test, it caches no counts. A fragment inside itself counts as
// nothing.
func countExpanded(document *ast.QueryDocument, set ast.SelectionSet, inside []string, left *int) {
	for _, selection := range set {
		if *left--; *left <= 0 {
			return
		}
		switch selection := selection.(type) {
		case *ast.Field:
			countExpanded(document, selection.SelectionSet, inside, left)
		case *ast.InlineFragment:
			countExpanded(document, selection.SelectionSet, inside, left)
		case *ast.FragmentSpread:
			if fragment := document.Fragments.ForName(selection.Name); fragment != nil && !strings.Contains(strings.Join(inside, " ")+" ", selection.Name+" ") {
				countExpanded(document, fragment.SelectionSet, append(inside, selection.Name), left)
			}
		}
	}
}

// FuzzDocuments: a document that is accepted has no more selections than the limits
// allow, and a document that is refused is BAD_USER_INPUT.
func FuzzDocuments(f *testing.F) {
	for _, text := range []string{
		"{ stocks(productIds: [\"a\"]) { ...s levels { available } } } fragment s on Stock { productId ...t } fragment t on Stock { status }",
		"{ ...a } fragment a on Query { ...a ...b } fragment b on Query { ...a x }",
		"query A { a } query B { b ... on Query { c ... { d } } }", "{ __schema { types { name } } }",
		"{" + strings.Repeat("a ", validation.SelectionsMax+1) + "}", doubling(12), "{ a(b: \"\\ud800\") }", "{", "", "\ufeff{a}",
		strings.Repeat("{a", TokensMax), "{ ...none }",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		request := &graphql.RawParams{Query: text}
		refused := NewDocuments().MutateOperationParameters(graphql.WithOperationContext(t.Context(), &graphql.OperationContext{}), request)
		if request.Query != text {
			t.Fatalf("%q became %q", text, request.Query)
		}
		if refused != nil {
			if code := refused.Extensions["code"]; code != "BAD_USER_INPUT" && code != "GRAPHQL_PARSE_FAILED" && code != "GRAPHQL_VALIDATION_FAILED" || refused.Message == "" {
				t.Fatalf("%q: %+v", text, refused)
			}
			return
		}
		document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, TokensMax)
		if err != nil {
			return
		}
		left := validation.SelectionsSpreadMax + 1
		for _, operation := range document.Operations {
			countExpanded(document, operation.SelectionSet, nil, &left)
		}
		if left <= 0 && !recursive(document) {
			t.Fatalf("accepted: %q", text)
		}
	})
}

// recursive reports whether a fragment is inside itself. Validation refuses such a
// document before the complexity limit counts it.
func recursive(document *ast.QueryDocument) bool {
	var within func(set ast.SelectionSet, seen map[string]bool) bool
	within = func(set ast.SelectionSet, seen map[string]bool) bool {
		for _, selection := range set {
			switch selection := selection.(type) {
			case *ast.Field:
				if within(selection.SelectionSet, seen) {
					return true
				}
			case *ast.InlineFragment:
				if within(selection.SelectionSet, seen) {
					return true
				}
			case *ast.FragmentSpread:
				if seen[selection.Name] {
					return true
				}
				if fragment := document.Fragments.ForName(selection.Name); fragment != nil {
					seen[selection.Name] = true
					if within(fragment.SelectionSet, seen) {
						return true
					}
					delete(seen, selection.Name)
				}
			}
		}
		return false
	}
	for _, fragment := range document.Fragments {
		if within(fragment.SelectionSet, map[string]bool{fragment.Name: true}) {
			return true
		}
	}
	return false
}

// doubling returns a document whose fragments double with every step.
func doubling(steps int) string {
	var b strings.Builder
	b.WriteString("{ ...f0 }")
	for i := range steps {
		name, next := string(rune('a'+i)), string(rune('a'+i+1))
		if i == 0 {
			name = "f0"
		}
		b.WriteString(" fragment " + name + " on Query { ..." + next + " ..." + next + " }")
	}
	b.WriteString(" fragment " + string(rune('a'+steps)) + " on Query { x }")
	return b.String()
}
