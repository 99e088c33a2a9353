package guard

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"onhand/models"
)

// Scope is a permission.
type Scope string

// The scopes. No scope includes another one. Reading stock and reserving a cart need none.
const (
	ReadInventory  Scope = "read:inventory"
	WriteInventory Scope = "write:inventory"
	ReadOrders     Scope = "read:orders"
	WriteOrders    Scope = "write:orders"
	Admin          Scope = "admin"
)

// Scopes lists all scopes.
var Scopes = []Scope{ReadInventory, WriteInventory, ReadOrders, WriteOrders, Admin}

// AnonymousUse is what callers without a token may do, unless a setting turns it off.
type AnonymousUse string

// The anonymous uses, by the names that the schema has for them.
const (
	AnonymousReading   AnonymousUse = "READING"
	AnonymousReserving AnonymousUse = "RESERVING"
)

// Identity is the caller that a token names. It does not change.
type Identity struct {
	// Subject names the caller in the ledger.
	Subject string
	Scopes  []Scope
	// TokenID is the token's claim jti; empty where it has none.
	TokenID string
	// Expires is when the token is no longer accepted, the leeway included; zero for never.
	Expires time.Time
}

// requestFacts is what the handlers of one request found out about it, in one value of
// its context: each further value would copy the request.
type requestFacts struct {
	caller  *Identity // nil for an anonymous one
	address clientAddress
	bearer  *Bearer // nil where tokens are not checked
	charge  BodyCharge
	// requestID names the request in the log; empty without WithRequestID. A header has its values in a list.
	requestID [1]string
	// authorization is the header of a WebSocket handshake, whose token is checked later.
	authorization []string
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

// withFacts returns a context with a changed copy of its facts.
func withFacts(ctx context.Context, change func(*requestFacts)) context.Context {
	var facts requestFacts
	if known := factsIn(ctx); known != nil {
		facts = *known
	}
	change(&facts)
	return context.WithValue(ctx, factsKey{}, &facts)
}

// WithIdentity returns a context with the caller.
func WithIdentity(ctx context.Context, id Identity) context.Context {
	return withFacts(ctx, func(facts *requestFacts) { facts.caller = &id })
}

// WithTokensConfigured returns the context of a server that checks tokens, and that lets
// callers without one do everything but these uses.
func WithTokensConfigured(ctx context.Context, tokenRequired ...AnonymousUse) context.Context {
	return withFacts(ctx, func(facts *requestFacts) { facts.bearer = &Bearer{TokenRequired: tokenRequired} })
}

// Local grants every scope. It is for a server that only this machine can reach.
func Local(next http.Handler) http.Handler {
	local := &Identity{Subject: "local", Scopes: Scopes}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		facts, r := factsOf(r)
		facts.caller = local
		next.ServeHTTP(w, r)
	})
}

// callerOf returns the caller; nil for an anonymous one.
func callerOf(ctx context.Context) *Identity {
	if facts := factsIn(ctx); facts != nil {
		return facts.caller
	}
	return nil
}

// Has reports whether the caller has the scope.
func Has(ctx context.Context, scope Scope) bool {
	id := callerOf(ctx)
	return id != nil && slices.Contains(id.Scopes, scope)
}

// HasAnyScope reports whether the caller has a scope of the API at all: shoppers have none.
func HasAnyScope(ctx context.Context) bool {
	id := callerOf(ctx)
	return id != nil && len(id.Scopes) > 0
}

// Subject names the caller; empty for an anonymous one.
func Subject(ctx context.Context) string {
	if id := callerOf(ctx); id != nil {
		return id.Subject
	}
	return ""
}

// IsAnonymous reports whether the caller sent no token.
func IsAnonymous(ctx context.Context) bool { return callerOf(ctx) == nil }

// TokensConfigured reports whether the server checks tokens. Otherwise every caller is of
// this machine, and has every scope.
func TokensConfigured(ctx context.Context) bool {
	facts := factsIn(ctx)
	return facts != nil && facts.bearer != nil
}

// MayAnonymously reports whether callers without a token may do something.
func MayAnonymously(ctx context.Context, use AnonymousUse) bool {
	facts := factsIn(ctx)
	return facts == nil || facts.bearer == nil || !slices.Contains(facts.bearer.TokenRequired, use)
}

// Expires is when the caller's token is no longer accepted; ok is false for never.
func Expires(ctx context.Context) (at time.Time, ok bool) {
	if id := callerOf(ctx); id != nil {
		at = id.Expires
	}
	return at, !at.IsZero()
}

// errTokenEnded is the cause with which the context of a stream ends.
var errTokenEnded = errors.New("the token has ended")

// ErrTokenEnded is what a client of a stream gets whose token has expired or is revoked.
var ErrTokenEnded = &models.Fault{Code: models.CodeUnauthenticated, Message: "the token has ended; connect again with a new one"}

// UntilTokenEnds returns the context of a stream. It ends when ctx ends, when the caller's
// token expires, when that is revoked, or with stop.
func UntilTokenEnds(ctx context.Context) (until context.Context, stop func()) {
	until, cancel := context.WithCancelCause(ctx)
	stop = func() { cancel(nil) }
	facts := factsIn(ctx)
	if facts == nil || facts.caller == nil {
		return until, stop
	}
	end := func() { cancel(errTokenEnded) }
	if at := facts.caller.Expires; !at.IsZero() {
		timer := time.AfterFunc(time.Until(at), end)
		context.AfterFunc(until, func() { timer.Stop() })
	}
	if facts.bearer != nil && facts.bearer.Verifier != nil {
		context.AfterFunc(until, facts.bearer.Verifier.OnRevoked(facts.caller, end))
	}
	return until, stop
}

// TokenEnded reports whether a context of UntilTokenEnds, or one made from it, has ended
// because of the token.
func TokenEnded(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errTokenEnded) }
