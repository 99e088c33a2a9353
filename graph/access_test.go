package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph"
	"onhand/graph/access"
	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/graph/transport"
	"onhand/models"
)

// schemaOf is the schema that the server was generated from.
func schemaOf() *ast.Schema { return generated.NewExecutableSchema(generated.Config{}).Schema() }

// rootsOf are the three root types.
func rootsOf(schema *ast.Schema) []*ast.Definition {
	return []*ast.Definition{schema.Query, schema.Mutation, schema.Subscription}
}

// isIntrospection reports whether a field is not one of ours.
func isIntrospection(field *ast.FieldDefinition) bool { return strings.HasPrefix(field.Name, "__") }

// TestAccessRules: every root field has one rule, no field has two, and a field that can be
// refused is nullable. So is every field of a subscription but its only one.
func TestAccessRules(t *testing.T) {
	t.Parallel()
	schema := schemaOf()
	for _, definition := range schema.Types {
		for _, field := range definition.Fields {
			coordinate := definition.Name + "." + field.Name
			var marks []string
			for _, directive := range field.Directives {
				if slices.Contains([]string{"requiresScopes", "authenticated", "anonymous"}, directive.Name) {
					marks = append(marks, directive.Name)
				}
			}
			if slices.Contains(rootsOf(schema), definition) && !isIntrospection(field) {
				assert.Len(t, marks, 1, "%s must say who may use it: @anonymous, @authenticated or @requiresScopes", coordinate)
			}
			assert.LessOrEqual(t, len(marks), 1, coordinate)
			refusable := len(marks) == 1 && marks[0] != "anonymous"
			if refusable && definition != schema.Subscription {
				assert.False(t, field.Type.NonNull, "%s can be refused, so it must be nullable", coordinate)
			}
		}
	}
	for coordinate, rule := range access.NewTable(schema) {
		for _, scope := range slices.Concat(rule.Scopes...) {
			assert.Contains(t, guard.Scopes, guard.Scope(scope), coordinate)
		}
		if rule.Anonymous != "" {
			assert.Contains(t, []guard.AnonymousUse{guard.AnonymousReading, guard.AnonymousReserving}, rule.Anonymous, coordinate)
		}
	}
}

// TestProtectedTypes: these types can be had through protected fields only. `node` and
// `_entities` return interfaces and unions; they check the rule of each object.
func TestProtectedTypes(t *testing.T) {
	t.Parallel()
	schema := schemaOf()
	table := access.NewTable(schema)
	open := map[string]bool{}
	var visit func(definition *ast.Definition)
	visit = func(definition *ast.Definition) {
		if definition == nil || open[definition.Name] {
			return
		}
		open[definition.Name] = true
		for _, field := range definition.Fields {
			if rule, has := table[definition.Name+"."+field.Name]; !has || rule.Anonymous != "" {
				visit(schema.Types[field.Type.Name()])
			}
		}
	}
	for _, root := range rootsOf(schema) {
		visit(root)
	}
	var protected []string
	for _, definition := range schema.Types {
		if definition.Kind == ast.Object && !open[definition.Name] && !strings.HasPrefix(definition.Name, "__") && !strings.HasSuffix(definition.Name, "Error") {
			protected = append(protected, definition.Name)
		}
	}
	slices.Sort(protected)
	assert.Equal(t, []string{
		"AuditDifferenceCount", "AuditOperations", "DatabaseOperations", "InstanceOperations", "NearCacheOperations", "Operations", "RedisOperations", "RelayOperations",
		"ReservationConnection", "ReservationEdge", "SharedOperations", "StockHistory", "StockHistoryLevel", "StockHistoryPoint", "StockLevel", "StockMovement", "StockMovementChange", "StockMovementConnection", "StockMovementEdge",
		"StockPayload", "StockStatusChange", "UpsertChannelsPayload", "UpsertLocationsPayload", "UpsertProductsPayload",
	}, protected)
}

// refusedField is a field, or an argument, with an operation that uses it.
type refusedField struct {
	coordinate string
	rule       access.Rule
	operation  string
	path       []string // of the field in the answer
}

// accessWalk makes an operation for each rule of the schema.
type accessWalk struct {
	t      *testing.T
	schema *ast.Schema
}

// accessPaths lead from a root field to the objects that have protected fields.
var accessPaths = map[string][]string{
	"Stock": {"stock"}, "StockMovement": {"stockMovements", "nodes"},
}

