package shoppers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// client sends GraphQL operations to a handler of this process.
type client struct {
	handler http.Handler
	host    string // that the server answers to
	token   string // empty for none
}

// refusal is a business error of a payload.
type refusal struct {
	Code    string
	Message string
}

// errRefused ends an attempt: the server did not do what was asked.
var errRefused = errors.New("refused")

// ask sends one operation and decodes its data into answer.
//
// Errors: any top-level error of GraphQL, and an answer that is no JSON.
func (c *client) ask(ctx context.Context, document string, variables map[string]any, answer any) error {
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.host+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.RequestURI, request.RemoteAddr = "/graphql", "127.0.0.1:0"
	request.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	recorded := &recorder{header: http.Header{}, status: http.StatusOK}
	c.handler.ServeHTTP(recorded, request)
	var reply struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal(recorded.body.Bytes(), &reply); err != nil {
		return fmt.Errorf("status %d: %w", recorded.status, err)
	}
	if len(reply.Errors) > 0 {
		return errors.New(reply.Errors[0].Message)
	}
	return json.Unmarshal(reply.Data, answer)
}

// recorder is an http.ResponseWriter that keeps the answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) { r.status = status }
