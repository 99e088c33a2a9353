package guard

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"

	"onhand/models"
)

// The limits of one document. GraphiQL's introspection, the largest document
// that we know, has 81 selections, 240 with its fragments in place.
const (
	// SelectionsMax bounds fields, inline fragments and spreads: validation
	// compares them in pairs, some 20 ms for this many.
	SelectionsMax = 400
	// SelectionsSpreadMax bounds them with each fragment counted wherever it is
	// spread: fragments of fragments double with every step, and complexity
	// looks at all of them.
	SelectionsSpreadMax = 4_000
	// IntrospectionSpreadMax bounds them where the schema is asked for: complexity
	// reckons its lists of types and fields as if they had one element.
	IntrospectionSpreadMax = 500

	documentsMax     = 100      // validated documents that are kept
	documentBytesMax = 16 << 10 // the largest one that is kept
)

// Documents bounds what a document may cost before it is validated, and keeps
// the validated ones. It is a gqlgen extension, and the server's query cache.
// Make it with NewDocuments.
type Documents struct {
	validated graphql.Cache[*ast.QueryDocument]
}

var (
	_ graphql.HandlerExtension          = (*Documents)(nil)
	_ graphql.OperationParameterMutator = (*Documents)(nil)
	_ graphql.Cache[*ast.QueryDocument] = (*Documents)(nil)
)

// NewDocuments makes Documents that keep none yet.
func NewDocuments() *Documents {
	return &Documents{validated: lru.New[*ast.QueryDocument](documentsMax)}
}

// ExtensionName implements graphql.HandlerExtension.
func (*Documents) ExtensionName() string { return "Documents" }

// Validate implements graphql.HandlerExtension.
func (*Documents) Validate(graphql.ExecutableSchema) error { return nil }

// Get implements graphql.Cache.
func (d *Documents) Get(ctx context.Context, text string) (*ast.QueryDocument, bool) {
	return d.validated.Get(ctx, text)
}

// Add implements graphql.Cache. Large documents are made by programs, each
// different: they would only push out the others.
func (d *Documents) Add(ctx context.Context, text string, document *ast.QueryDocument) {
	if len(text) <= documentBytesMax {
		d.validated.Add(ctx, text, document)
	}
}

// MutateOperationParameters implements graphql.OperationParameterMutator: gqlgen
// has no hook between parsing and validation, so that a document that is not
// known is parsed twice, which takes far less than its validation.
func (d *Documents) MutateOperationParameters(ctx context.Context, request *graphql.RawParams) *gqlerror.Error {
	if _, known := d.validated.Get(ctx, request.Query); known {
		return nil
	}
	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: request.Query}, TokensMax)
	if err != nil {
		return nil // gqlgen finds the same, and says so
	}
	return checkSize(document)
}

func checkSize(document *ast.QueryDocument) *gqlerror.Error {
	here, spread := selections{}, selections{fragments: document.Fragments, known: map[string]int{}}
	var written, reached int
	for _, operation := range document.Operations {
		written += here.of(operation.SelectionSet)
		reached = min(reached+spread.of(operation.SelectionSet), SelectionsSpreadMax+1)
	}
	for _, fragment := range document.Fragments {
		written += here.of(fragment.SelectionSet)
	}
	if written > SelectionsMax {
		return refusal(models.CodeBadUserInput, "a document has at most %d selections, not %d", SelectionsMax, written)
	}
	if reached > SelectionsSpreadMax {
		return refusal(models.CodeBadUserInput, "a document has at most %d selections once its fragments are in place", SelectionsSpreadMax)
	}
	if reached > IntrospectionSpreadMax && introspects(document) {
		return refusal(models.CodeBadUserInput, "a document that asks for the schema has at most %d selections once its fragments are in place", IntrospectionSpreadMax)
	}
	return nil
}

// introspects tells whether a document asks for the schema anywhere.
func introspects(document *ast.QueryDocument) bool {
	var sets []ast.SelectionSet
	for _, operation := range document.Operations {
		sets = append(sets, operation.SelectionSet)
	}
	for _, fragment := range document.Fragments {
		sets = append(sets, fragment.SelectionSet)
	}
	for len(sets) > 0 {
		set := sets[0]
		sets = sets[1:]
		for _, selection := range set {
			switch selection := selection.(type) {
			case *ast.Field:
				if selection.Name == "__schema" || selection.Name == "__type" {
					return true
				}
				sets = append(sets, selection.SelectionSet)
			case *ast.InlineFragment:
				sets = append(sets, selection.SelectionSet)
			}
		}
	}
	return false
}

// selections counts what is selected. With fragments, each spread counts as
// what it stands for, up to just above SelectionsSpreadMax.
type selections struct {
	fragments ast.FragmentDefinitionList
	known     map[string]int // what each fragment stands for
}

func (s selections) of(set ast.SelectionSet) (n int) {
	for _, selection := range set {
		n++
		switch selection := selection.(type) {
		case *ast.Field:
			n += s.of(selection.SelectionSet)
		case *ast.InlineFragment:
			n += s.of(selection.SelectionSet)
		case *ast.FragmentSpread:
			n += s.ofFragment(selection.Name)
		}
	}
	return min(n, SelectionsSpreadMax+1)
}

func (s selections) ofFragment(name string) int {
	fragment := s.fragments.ForName(name)
	if fragment == nil {
		return 0
	}
	n, known := s.known[name]
	if !known {
		s.known[name] = 0 // one that spreads itself; validation refuses it
		n = s.of(fragment.SelectionSet)
		s.known[name] = n
	}
	return n
}
