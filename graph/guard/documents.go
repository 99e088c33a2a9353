package guard

import (
	"context"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"

	"onhand/graph/validation"
	"onhand/models"
)

const (
	documentsMax           = 100      // cached validated documents
	cachedDocumentBytesMax = 16 << 10 // the largest cached document
)

// Document is a validated document in the cache, with what is kept for it. A document
// gets one after its first use, so a document that is sent once costs nothing more.
// Its memory is bounded: there are at most documentsMax of them, each made from a text
// of at most cachedDocumentBytesMax.
type Document struct {
	Query *ast.QueryDocument

	size  validation.Size
	costs documentCosts

	compile  sync.Once
	compiled any
}

// Compiled returns what make made at the first call. make must depend on the document
// alone. It is called once, whatever the number of concurrent callers.
func (d *Document) Compiled(make func(*ast.QueryDocument) any) any {
	d.compile.Do(func() { d.compiled = make(d.Query) })
	return d.compiled
}

// documentKey is where an operation context has its Document.
const documentKey = "Document"

// SetDocument gives an operation its document.
func SetDocument(operation *graphql.OperationContext, document *Document) {
	operation.Stats.SetExtension(documentKey, document)
}

// DocumentOf returns the document of an operation that is in the cache; nil at its
// first use, and when it is too large for the cache.
func DocumentOf(operation *graphql.OperationContext) *Document {
	d, _ := operation.Stats.GetExtension(documentKey).(*Document)
	return d
}

// Documents bounds the size of a document before its validation, and caches validated
// documents. It is a gqlgen extension and the server's query cache. Make it with
// NewDocuments.
type Documents struct {
	// Charge is called for each document that is not in the cache, before it is parsed, and
	// may refuse it; nil for no call.
	Charge func(ctx context.Context, text string) *gqlerror.Error

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

// find returns the document of a text; nil where it is not in the cache.
func (d *Documents) find(text string) *Document {
	if len(text) > cachedDocumentBytesMax {
		return nil
	}
	found, _ := d.validated.Get(context.Background(), text)
	return found
}

// Get implements graphql.Cache, for gqlgen's own executor.
func (d *Documents) Get(_ context.Context, text string) (*ast.QueryDocument, bool) {
	if found := d.find(text); found != nil {
		return found.Query, true
	}
	return nil, false
}

// Add implements graphql.Cache. It does not cache large documents: programs generate
// them, each different, so they would only evict others.
func (d *Documents) Add(ctx context.Context, text string, document *ast.QueryDocument) {
	if len(text) <= cachedDocumentBytesMax {
		d.validated.Add(ctx, text, &Document{Query: document, size: validation.SizeOf(document)})
	}
}

// MutateOperationParameters implements graphql.OperationParameterMutator. It parses a
// document that is not in the cache, and bounds it before validation. The extensions
// that follow find the document in the operation context.
func (d *Documents) MutateOperationParameters(ctx context.Context, request *graphql.RawParams) *gqlerror.Error {
	operation := graphql.GetOperationContext(ctx)
	found := d.find(request.Query)
	if found != nil {
		SetDocument(operation, found)
	} else {
		var err *gqlerror.Error
		if found, err = d.parse(ctx, request.Query); err != nil {
			return err
		}
	}
	if err := addSize(ctx, found.size); err != nil {
		return err
	}
	operation.Doc = found.Query
	return checkOperation(found.Query, request.OperationName)
}

// parse parses a document that a caller sent.
func (d *Documents) parse(ctx context.Context, text string) (*Document, *gqlerror.Error) {
	if len(text) > DocumentBytesMax {
		return nil, refusal(models.CodeBadUserInput, "a document has at most %d bytes, not %d", DocumentBytesMax, len(text))
	}
	if d.Charge != nil {
		if err := d.Charge(ctx, text); err != nil {
			return nil, err
		}
	}
	return parse(text)
}

// CheckDocument says why a document would be refused before its variables are read.
func CheckDocument(schema *ast.Schema, text string) error {
	if len(text) > DocumentBytesMax {
		return refusal(models.CodeBadUserInput, "a document has at most %d bytes, not %d", DocumentBytesMax, len(text))
	}
	document, err := parse(text)
	if err != nil {
		return err
	}
	if errs := validation.Validate(schema, document.Query, text, true); errs != nil {
		return errs
	}
	return nil
}

// parse parses a document, within the limits of a document.
func parse(text string) (*Document, *gqlerror.Error) {
	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, TokensMax)
	if err != nil {
		problem := gqlerror.WrapIfUnwrapped(err)
		errcode.Set(problem, errcode.ParseFailed)
		return nil, problem
	}
	parsed := &Document{Query: document, size: validation.SizeOf(document)}
	if problem := parsed.size.Invalid(); problem != "" {
		invalid := gqlerror.Errorf("%s", problem)
		errcode.Set(invalid, errcode.ValidationFailed)
		return nil, invalid
	}
	if problem := parsed.size.Check(); problem != "" {
		return nil, refusal(models.CodeBadUserInput, "%s", problem)
	}
	return parsed, nil
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