// inputPaths are the queries that take an input with protected fields, or an enum with
// protected values, and their arguments.
var inputPaths = map[string][2]string{"ProductFilter": {"products", "filter"}, "ProductOrder": {"products", "orderBy"}}

func (w *accessWalk) operations() (all []refusedField) {
	table := access.NewTable(w.schema)
	for _, coordinate := range slices.Sorted(maps.Keys(table)) {
		typeName, rest, _ := strings.Cut(coordinate, ".")
		fieldName, argument, _ := strings.Cut(strings.TrimSuffix(rest, ":)"), "(")
		definition := w.schema.Types[typeName]
		field := definition.Fields.ForName(fieldName)
		if definition.IsInputType() {
			require.Contains(w.t, inputPaths, typeName, "inputPaths must say which query takes a %s", typeName)
			query, value := inputPaths[typeName], fieldName
			if definition.Kind == ast.InputObject {
				value = "{" + fieldName + ": " + w.literal(fieldName, field.Type) + "}"
			}
			operation := fmt.Sprintf("query { %s(%s: %s) { __typename } }", query[0], query[1], value)
			all = append(all, refusedField{coordinate, table[coordinate], operation, query[:1]})
			continue
		}
		selection := w.field(field, argument)
		path := []string{fieldName}
		root := definition
		if above := accessPaths[typeName]; above != nil {
			root = w.schema.Query
			path = append(slices.Clone(above), fieldName)
			for i := len(above) - 1; i > 0; i-- {
				selection = above[i] + " { __typename " + selection + " }"
			}
			selection = strings.Replace(w.field(w.schema.Query.Fields.ForName(above[0]), ""), "__typename", "__typename "+selection, 1)
		} else {
			require.Contains(w.t, rootsOf(w.schema), definition, "accessPaths must say how to reach %s", typeName)
		}
		all = append(all, refusedField{coordinate, table[coordinate], strings.ToLower(root.Name) + " { " + selection + " }", path})
	}
	return all
}

// field is a selection of a field, with its required arguments and perhaps another one.
func (w *accessWalk) field(field *ast.FieldDefinition, argument string) string {
	var arguments []string
	for _, a := range field.Arguments {
		if a.Type.NonNull && a.DefaultValue == nil || a.Name == argument {
			arguments = append(arguments, a.Name+": "+w.literal(a.Name, a.Type))
		}
	}
	selection := field.Name
	if len(arguments) > 0 {
		selection += "(" + strings.Join(arguments, ", ") + ")"
	}
	if definition := w.schema.Types[field.Type.Name()]; definition.IsCompositeType() {
		selection += " { __typename }"
	}
	return selection
}

// literal is a value of a type. It need not be one that is accepted.
func (w *accessWalk) literal(name string, of *ast.Type) string {
	if of.Elem != nil {
		return "[" + w.literal(name, of.Elem) + "]"
	}
	switch definition := w.schema.Types[of.Name()]; {
	case definition.Kind == ast.Enum:
		return definition.EnumValues[0].Name
	case definition.Kind == ast.InputObject:
		var fields []string
		for _, field := range definition.Fields {
			if field.Type.NonNull && field.DefaultValue == nil {
				fields = append(fields, field.Name+": "+w.literal(field.Name, field.Type))
			}
		}
		return "{" + strings.Join(fields, ", ") + "}"
	case of.Name() == "Int" || of.Name() == "BigInt":
		return "1"
	case of.Name() == "Boolean":
		return "true"
	case of.Name() == "Time":
		return `"2030-01-01T00:00:00Z"`
	}
	return `"22423"`
}

