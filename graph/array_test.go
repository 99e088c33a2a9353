package graph_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/graph/persisted"
	"onhand/models"
)

func array(documents ...string) string {
	requests := make([]request, len(documents))
	for i, document := range documents {
		requests[i].Query = document
	}
	raw, _ := json.Marshal(requests) // texts cannot fail
	return string(raw)
}

// TestArray: each request of an array has its answer in the same place, with the errors
// and data of its own.
func TestArray(t *testing.T) {
	t.Parallel()
	f := &fakeStore{stocks: func(ids []string) ([]*models.Stock, error) {
		if ids[0] == "down" {
			return nil, models.Unavailable("later", nil)
		}
		return known(ids)
	}}
	hash := persisted.Hash(names)
	body := `[{"query":"query Q($id: ID!) { stock(productId: $id) { productId } }","variables":{"id":"a"},"operationName":"Q"},
		{"query":"{ price }"}, {"query":"{ stock(productId: \"down\") { id } }"}, ` + persistedRequest(t, "", hash) + `,
		{"query":"subscription { stockChanged(productIds: [\"a\"]) { id } }"}, {"query":"{ locations { name } }"}, ` + persistedRequest(t, names, hash) + `]`
	w := send(t, apiOver(f), someone, body, http.Header{"Accept": {"application/graphql-response+json, application/json;q=0.9"}})
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
	assert.Equal(t, "private, no-store", w.Header().Get("Cache-Control"))
	var answers []json.RawMessage
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answers), "%s", w.Body)
	require.Len(t, answers, 7)
	assert.JSONEq(t, `{"data":{"stock":{"productId":"a"}}}`, string(answers[0]))
	assert.Contains(t, string(answers[1]), "GRAPHQL_VALIDATION_FAILED")
	assert.Contains(t, string(answers[2]), `"code":"UNAVAILABLE"`)
	assert.Contains(t, string(answers[2]), `"data":{"stock":null}`)
	assert.JSONEq(t, notFound, string(answers[3]))
	assert.Contains(t, string(answers[4]), "subscriptions need a WebSocket")
	for _, refused := range []int{1, 3, 4} {
		assert.NotContains(t, string(answers[refused]), `"data"`)
	}
	assert.JSONEq(t, namesAnswer, string(answers[5]))
	assert.JSONEq(t, namesAnswer, string(answers[6]))
}

// TestArrayRefusals: an array that is no array of requests, or is too much together, is
// refused whole, and nothing of it is executed.
func TestArrayRefusals(t *testing.T) {
	t.Parallel()
	const write = `mutation { releaseReservation(input: {id: "r"}) { replayed } }`
	many := func(n int, document string) string {
		return array(append([]string{write}, strings.Split(strings.Repeat(document+"\n", n), "\n")[:n]...)...)
	}
	for name, test := range map[string]struct {
		body, message string
		status        int
	}{
		"empty":           {`[]`, "the array has no request", 400},
		"not closed":      {strings.TrimSuffix(array(write), "]"), "no array of GraphQL requests", 400},
		"more after it":   {array(write) + "1", "no array of GraphQL requests", 400},
		"two arrays":      {array(write) + array(write), "no array of GraphQL requests", 400},
		"null":            {`[{"query":"` + strings.ReplaceAll(write, `"`, `\"`) + `"},null]`, "request 1 of the array is no GraphQL request", 400},
		"a text":          {`["{ locations { id } }"]`, "request 0 of the array is no GraphQL request", 400},
		"an array":        {`[[]]`, "request 0 of the array is no GraphQL request", 400},
		"bad variables":   {`[{"query":"{ locations { id } }","variables":[]}]`, "request 0 of the array is no GraphQL request", 400},
		"no document":     {array(write, ""), "request 1 of the array has no document", 400},
		"too many":        {many(guard.ArrayRequestsMax, names), "an array has at most 20 requests", 400},
		"too complex":     {many(2, `{ products(first: 250) { nodes { `+strings.Repeat("title id ", 30)+` } } }`), "together at most a complexity of 30000", 422},
		"too large":       {many(4, "{ "+strings.Repeat("locations { id } channels { id } __typename ", 50)+"}"), "together at most 1000 selections", 422},
		"invalid, large":  {many(6, unknownFields(200)), "together at most 1000 selections", 422},
		"larger than one": {array(write) + strings.Repeat(" ", guard.BodyBytesMax), "larger than 1 MiB", 413},
	} {
		f := &fakeStore{write: func(models.Write) (models.WriteResult, error) {
			assert.Fail(t, "executed", name)
			return models.WriteResult{}, nil
		}}
		w := send(t, apiOver(f), someone, test.body, nil)
		assert.Equal(t, test.status, w.Code, "%s: %s", name, w.Body)
		var r reply
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &r), "%s: %s", name, w.Body)
		require.Len(t, r.Errors, 1, name)
		assert.Contains(t, r.Errors[0].Message, test.message, name)
		assert.Equal(t, "BAD_USER_INPUT", r.Errors[0].Extensions["code"], name)
		assert.Nil(t, r.Data, name)
	}
	most := array(strings.Split(strings.Repeat(names+"\n", guard.ArrayRequestsMax), "\n")[:guard.ArrayRequestsMax]...)
	assert.Equal(t, guard.ArrayRequestsMax, strings.Count(send(t, apiOver(&fakeStore{}), someone, most, nil).Body.String(), "London"))
}

