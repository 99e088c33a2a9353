package transport

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOnlyWhatWasExecutedHasData: over each transport, a refusal has no "data",
// and an execution that came to nothing says null.
func TestOnlyWhatWasExecutedHasData(t *testing.T) {
	t.Parallel()
	b := newBench(t, patient)
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
		assert.Equal(t, query == "refused", response.StatusCode == http.StatusUnprocessableEntity)
	}
}

// TestManyMistakesAreToldInPart: over a socket, too.
func TestManyMistakesAreToldInPart(t *testing.T) {
	t.Parallel()
	p := newBench(t, patient).connect(t)
	p.send(`{"id":"1","type":"subscribe","payload":{"query":"{ ` + strings.Repeat("nothing ", 50) + `}"}}`)
	answer := p.read()
	assert.Contains(t, answer, `{"id":"1","type":"error","payload":[`)
	assert.Equal(t, errorsMax, strings.Count(answer, `"message"`))
}
