package guard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"onhand/models"
)

// TokenVerifier checks tokens.
type TokenVerifier interface {
	// Verify returns the caller that a token names. Nothing changes the identity.
	//
	// Errors: UNAUTHENTICATED for a token that is not accepted, UNAVAILABLE when that
	// cannot be found out now, RATE_LIMITED after too many that were not accepted.
	Verify(ctx context.Context, token string) (*Identity, error)
	// OnRevoked calls end once the token of an identity is revoked, unless stop is called
	// before.
	OnRevoked(id *Identity, end func()) (stop func())
}

// Bearer checks the bearer tokens of requests.
type Bearer struct {
	Verifier TokenVerifier
	// TokenRequired are the uses that need a token.
	TokenRequired []AnonymousUse
	// OnRefused is called for each token that is not accepted; nil for no call.
	OnRefused func(ctx context.Context, err error)
}

// Handler sets the caller of each request. It refuses a token that is not accepted before
// it reads the request. The token of a WebSocket is left to Connect.
func (b *Bearer) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		facts, r := factsOf(r)
		facts.bearer = b
		if r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			facts.authorization = r.Header["Authorization"]
			next.ServeHTTP(w, r)
			return
		}
		caller, err := b.callerOrRefusal(r.Context(), r.Header["Authorization"])
		if err != nil {
			refuseToken(w, err)
			return
		}
		facts.caller = caller
		next.ServeHTTP(w, r)
	})
}

// refuseToken answers a request whose token is not accepted, as RFC 6750 says.
func refuseToken(w http.ResponseWriter, err error) {
	var fault *models.Fault
	switch errors.As(err, &fault); {
	case fault != nil && fault.Code == models.CodeUnavailable:
		w.Header().Set("Retry-After", "1")
		Refuse(w, http.StatusServiceUnavailable, models.CodeUnavailable, fault.Message)
		return
	case fault != nil && fault.Code == models.CodeRateLimited:
		refuseExcess(w, err)
		return
	}
	message := "the token is not valid"
	if fault != nil {
		message = fault.Message
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="onhand", error="invalid_token", error_description="`+message+`"`)
	Refuse(w, http.StatusUnauthorized, models.CodeUnauthenticated, message)
}

func unauthenticated(message string) *models.Fault {
	return &models.Fault{Code: models.CodeUnauthenticated, Message: message}
}

func (b *Bearer) callerOrRefusal(ctx context.Context, header []string) (*Identity, error) {
	caller, err := b.caller(ctx, header)
	if err != nil && b.OnRefused != nil {
		b.OnRefused(ctx, err)
	}
	return caller, err
}

// caller returns the caller that the Authorization header names; nil for none.
func (b *Bearer) caller(ctx context.Context, header []string) (*Identity, error) {
	switch {
	case len(header) == 0, len(header) == 1 && header[0] == "":
		return nil, nil
	case len(header) > 1:
		return nil, unauthenticated("the request has several Authorization headers")
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, unauthenticated("the authorization must be a bearer token")
	}
	return b.Verifier.Verify(ctx, strings.TrimLeft(token, " "))
}

// Connect decides on a connection of graphql-transport-ws by the token in the payload of
// connection_init, or else by that of the handshake's header. It returns the context of
// the connection, which ends with the token.
//
// Errors: UNAUTHENTICATED, UNAVAILABLE, RATE_LIMITED.
func (b *Bearer) Connect(ctx context.Context, payload json.RawMessage) (context.Context, error) {
	facts := factsIn(ctx)
	if facts == nil {
		facts = &requestFacts{}
	}
	header := facts.authorization
	sent, err := authorizationIn(payload)
	if err != nil {
		return nil, err
	}
	if sent != "" {
		header = []string{sent}
	}
	caller, err := b.callerOrRefusal(ctx, header)
	if err != nil {
		return nil, err
	}
	connected, _ := UntilTokenEnds(withFacts(ctx, func(facts *requestFacts) {
		facts.caller, facts.bearer, facts.authorization = caller, b, nil
	})) // ends with ctx
	return connected, nil
}

// authorizationIn returns the value of an Authorization header that a payload stands for:
// "authorization" or "Authorization" as in HTTP, or "token" without the scheme. It is
// empty where the payload has no token.
func authorizationIn(payload json.RawMessage) (string, error) {
	if len(payload) == 0 {
		return "", nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(payload, &fields) != nil {
		return "", unauthenticated("the payload of connection_init must be an object")
	}
	for _, name := range []string{"authorization", "Authorization", "token"} {
		var value *string
		if raw, sent := fields[name]; !sent {
			continue
		} else if json.Unmarshal(raw, &value) != nil {
			return "", unauthenticated("the token must be a text")
		}
		if value == nil || *value == "" {
			continue
		}
		if name == "token" {
			return "Bearer " + *value, nil
		}
		return *value, nil
	}
	return "", nil
}
