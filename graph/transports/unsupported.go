package transports

import (
	"net/http"

	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/guard"
	"onhand/models"
)

// Unsupported answers what no other transport takes, in GraphQL's form. It
// goes last.
type Unsupported struct{}

// Supports implements graphql.Transport.
func (Unsupported) Supports(*http.Request) bool { return true }

// Do implements graphql.Transport.
func (Unsupported) Do(w http.ResponseWriter, r *http.Request, _ graphql.GraphExecutor) {
	if r.Method == http.MethodPost {
		guard.Refuse(w, http.StatusUnsupportedMediaType, models.CodeBadUserInput, "send Content-Type: application/json")
		return
	}
	w.Header().Set("Allow", "GET, POST, OPTIONS")
	guard.Refuse(w, http.StatusMethodNotAllowed, models.CodeBadUserInput, "use POST, or GET for queries")
}