// without is all scopes but those of a rule.
func without(rule access.Rule) (scopes []guard.Scope) {
	for _, scope := range guard.Scopes {
		if !slices.Contains(slices.Concat(rule.Scopes...), string(scope)) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// accessCaller is a caller of an operation, and what the operation must answer.
type accessCaller struct {
	name string
	with func(ctx context.Context) context.Context
	want models.Code // empty: it is not refused
}

func callersOf(rule access.Rule) []accessCaller {
	token := func(scopes ...guard.Scope) func(context.Context) context.Context {
		return func(ctx context.Context) context.Context {
			return guard.WithIdentity(guard.WithTokensConfigured(ctx, guard.AnonymousReading, guard.AnonymousReserving), guard.Identity{Subject: "s", Scopes: scopes})
		}
	}
	strict := func(ctx context.Context) context.Context {
		return guard.WithTokensConfigured(ctx, guard.AnonymousReading, guard.AnonymousReserving)
	}
	lenient := func(ctx context.Context) context.Context { return guard.WithTokensConfigured(ctx) }
	if rule.Anonymous != "" {
		return []accessCaller{
			{"no token", lenient, ""}, {"no token, setting off", strict, models.CodeUnauthenticated}, {"token without scopes", token(), ""},
		}
	}
	if rule.Scopes == nil {
		return []accessCaller{{"no token", lenient, models.CodeUnauthenticated}, {"token without scopes", token(), ""}}
	}
	return []accessCaller{
		{"no token", lenient, models.CodeUnauthenticated}, {"token without scopes", token(), models.CodeForbidden},
		{"other scopes", token(without(rule)...), models.CodeForbidden}, {"all scopes", token(guard.Scopes...), ""},
	}
}

// TestEveryRule walks the schema: each field that has a rule behaves as the rule says, for
// callers without a token, without the scope and with it. gqlgen's executor and compiled
// operations answer the same, and a refused field is null beside the others.
func TestEveryRule(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	other := graph.Handler(graph.HandlerConfig{
		Resolver: &graph.Resolver{Store: uncachedStore{s.store}, Log: slog.New(slog.DiscardHandler)}, Closing: transport.NewClosing(), Interpreted: !interpreted,
	})
	walk := accessWalk{t: t, schema: schemaOf()}
	seen := 0
	for _, f := range walk.operations() {
		for _, caller := range callersOf(f.rule) {
			if strings.HasPrefix(f.operation, "subscription") {
				continue // TestEveryRuleOfSubscriptions
			}
			seen++
			name := f.coordinate + ", " + caller.name + ": " + f.operation
			var answers []string
			for _, api := range []http.Handler{s.api, s.api, other, other} {
				answer := accessAnswer(t, api, caller, f.operation)
				answers = append(answers, answer)
				f.check(t, answer, caller.want, name)
			}
			if strings.HasPrefix(f.operation, "query") && caller.want != "" {
				assert.Len(t, slices.Compact(answers), 1, name)
			}
		}
	}
	assert.Greater(t, seen, 80)
}

// accessAnswer is the answer that a caller gets to an operation.
func accessAnswer(t *testing.T, api http.Handler, caller accessCaller, operation string) string {
	t.Helper()
	raw, err := json.Marshal(request{Query: operation})
	require.NoError(t, err)
	r := httptest.NewRequestWithContext(caller.with(t.Context()), http.MethodPost, "/graphql", bytes.NewReader(raw))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	return w.Body.String()
}

// check checks that an answer refuses the field, and only the field, with a code; or that
// it does not refuse it.
func (f refusedField) check(t *testing.T, answer string, want models.Code, name string) {
	t.Helper()
	var got struct {
		Data   map[string]any
		Errors []struct {
			Path       []any
			Extensions struct{ Code models.Code }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(answer), &got), name)
	var refused []models.Code
	for _, e := range got.Errors {
		if e.Extensions.Code == models.CodeUnauthenticated || e.Extensions.Code == models.CodeForbidden {
			refused = append(refused, e.Extensions.Code)
			var path []string
			for _, step := range e.Path {
				if text, ok := step.(string); ok {
					path = append(path, text)
				}
			}
			above := len(path) < len(f.path) // such as stockMovements, without which no movement can be seen
			assert.True(t, slices.Equal(path, f.path) || above && want != "" && slices.Equal(path, f.path[:len(path)]), "%s: %v", name, path)
		}
	}
	if want == "" {
		assert.Empty(t, refused, name)
		return
	}
	assert.NotEmpty(t, refused, "%s: %s", name, answer)
	for _, code := range refused {
		assert.Equal(t, want, code, name)
	}
	if field := f.path[len(f.path)-1]; len(f.path) == 2 && want == models.CodeForbidden {
		object, _ := got.Data[f.path[0]].(map[string]any)
		require.NotNil(t, object, "%s: %s", name, answer)
		assert.Nil(t, object[field], name)
		assert.NotEmpty(t, object["__typename"], name)
	}
}

// TestEveryRuleOfSubscriptions: the same for subscriptions, over event streams. A caller
// that is not refused reaches the store.
func TestEveryRuleOfSubscriptions(t *testing.T) {
	t.Parallel()
	walk := accessWalk{t: t, schema: schemaOf()}
	seen := 0
	for _, f := range walk.operations() {
		for _, caller := range callersOf(f.rule) {
			if !strings.HasPrefix(f.operation, "subscription") {
				continue
			}
			seen++
			name := f.coordinate + ", " + caller.name
			reached := make(chan struct{}, 1)
			reach := func() { reached <- struct{}{} }
			store := &fakeStore{
				watch: func(context.Context) (models.Watch[*models.Stock], error) {
					reach()
					return newFakeWatch(stockOf("22423", 1)), nil
				},
				reservations: func(context.Context) (models.Watch[*models.Reservation], error) {
					reach()
					return newFakeWatch[*models.Reservation](), nil
				},
				statuses: func() (models.Watch[*models.StockStatusChange], error) {
					reach()
					return newFakeWatch[*models.StockStatusChange](), nil
				},
				moved: func(string) (models.Watch[*models.StockMovement], error) {
					reach()
					return newFakeWatch[*models.StockMovement](), nil
				},
			}
			api := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				apiOver(store).ServeHTTP(rw, r.WithContext(caller.with(r.Context())))
			})
			w := watch(t, api, f.operation)
			if caller.want == "" {
				<-reached
				continue
			}
			f.checkEvent(t, w, caller.want, name)
			assert.Empty(t, reached, name)
		}
	}
	assert.Greater(t, seen, 10)
}

