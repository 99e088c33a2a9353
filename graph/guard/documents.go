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

// The limits of one document. GraphiQL's introspection query has 81 selections, 240
// with its fragments expanded.
const (
	// SelectionsMax bounds fields, inline fragments and spreads. Validation compares
	// them in pairs, which takes some 20 ms for this many.
	SelectionsMax = 400
	// SelectionsSpreadMax bounds them with every fragment expanded. Nested fragments
	// double with every step, and the complexity limit visits each of them.
	SelectionsSpreadMax = 4_000
	// IntrospectionSpreadMax bounds them in a document that reads the schema. The
	// complexity limit counts the schema's lists as one element each.
	IntrospectionSpreadMax = 500

	documentsMax     = 100      // cached validated documents
	documentBytesMax = 16 << 10 // the largest cached document
)

// Documents bounds the size of a document before its validation, and caches validated
// documents. It is a gqlgen extension and the server's query cache. Make it with
// NewDocuments.
type Documents struct {
	validated *lru.LRU[*Document]
}

var (
	_ graphql.HandlerExtension          = (*Documents)(nil)
	_ graphql.OperationParameterMutator = (*Documents)(nil)
	_ graphql.Cache[*ast.QueryDocument] = (*Documents)(nil)
)

// NewDocuments returns Documents with an empty cache.
func NewDocuments() *Documents {
	return &Documents{validated: lru.New[*Document](documentsMax)}
}

// ExtensionName implements graphql.HandlerExtension.
func (*Documents) ExtensionName() string { return "Documents" }

// Validate implements graphql.HandlerExtension.
func (*Documents) Validate(graphql.ExecutableSchema) error { return nil }

// Find returns the document of a text; nil where it is not in the cache.
func (d *Documents) Find(text string) *Document {
	found, _ := d.validated.Get(context.Background(), text)
	return found
}

// Get implements graphql.Cache. gqlgen asks for the document that
// MutateOperationParameters found in the cache a moment before.
func (d *Documents) Get(ctx context.Context, text string) (*ast.QueryDocument, bool) {
	if graphql.HasOperationContext(ctx) {
		if found := DocumentOf(graphql.GetOperationContext(ctx)); found != nil {
			return found.Query, true
		}
	}
	if found := d.Find(text); found != nil {
		return found.Query, true
	}
	return nil, false
}

// Add implements graphql.Cache. It does not cache large documents: programs generate
// them, each different, so they would only evict others.
func (d *Documents) Add(ctx context.Context, text string, document *ast.QueryDocument) {
	if len(text) <= documentBytesMax {
		d.validated.Add(ctx, text, &Document{Query: document, size: sizeOf(document)})
	}
}

// MutateOperationParameters implements graphql.OperationParameterMutator. gqlgen has no
// hook between parsing and validation, so a document that is not cached is parsed
// twice. Parsing takes far less time than validation. The extensions that follow find
// the document in the operation context.
func (d *Documents) MutateOperationParameters(ctx context.Context, request *graphql.RawParams) *gqlerror.Error {
	operation := graphql.GetOperationContext(ctx)
	found := DocumentOf(operation)
	if found == nil {
		if found = d.Find(request.Query); found != nil {
			SetDocument(operation, found)
		}
	}
	if found == nil {
		document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: request.Query}, TokensMax)
		if err != nil {
			return nil // gqlgen reports the same error
		}
		found = &Document{Query: document, size: sizeOf(document)}
		if err := found.size.check(); err != nil {
			return err
		}
	}
	if err := addSize(ctx, found.size); err != nil {
		return err
	}
	operation.Doc = found.Query
	return checkOperation(found.Query, request.OperationName)
}

// checkOperation refuses a name that no operation has, and no name where there are
// several operations.
func checkOperation(document *ast.QueryDocument, name string) *gqlerror.Error {
	switch {
	case len(document.Operations) == 0 || document.Operations.ForName(name) != nil:
		return nil
	case name == "":
		return refusal(models.CodeBadUserInput, "the document has %d operations: say in operationName which one to execute", len(document.Operations))
	}
	return refusal(models.CodeBadUserInput, "the document has no operation %q", name)
}

// documentSize counts the selections of a document.
type documentSize struct {
	written       int // as the document has them
	reached       int // with every fragment expanded, up to just above SelectionsSpreadMax
	introspecting int // reached, where the document reads the schema; otherwise 0
}

func sizeOf(document *ast.QueryDocument) (size documentSize) {
	plain, expanded := selections{}, selections{fragments: document.Fragments, counts: map[string]int{}}
	for _, operation := range document.Operations {
		size.written += plain.of(operation.SelectionSet)
		size.reached = min(size.reached+expanded.of(operation.SelectionSet), SelectionsSpreadMax+1)
	}
	for _, fragment := range document.Fragments {
		size.written += plain.of(fragment.SelectionSet)
	}
	if introspects(document) {
		size.introspecting = size.reached
	}
	return size
}

func (size documentSize) check() *gqlerror.Error {
	if size.written > SelectionsMax {
		return refusal(models.CodeBadUserInput, "a document has at most %d selections, not %d", SelectionsMax, size.written)
	}
	if size.reached > SelectionsSpreadMax {
		return refusal(models.CodeBadUserInput, "a document has at most %d selections once its fragments are in place", SelectionsSpreadMax)
	}
	if size.introspecting > IntrospectionSpreadMax {
		return refusal(models.CodeBadUserInput, "a document that asks for the schema has at most %d selections once its fragments are in place", IntrospectionSpreadMax)
	}
	return nil
}

// introspects reports whether a document reads the schema anywhere.
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

// selections counts selections. With fragments it expands each spread, and stops
// just above SelectionsSpreadMax.
type selections struct {
	fragments ast.FragmentDefinitionList
	counts    map[string]int // of each fragment
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
	n, counted := s.counts[name]
	if !counted {
		s.counts[name] = 0 // ends the recursion of a fragment that spreads itself; validation refuses it
		n = s.of(fragment.SelectionSet)
		s.counts[name] = n
	}
	return n
}
