package securitylog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/graph/guard"
	"onhand/graph/securitylog"
	"onhand/models"
)

// logged returns the lines of one response.
func logged(t *testing.T, ctx context.Context, kind ast.Operation, field string, codes ...models.Code) (lines []map[string]any) {
	t.Helper()
	var out bytes.Buffer
	log := securitylog.New(slog.New(slog.NewJSONHandler(&out, nil)))
	ctx = graphql.WithOperationContext(ctx, &graphql.OperationContext{
		Operation: &ast.OperationDefinition{Operation: kind, Name: strings.Repeat("n", 200), SelectionSet: ast.SelectionSet{&ast.Field{Name: field}}},
	})
	response := &graphql.Response{}
	for _, code := range codes {
		response.Errors = append(response.Errors, &gqlerror.Error{Extensions: map[string]any{"code": string(code)}})
	}
	require.Same(t, response, log.InterceptResponse(ctx, func(context.Context) *graphql.Response { return response }))
	for line := range strings.Lines(out.String()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		lines = append(lines, fields)
	}
	return lines
}

// TestFieldsOfFragments: a fragment hides no field from the log.
func TestFieldsOfFragments(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := securitylog.New(slog.New(slog.NewJSONHandler(&out, nil)))
	erp := guard.WithIdentity(guard.WithTokensConfigured(t.Context()), guard.Identity{Subject: "erp", Scopes: []guard.Scope{guard.WriteInventory}})
	inner := ast.SelectionSet{&ast.InlineFragment{SelectionSet: ast.SelectionSet{&ast.Field{Name: "setStock"}}}}
	spread := &ast.FragmentSpread{Name: "F", Definition: &ast.FragmentDefinition{Name: "F", SelectionSet: inner}}
	ctx := graphql.WithOperationContext(erp, &graphql.OperationContext{Operation: &ast.OperationDefinition{Operation: ast.Mutation, SelectionSet: ast.SelectionSet{spread, spread}}})
	log.InterceptResponse(ctx, func(context.Context) *graphql.Response { return &graphql.Response{} })
	assert.Contains(t, out.String(), `"fields":["setStock"]`)
}

// TestLines: a refusal is logged, and a write with a scope. What anybody may do is not.
func TestLines(t *testing.T) {
	t.Parallel()
	anonymous := guard.WithTokensConfigured(t.Context())
	shopper := guard.WithIdentity(anonymous, guard.Identity{Subject: "shopper"})
	erp := guard.WithIdentity(anonymous, guard.Identity{Subject: "erp", Scopes: []guard.Scope{guard.WriteInventory}})
	operator := guard.WithIdentity(anonymous, guard.Identity{Subject: "operator", Scopes: []guard.Scope{guard.Admin}})
	for name, test := range map[string]struct {
		ctx     context.Context
		kind    ast.Operation
		field   string
		codes   []models.Code
		message string
	}{
		"a stranger reads":           {anonymous, ast.Query, "stock", nil, ""},
		"a stranger reserves":        {anonymous, ast.Mutation, "reserveStock", nil, ""},
		"a shopper reserves":         {shopper, ast.Mutation, "reserveStock", nil, ""},
		"a write":                    {erp, ast.Mutation, "setStock", nil, "privileged operation"},
		"a failed write":             {erp, ast.Mutation, "setStock", []models.Code{models.CodeInternal}, "privileged operation"},
		"a read with a scope":        {erp, ast.Query, "stockMovements", nil, ""},
		"the schema":                 {operator, ast.Query, "__schema", nil, "privileged operation"},
		"a write without tokens":     {t.Context(), ast.Mutation, "setStock", nil, ""},
		"no token":                   {anonymous, ast.Query, "stockMovements", []models.Code{models.CodeUnauthenticated}, "refused"},
		"no scope, often":            {shopper, ast.Query, "stock", []models.Code{models.CodeForbidden, models.CodeForbidden}, "refused"},
		"too often":                  {shopper, ast.Subscription, "stockChanged", []models.Code{models.CodeRateLimited}, "refused"},
		"an input that is not valid": {shopper, ast.Query, "stock", []models.Code{models.CodeBadUserInput}, ""},
	} {
		lines := logged(t, test.ctx, test.kind, test.field, test.codes...)
		if test.message == "" {
			assert.Empty(t, lines, name)
			continue
		}
		require.Len(t, lines, 1, name)
		assert.Equal(t, test.message, lines[0]["msg"], name)
		assert.Equal(t, guard.Subject(test.ctx), lines[0]["subject"], name)
		assert.Equal(t, []any{test.field}, lines[0]["fields"], name)
		assert.Len(t, lines[0]["name"], 100, name)
		if test.message == "refused" {
			assert.Equal(t, []any{string(test.codes[0])}, lines[0]["codes"], name)
		}
	}
}

// TestRefusalsAreBounded: refusals do not fill the log, and none is forgotten.
func TestRefusalsAreBounded(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := securitylog.New(slog.New(slog.NewJSONHandler(&out, nil)))
	const refusals = 10_000
	for range refusals {
		log.RefusedRequest(t.Context(), &models.Fault{Code: models.CodeUnauthenticated, Message: "the token is not valid"})
	}
	log.RefusedRequest(t.Context(), &models.Fault{Code: models.CodeUnavailable, Message: "no refusal"})
	lines := strings.Count(out.String(), "\n")
	assert.Greater(t, lines, 10)
	assert.Less(t, lines, 1_000)
	assert.NotContains(t, out.String(), "no refusal")
}