func (f refusedField) checkEvent(t *testing.T, w *watcher, want models.Code, name string) {
	t.Helper()
	event := w.next()
	assert.Contains(t, event, `"code":"`+string(want)+`"`, name)
	assert.Equal(t, "complete", w.next(), name)
}

// TestPushedSubscriptionsAreChecked: a subscription that selects a protected field gets
// null and the error with each event, over a WebSocket and where events are pushed too.
func TestPushedSubscriptionsAreChecked(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	query := `subscription { stockChanged(productIds: ["22423"]) { productId quantityAvailable onHand levels { available } } }`
	for name, test := range map[string]struct {
		scopes []guard.Scope
		want   string
	}{
		"anonymous": {nil, "UNAUTHENTICATED"},
		"stranger":  {[]guard.Scope{guard.WriteInventory}, "FORBIDDEN"},
		"reader":    {[]guard.Scope{guard.ReadInventory}, ""},
	} {
		api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if test.scopes != nil {
				r = r.WithContext(guard.WithIdentity(r.Context(), guard.Identity{Subject: name, Scopes: test.scopes}))
			}
			s.api.ServeHTTP(w, r)
		})
		event := watch(t, api, query).next()
		assert.Contains(t, event, `"quantityAvailable":58`, name)
		if test.want == "" {
			assert.NotContains(t, event, "errors", name)
			continue
		}
		assert.Contains(t, event, `"onHand":null,"levels":null`, name)
		assert.Equal(t, 2, strings.Count(event, `"code":"`+test.want+`"`), event)
		assert.Contains(t, event, `"path":["stockChanged","onHand"]`, name)
	}
}

// TestNodesAreChecked: an object is as protected by its global id as by its field, whether
// it exists or not.
func TestNodesAreChecked(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, body := post(t, s.api, "", request{Query: `{ stock(productId: "22423") { levels { id } } stockMovements(first: 1) { nodes { id } } }`})
	var found struct {
		Data struct {
			Stock          struct{ Levels []struct{ ID string } }
			StockMovements struct{ Nodes []struct{ ID string } }
		}
	}
	require.NoError(t, json.Unmarshal(body, &found))
	for name, id := range map[string]string{
		"level": found.Data.Stock.Levels[0].ID, "movement": found.Data.StockMovements.Nodes[0].ID, "unknown": "onhand:StockLevel:YQ.bG9uZG9u",
	} {
		for as, want := range map[string]string{"anonymous": "UNAUTHENTICATED", "orders": "FORBIDDEN", "reader": ""} {
			for range 2 {
				_, body := post(t, s.api, as, request{Query: `query($id: ID!) { node(id: $id) { id } }`, Variables: map[string]any{"id": id}})
				if want == "" {
					assert.NotContains(t, string(body), "errors", name)
				} else {
					assert.Contains(t, string(body), want, name)
				}
			}
		}
	}
}
