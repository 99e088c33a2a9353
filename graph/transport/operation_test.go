package transport

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDataMeansExecuted: over each transport, a refusal has no "data", and an execution
// without a result has null.
func TestDataMeansExecuted(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	for query, want := range map[string]string{
		"empty":   `{"errors":[{"message":"oh"}],"data":null}`,
		"refused": `{"errors":[{"message":"no"}]}`,
		"name":    `{"data":{"name":"onhand"}}`,
	} {
		body := `{"query":"{ ` + query + ` }"}`

		p := b.connect(t)
		p.send(`{"id":"1","type":"subscribe","payload":` + body + `}`)
		assert.Equal(t, `{"id":"1","type":"next","payload":`+want+`}`, p.read())
		p.wants(`{"id":"1","type":"complete"}`)

		assert.Equal(t, ":\n\nevent: next\ndata: "+want+"\n\nevent: complete\ndata:\n\n", b.stream(t, body).rest())

		response, err := http.Post(b.url, "application/json", strings.NewReader(body))
		require.NoError(t, err)
		got, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, want, string(got))
		assert.Equal(t, http.StatusOK, response.StatusCode)
	}
}
