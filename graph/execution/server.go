package execution

import (
	"encoding/json"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Server answers requests with the first transport that supports them. The last transport must support all.
type Server struct {
	*OperationExecutor
	transports []graphql.Transport
}

// NewServer returns a server without transports.
func NewServer(e *OperationExecutor) *Server { return &Server{OperationExecutor: e} }

// AddTransport adds a transport after the others.
func (s *Server) AddTransport(t graphql.Transport) { s.transports = append(s.transports, t) }

// ServeHTTP implements http.Handler. A panic of a transport is answered with 500.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			presented, _ := s.PresentRecoveredError(r.Context(), p).(*gqlerror.Error)
			body, _ := json.Marshal(graphql.Response{Errors: gqlerror.List{presented}}) // texts; cannot fail
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(body)
		}
	}()
	for _, t := range s.transports {
		if t.Supports(r) {
			t.Do(w, r, s.OperationExecutor)
			return
		}
	}
}
