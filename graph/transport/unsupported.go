package transport

import (
	"net/http"

	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/guard"
	"onhand/models"
)

// allowed are the methods of the endpoint: PUT and DELETE are for event streams.
const allowed = "GET, POST, PUT, DELETE, OPTIONS"

// Unsupported answers OPTIONS, and refuses all requests that no other transport
// supports, in GraphQL's form. It must be the last transport.
type Unsupported struct{}

// Supports implements graphql.Transport.
func (Unsupported) Supports(*http.Request) bool { return true }

// Do implements graphql.Transport.
func (Unsupported) Do(w http.ResponseWriter, r *http.Request, _ graphql.GraphExecutor) {
	switch r.Method {
	case http.MethodOptions:
		w.Header().Set("Allow", allowed)
	case http.MethodPost:
		guard.Refuse(w, http.StatusUnsupportedMediaType, models.CodeBadUserInput, "send Content-Type: application/json")
	default:
		w.Header().Set("Allow", allowed)
		guard.Refuse(w, http.StatusMethodNotAllowed, models.CodeBadUserInput, "use POST, or GET for queries")
	}
}
