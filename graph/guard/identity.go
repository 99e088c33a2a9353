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
)

// Identity is the caller of a request.
type Identity struct {
	// Subject names the caller in the ledger; empty for an anonymous shopper.
	Subject string
	Scopes  []Scope
}

type identityKey struct{}

// requestScope is what the handlers of one request found out about it, in one value of
// its context: each further value would copy the request.
type requestScope struct {
	caller  *Identity
	address string // of the client's end of the connection
}

type scopeKey struct{}

// scopeOf returns the scope of a request, and the request with it.
func scopeOf(r *http.Request) (*requestScope, *http.Request) {
	if scope, ok := r.Context().Value(scopeKey{}).(*requestScope); ok {
		return scope, r
	}
	scope := &requestScope{}
	return scope, r.WithContext(context.WithValue(r.Context(), scopeKey{}, scope))
}

// WithIdentity returns a context with the caller.
func WithIdentity(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// Local grants every scope. It is for a server that only this machine can reach.
func Local(next http.Handler) http.Handler {
	local := &Identity{Subject: "local", Scopes: []Scope{ReadInventory, WriteInventory, ReadOrders, WriteOrders}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scope, r := scopeOf(r)
		scope.caller = local
		next.ServeHTTP(w, r)
	})
}

// Caller names the caller that an idempotency key belongs to. It is empty for all
// callers: they share one name, because requests have no identity of their own yet.
func Caller(context.Context) string { return "" }

// callerOf returns the caller; nil for an anonymous one.
func callerOf(ctx context.Context) *Identity {
	if id, ok := ctx.Value(identityKey{}).(Identity); ok {
		return &id
	}
	if scope, ok := ctx.Value(scopeKey{}).(*requestScope); ok {
		return scope.caller
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
	if !slices.Contains(id.Scopes, scope) {
		return "", &models.Fault{Code: models.CodeForbidden, Message: "this needs scope " + string(scope)}
	}
	return id.Subject, nil
}
