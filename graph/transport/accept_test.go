package transport

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
)

// urqlAccept is the Accept header of urql.
const urqlAccept = "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"

// TestAcceptance: which answer each Accept header asks for.
func TestAcceptance(t *testing.T) {
	t.Parallel()
	const plain, newer = mediaJSON, mediaGraphQL
	const never, subscriptions, everything = eventsNever, eventsForStreams, eventsForEverything
	for accept, want := range map[string]acceptance{
		"":                     {plain, true, never, false},
		"*/*":                  {plain, true, never, false},
		"application/*":        {plain, true, never, false},
		"application/json":     {plain, true, never, false},
		"image/png":            {plain, true, never, false},
		"not a media type":     {plain, true, never, false},
		"application/json;q=0": {plain, true, never, false},
		"text/html":            {plain, true, never, true},

		"application/graphql-response+json":                                 {newer, true, never, false},
		"application/graphql-response+json, application/json":               {newer, true, never, false},
		"application/json, application/graphql-response+json":               {plain, true, never, false},
		"application/json;q=0.9, application/graphql-response+json":         {newer, true, never, false},
		"application/graphql-response+json;q=0.9, application/json":         {plain, true, never, false},
		"application/graphql-response+json, application/json;q=0.9":         {newer, true, never, false},
		"application/graphql-response+json;q=0.5, */*;q=0.9":                {plain, true, never, false},
		"*/*, application/graphql-response+json":                            {newer, true, never, false},
		"*/*;q=0.9, application/json;q=0":                                   {newer, true, never, false},
		"application/json; charset=utf-8":                                   {plain, true, never, false},
		"APPLICATION/GraphQL-Response+JSON":                                 {newer, true, never, false},
		"application/json;q=2, application/graphql-response+json;q=0.1":     {newer, true, never, false},
		"application/json;q=x, application/graphql-response+json;q=0.1":     {newer, true, never, false},
		"application/json;q=NaN, application/graphql-response+json;q=0.1":   {newer, true, never, false},
		"multipart/mixed;deferSpec=20220824, application/json":              {plain, true, never, false},
		`multipart/mixed;boundary="graphql";subscriptionSpec=1.0,*/*;q=0.1`: {plain, true, never, false},
		"multipart/mixed": {plain, true, never, false},
		"text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8": {plain, true, never, true},
		"application/json, text/html":                                        {plain, true, never, false},
		"text/html;q=0.5, application/json;q=0.4":                            {plain, true, never, true},
		"text/html;q=0": {plain, true, never, false},
		"text/html, application/graphql-response+json;q=0.9, application/json;q=0.8": {newer, true, never, true},

		"text/event-stream":                                    {plain, false, everything, false},
		"TEXT/Event-Stream; charset=utf-8":                     {plain, false, everything, false},
		"text/event-stream;q=0.1":                              {plain, false, everything, false},
		"text/event-stream;q=0":                                {plain, true, never, false},
		"text/*":                                               {plain, true, never, false},
		"text/event-stream, */*":                               {plain, true, everything, false},
		"*/*, text/event-stream":                               {plain, true, everything, false},
		"text/event-stream, */*;q=0":                           {plain, false, everything, false},
		"text/event-stream;q=0.5, */*":                         {plain, true, subscriptions, false},
		"text/event-stream, application/json":                  {plain, true, everything, false},
		"application/json, text/event-stream":                  {plain, true, subscriptions, false},
		"application/json;q=0.5, text/event-stream":            {plain, true, everything, false},
		"text/event-stream;q=0.5, application/json":            {plain, true, subscriptions, false},
		"application/json, text/event-stream;q=0":              {plain, true, never, false},
		"application/json;q=0, text/event-stream":              {plain, false, everything, false},
		"application/graphql-response+json, text/event-stream": {newer, true, subscriptions, false},
		"multipart/mixed, text/event-stream":                   {plain, false, everything, false},
		urqlAccept:                                             {newer, true, subscriptions, false},
		strings.ReplaceAll(urqlAccept, " ", ""):                {newer, true, subscriptions, false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
		r.Header.Set("Accept", accept)
		got := acceptanceOf(r)
		assert.Equal(t, want, got, accept)
		assert.Equal(t, want.events == everything, PrefersEvents(r))
	}
}

// TestAcceptInSeveralLines: the lines of a header are one list.
func TestAcceptInSeveralLines(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
	r.Header["Accept"] = strings.Split(urqlAccept, ", ")
	assert.Equal(t, acceptance{mediaGraphQL, true, eventsForStreams, false}, acceptanceOf(r))
}

// TestKnownAcceptances: a bounded number of values is kept, and the others are read each time.
func TestKnownAcceptances(t *testing.T) {
	t.Parallel()
	var known acceptances
	for i := range 2 * acceptancesMax {
		known.add(strconv.Itoa(i), acceptance{kind: mediaJSON})
	}
	known.add(strings.Repeat("x", acceptBytesMax+1), acceptance{})
	assert.Len(t, known.all(), acceptancesMax)
	assert.Contains(t, known.all(), "0")
}

// TestLength: an answer has its length, whatever it is, and is not sent in chunks.
func TestLength(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.RawQuery)
		answer(w, r, mediaJSON, &graphql.Response{Data: []byte(`"` + strings.Repeat("x", n) + `"`)})
	}))
	t.Cleanup(server.Close)
	for _, n := range []int{0, 1, lengthBytesMax - 30, lengthBytesMax, pooledBytesMax, 2 * pooledBytesMax, 3} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"?"+strconv.Itoa(n), http.NoBody)
		require.NoError(t, err)
		request.Header.Set("Accept-Encoding", "identity")
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, errors.Join(err, response.Body.Close()))
		assert.Equal(t, `{"data":"`+strings.Repeat("x", n)+`"}`, string(body))
		assert.EqualValues(t, len(body), response.ContentLength)
	}
}

