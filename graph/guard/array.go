package guard

import (
	"context"
	"fmt"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

// The limits of an array of requests. Each of its requests has the limits of a request,
// and together they have the body, the complexity, and the expanded selections of one.
const (
	// ArrayRequestsMax bounds the requests of one array. Apollo's BatchHttpLink joins
	// at most 10 by default.
	ArrayRequestsMax = 20
	// ArraySelectionsMax bounds the selections of all its documents, as they are
	// written. Validation takes the longest for a few large documents: some 50 ms here.
	ArraySelectionsMax = 1_000
)

// Array is what the requests of one array use together. Its zero value is an array
// without requests.
type Array struct {
	size       documentSize
	complexity int
	excess     string // what the array has too much of
}

type arrayKey struct{}

// With returns a context for the requests of the array. They must not be prepared
// concurrently.
func (a *Array) With(ctx context.Context) context.Context {
	return context.WithValue(ctx, arrayKey{}, a)
}

// AddComplexity adds the complexity of one operation.
func (a *Array) AddComplexity(complexity int) {
	a.complexity += complexity
	a.bound(a.complexity, ComplexityMax, "a complexity of %d")
}

// Excess says what the requests have too much of together; empty when they are within
// the limits.
func (a *Array) Excess() string { return a.excess }

func (a *Array) bound(n, limit int, format string) {
	if n > limit && a.excess == "" {
		a.excess = "the requests of one array have together at most " + fmt.Sprintf(format, limit)
	}
}

// addSize adds the size of a request's document. After the refusal of one the others
// need no work.
func addSize(ctx context.Context, size documentSize) *gqlerror.Error {
	a, inArray := ctx.Value(arrayKey{}).(*Array)
	if !inArray {
		return nil
	}
	a.size.written += size.written
	a.size.reached += size.reached
	a.size.introspecting += size.introspecting
	a.bound(a.size.written, ArraySelectionsMax, "%d selections")
	a.bound(a.size.reached, SelectionsSpreadMax, "%d selections once fragments are in place")
	a.bound(a.size.introspecting, IntrospectionSpreadMax, "%d selections once fragments are in place, in documents that ask for the schema")
	if a.excess != "" {
		return refusal(models.CodeBadUserInput, "%s", a.excess)
	}
	return nil
}
