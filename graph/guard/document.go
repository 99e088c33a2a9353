package guard

import (
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/validation"
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