// TestArrayOrder: mutations run one by one in their order. A query sees the mutations
// before it, and none of those after it. Queries between two mutations run concurrently.
func TestArrayOrder(t *testing.T) {
	t.Parallel()
	var version atomic.Int64
	reading := newRounds()
	f := &fakeStore{
		stocks: func(ids []string) ([]*models.Stock, error) {
			reading.wait(t)
			return []*models.Stock{stockOf(ids[0], version.Load())}, nil
		},
		write: func(models.Write) (models.WriteResult, error) {
			version.Add(1)
			return models.WriteResult{}, nil
		},
	}
	const read, write = `{ stock(productId: "a") { version } }`, `mutation { adjustStock(input: {idempotencyKey: "k", reason: OTHER, rows: []}) { replayed } }`
	w := send(t, guard.Local(apiOver(f)), someone, array(read, read, read, write, read, read, read, write, write, read, read, read), nil)
	var got []string
	var answers []json.RawMessage
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answers), "%s", w.Body)
	for _, answer := range answers {
		got = append(got, string(answer))
	}
	done := `{"data":{"adjustStock":{"replayed":false}}}`
	at := func(version int) string { return fmt.Sprintf(`{"data":{"stock":{"version":%d}}}`, version) }
	assert.Equal(t, []string{at(0), at(0), at(0), done, at(1), at(1), at(1), done, done, at(3), at(3), at(3)}, got)
}

// rounds lets three goroutines continue once all three wait.
type rounds struct {
	waiting atomic.Int64
	full    [3]chan struct{}
}

func newRounds() *rounds {
	return &rounds{full: [3]chan struct{}{make(chan struct{}), make(chan struct{}), make(chan struct{})}}
}

func (r *rounds) wait(t *testing.T) {
	n := r.waiting.Add(1)
	full := r.full[(n-1)/3]
	if n%3 == 0 {
		close(full)
	}
	select {
	case <-full:
	case <-time.After(patience):
		assert.Fail(t, "the queries do not run concurrently")
	}
}

// TestPanicInAnArray: a panic while one request is executed is its error, and the others
// are answered.
func TestPanicInAnArray(t *testing.T) {
	t.Parallel()
	f := &fakeStore{stocks: func([]string) ([]*models.Stock, error) { panic(errDriver) }}
	w := send(t, apiOver(f), someone, array(names, `{ stock(productId: "a") { id } }`, names), nil)
	var answers []reply
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answers), "%s", w.Body)
	require.Len(t, answers, 3)
	mustFail(t, answers[1], models.CodeInternal, "internal error")
	assert.Empty(t, answers[0].Errors)
	assert.Empty(t, answers[2].Errors)
}
