package access_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/access"
	"onhand/graph/guard"
	"onhand/models"
)

// table is that of a schema with each kind of rule.
func table(t *testing.T) (access.Table, *ast.Schema) {
	t.Helper()
	schema, err := gqlparser.LoadSchema(&ast.Source{Input: `
		directive @authenticated on FIELD_DEFINITION
		directive @requiresScopes(scopes: [[String!]!]!) on FIELD_DEFINITION
		directive @argumentRequiresScopes(scopes: [[String!]!]!) on ARGUMENT_DEFINITION
		directive @anonymous(use: String!) on FIELD_DEFINITION
		type Query {
			read(at: Int @argumentRequiresScopes(scopes: [["admin"]])): Int @anonymous(use: "READING")
			mine: Int @authenticated
			orders: Int @requiresScopes(scopes: [["read:orders", "read:inventory"], ["admin"]])
			again: Int @anonymous(use: "READING")
			plain: Int
		}`})
	require.NoError(t, err)
	return access.NewTable(schema), schema
}

// TestTable: the rule of each coordinate, for each kind of caller.
func TestTable(t *testing.T) {
	t.Parallel()
	rules, _ := table(t)
	assert.Len(t, rules, 5)
	anonymous := guard.WithTokensConfigured(t.Context())
	strict := guard.WithTokensConfigured(t.Context(), guard.AnonymousReading)
	token := func(scopes ...guard.Scope) context.Context {
		return guard.WithIdentity(strict, guard.Identity{Subject: "s", Scopes: scopes})
	}
	for _, test := range []struct {
		ctx        context.Context
		coordinate string
		want       models.Code
	}{
		{anonymous, "Query.read", ""},
		{strict, "Query.read", models.CodeUnauthenticated},
		{token(), "Query.read", ""},
		{anonymous, "Query.read(at:)", models.CodeUnauthenticated},
		{token(guard.ReadInventory), "Query.read(at:)", models.CodeForbidden},
		{token(guard.Admin), "Query.read(at:)", ""},
		{anonymous, "Query.mine", models.CodeUnauthenticated},
		{token(), "Query.mine", ""},
		{anonymous, "Query.orders", models.CodeUnauthenticated},
		{token(guard.ReadOrders), "Query.orders", models.CodeForbidden},
		{token(guard.ReadInventory, guard.ReadOrders), "Query.orders", ""},
		{token(guard.Admin), "Query.orders", ""},
		{token(guard.Scopes...), "Query.plain", models.CodeInternal},
	} {
		err := rules.Check(test.ctx, test.coordinate)
		if test.want == "" {
			assert.NoError(t, err, test.coordinate)
		} else {
			assert.Equal(t, test.want, models.CodeOf(err), test.coordinate)
		}
	}
	assert.ErrorContains(t, rules.Check(token(), "Query.orders"), "this needs scope read:orders and read:inventory, or admin")
}

// TestOperationRules: an operation has each rule once, and is allowed to callers that break
// none.
func TestOperationRules(t *testing.T) {
	t.Parallel()
	_, schema := table(t)
	var rules access.Rules
	for _, field := range schema.Query.Fields {
		rules.Add(field)
	}
	rules.Add(nil)
	assert.Len(t, rules, 3)
	assert.False(t, rules.Allow(t.Context()))
	assert.False(t, rules.Allow(guard.WithIdentity(t.Context(), guard.Identity{Subject: "s"})))
	assert.True(t, rules.Allow(guard.WithIdentity(t.Context(), guard.Identity{Subject: "s", Scopes: guard.Scopes})))
}
