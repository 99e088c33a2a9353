package guard

import (
	"context"
	"fmt"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/graph/validation"
	"onhand/models"
)

// The limits of an array of requests. Each of its requests has the limits of a request,
// and together they have the body, the complexity, and the expanded selections of one.
const (
	// ArrayRequestsMax bounds the requests of one array. Apollo's BatchHttpLink joins
	// at most 10 by default.
	ArrayRequestsMax = 20
	// ArraySelectionsMax bounds the selections of all its documents, as they are
	// written: as many as one document may have.
	ArraySelectionsMax = validation.SelectionsMax
)

// Array is what the requests of one array use together. Its zero value is an array
// without requests.
type Array struct {
	size   validation.Size
	cost   Cost
	excess string // what the array has too much of
}

type arrayKey struct{}

// With returns a context for the requests of the array. They must not be prepared
// concurrently.
func (a *Array) With(ctx context.Context) context.Context {
	return context.WithValue(ctx, arrayKey{}, a)
}

// AddCost adds the cost of one operation.
func (a *Array) AddCost(cost Cost) {
	a.cost = a.cost.plus(cost)
	a.bound(a.cost.Complexity, ComplexityMax, "a complexity of %d")
	a.bound(a.cost.Keys, KeysMax, "%d ids, lines and rows")
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
func addSize(ctx context.Context, size validation.Size) *gqlerror.Error {
	a, inArray := ctx.Value(arrayKey{}).(*Array)
	if !inArray {
		return nil
	}
	a.size.Written += size.Written
	a.size.Reached += size.Reached
	a.size.Introspecting += size.Introspecting
	a.bound(a.size.Written, ArraySelectionsMax, "%d selections")
	a.bound(a.size.Reached, validation.SelectionsSpreadMax, "%d selections once fragments are in place")
	a.bound(a.size.Introspecting, validation.IntrospectionSpreadMax, "%d selections once fragments are in place, in documents that ask for the schema")
	if a.excess != "" {
		return refusal(models.CodeBadUserInput, "%s", a.excess)
	}
	return nil
}
