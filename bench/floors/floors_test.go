package floors

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAnswers: the floors without servers answer as the API does. Those with servers are tested by bench/reads.
func TestAnswers(t *testing.T) {
	t.Parallel()
	list := `{"query":"query($ids: [ID!]!) { stocks(productIds: $ids) { productId quantityAvailable version } }","variables":{"ids":["a","b"]}}`
	one := `{"query":"query($id: ID!) { stock(productId: $id) { productId quantityAvailable version } }","variables":{"id":"a"}}`
	for name, handler := range map[string]http.Handler{"json": JSON(), "static": Static()} {
		for body, want := range map[string]string{
			list: `{"data":{"stocks":[{"productId":"a","quantityAvailable":50000010,"version":1},{"productId":"b","quantityAvailable":50000010,"version":1}]}}`,
			one:  `{"data":{"stock":{"productId":"a","quantityAvailable":50000010,"version":1}}}`,
		} {
			request := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
			request.Header.Set("Content-Type", "application/json")
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			require.Equal(t, http.StatusOK, answer.Code, "%s: %s", name, answer.Body)
			require.JSONEq(t, want, answer.Body.String(), name)
		}
	}
}