// TestBodiesOfAnySize: a body is read whole, whether its length is known or not.
func TestBodiesOfAnySize(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, bufferBytes - 1, bufferBytes, bufferBytes + 1, pooledBytesMax, 5 * pooledBytesMax} {
		sent := bytes.Repeat([]byte("x"), n)
		for _, size := range []int64{int64(n), -1} {
			b := takeBuffer()
			require.NoError(t, b.readFrom(iotest.HalfReader(bytes.NewReader(sent)), size))
			assert.Equal(t, string(sent), string(b.bytes))
			b.giveBack()
		}
	}
	b := takeBuffer()
	require.ErrorIs(t, b.readFrom(iotest.ErrReader(io.ErrUnexpectedEOF), guard.BodyBytesMax), io.ErrUnexpectedEOF)
	assert.LessOrEqual(t, cap(b.bytes), pooledBytesMax, "memory for what has not arrived")
}

// TestAnswerTypes: the operation and the Accept header decide which answer a POST gets.
func TestAnswerTypes(t *testing.T) {
	t.Parallel()
	const (
		query        = `{"query":"{ name }"}`
		subscription = `{"query":"subscription { hello }"}`
		failing      = `{"query":"subscription { nothing }"}`
		array        = `[{"query":"{ name }"}]`
	)
	b := newTestServer(t, patient)
	for name, test := range map[string]struct {
		accept, body, kind string
		status             int
	}{
		"query":                                    {"", query, mediaJSON, 200},
		"query, any":                               {"*/*", query, mediaJSON, 200},
		"query, newer":                             {mediaGraphQL, query, mediaGraphQL, 200},
		"query, events":                            {mediaEvents, query, mediaEvents, 200},
		"query, urql":                              {urqlAccept, query, mediaGraphQL, 200},
		"query, JSON before events":                {"application/json, text/event-stream", query, mediaJSON, 200},
		"query, JSON over events":                  {"text/event-stream;q=0.9, application/json", query, mediaJSON, 200},
		"query, events over JSON":                  {"application/json;q=0.9, text/event-stream", query, mediaEvents, 200},
		"query, no events":                         {"text/event-stream;q=0", query, mediaJSON, 200},
		"subscription":                             {"", subscription, mediaJSON, 200}, // the small schema has no guard
		"subscription, events":                     {mediaEvents, subscription, mediaEvents, 200},
		"subscription, urql":                       {urqlAccept, subscription, mediaEvents, 200},
		"subscription, JSON before events":         {"application/json, text/event-stream", subscription, mediaEvents, 200},
		"subscription, JSON far before events":     {"application/json, text/event-stream;q=0.1", subscription, mediaEvents, 200},
		"subscription, no events":                  {"application/json, text/event-stream;q=0", subscription, mediaJSON, 200},
		"invalid subscription, events":             {mediaEvents, failing, mediaEvents, 200},
		"invalid subscription, urql":               {urqlAccept, failing, mediaGraphQL, 400},
		"invalid subscription, JSON before events": {"application/json, text/event-stream", failing, mediaJSON, 200},
		"array":                   {"", array, mediaJSON, 200},
		"array, newer":            {mediaGraphQL, array, mediaJSON, 200},
		"array, urql":             {urqlAccept, array, mediaJSON, 200},
		"array, events over JSON": {"application/json;q=0.9, text/event-stream", array, mediaJSON, 200},
		"array, events":           {mediaEvents, array, mediaJSON, 406},
		"no request, urql":        {urqlAccept, `{`, mediaJSON, 400},
		"no request, events":      {mediaEvents, `{`, mediaJSON, 400},
		"no document, urql":       {urqlAccept, `{}`, mediaJSON, 400},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url, strings.NewReader(test.body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", mediaJSON)
		r.Header.Set("Accept", test.accept)
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		assert.Equal(t, test.status, response.StatusCode, name)
		kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
		assert.Equal(t, test.kind, kind, name)
		if kind != mediaEvents {
			assert.Equal(t, "private, no-store", response.Header.Get("Cache-Control"), name)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			assert.Equal(t, test.body[0] == '[' && test.status == 200, body[0] == '[', name)
		}
		require.NoError(t, response.Body.Close())
	}
}
