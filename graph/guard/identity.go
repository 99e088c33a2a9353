package guard

import (
	"context"
	"net/http"
	"slices"

	"onhand/models"
)

// Scope is a permission.
type Scope string

// The scopes. Reading stock and reserving a cart need none.
const (
	ReadInventory  Scope = "read:inventory"
	WriteInventory Scope = "write:inventory"
	ReadOrders     Scope = "read:orders"
	WriteOrders    Scope = "write:orders"
	Admin          Scope = "admin"
)

// Identity is the caller of a request.
type Identity struct {
	// Subject names the caller in the ledger; empty for an anonymous shopper.
	Subject string
	Scopes  []Scope
}

// requestFacts is what the handlers of one request found out about it, in one value of
// its context: each further value would copy the request.
type requestFacts struct {
	caller  *Identity // nil for an anonymous one
	address string    // of the client's end of the connection
}

type factsKey struct{}

// factsIn returns the facts in a context; nil where it has none.
func factsIn(ctx context.Context) *requestFacts {
	facts, _ := ctx.Value(factsKey{}).(*requestFacts)
	return facts
}

// factsOf returns the facts of a request, and the request with them.
func factsOf(r *http.Request) (*requestFacts, *http.Request) {
	if facts := factsIn(r.Context()); facts != nil {
		return facts, r
	}
	facts := &requestFacts{}
	return facts, r.WithContext(context.WithValue(r.Context(), factsKey{}, facts))
}

// WithIdentity returns a context with the caller.
func WithIdentity(ctx context.Context, id Identity) context.Context {
	facts := requestFacts{caller: &id}
	if known := factsIn(ctx); known != nil {
		facts.address = known.address
	}
	return context.WithValue(ctx, factsKey{}, &facts)
}

// Local grants every scope. It is for a server that only this machine can reach.
func Local(next http.Handler) http.Handler {
	local := &Identity{Subject: "local", Scopes: []Scope{ReadInventory, WriteInventory, ReadOrders, WriteOrders, Admin}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		facts, r := factsOf(r)
		facts.caller = local
		next.ServeHTTP(w, r)
	})
}

// Caller names the caller that an idempotency key belongs to. It is empty for all
// callers: they share one name, because requests have no identity of their own yet.
func Caller(context.Context) string { return "" }

// callerOf returns the caller; nil for an anonymous one.
func callerOf(ctx context.Context) *Identity {
	if facts := factsIn(ctx); facts != nil {
		return facts.caller
	}
	return nil
}

// Require returns the caller's subject when the caller has the scope.
//
// Errors: UNAUTHENTICATED for anonymous callers, FORBIDDEN for others.
func Require(ctx context.Context, scope Scope) (subject string, err error) {
	id := callerOf(ctx)
	if id == nil {
		return "", &models.Fault{Code: models.CodeUnauthenticated, Message: "sign in first; this needs scope " + string(scope)}
	}
	if !Has(ctx, scope) {
		return "", &models.Fault{Code: models.CodeForbidden, Message: "this needs scope " + string(scope)}
	}
	return id.Subject, nil
}

// Has reports whether the caller has the scope.
func Has(ctx context.Context, scope Scope) bool {
	id := callerOf(ctx)
	return id != nil && slices.Contains(id.Scopes, scope)
}

// Subject names the caller; empty for an anonymous one.
func Subject(ctx context.Context) string {
	if id := callerOf(ctx); id != nil {
		return id.Subject
	}
	return ""
}
