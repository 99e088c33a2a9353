package trusted_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"onhand/graph/trusted"
)

// TestGateways: a request is a gateway's by the whole key alone.
func TestGateways(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("k", 32)
	for name, test := range map[string]struct {
		key, sent string
		want      bool
	}{
		"the key":            {key, key, true},
		"none":               {key, "", false},
		"another":            {key, strings.Repeat("l", 32), false},
		"twice":              {key, key + " " + key, false},
		"a part":             {key, key[:31], false},
		"none is configured": {"", "", false},
		"any, and none is":   {"", key, false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", http.NoBody)
		for sent := range strings.FieldsSeq(test.sent) {
			r.Header.Add(trusted.GatewayHeader, sent)
		}
		trusted.WithGateways(test.key, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			assert.Equal(t, test.want, trusted.FromGateway(r.Context()), name)
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
}
