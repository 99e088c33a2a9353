package graph_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph"
	"onhand/graph/access"
	"onhand/graph/federation"
	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/graph/transport"
	"onhand/models"
	"onhand/models/ids"
	"onhand/models/poison"
)

// key is a representation, as a gateway sends it.
type key map[string]any

func keyOf(typeName, id string) key { return key{"__typename": typeName, "id": id} }

const (
	// pageQuery is what a gateway asks of a page of products, entitiesQuery of all types.
	pageQuery     = `query($representations: [_Any!]!) { _entities(representations: $representations) { ` + pageFields + ` } }`
	pageFields    = `__typename ... on Product { id tracked stock { id quantityAvailable } web: stock(channel: "web") { id } }`
	entitiesQuery = `query($representations: [_Any!]!) { _entities(representations: $representations) { ` + pageFields + `
	... on Stock { id productId version levels { id } } ... on Location { id locationId name } ... on Reservation { id state lines { quantity } } } }`
)

// bothExecutors has the API over a store, answered by compiled operations and by gqlgen's
// executor.
func bothExecutors(store graph.Store) map[string]http.Handler {
	both := map[string]http.Handler{}
	for name, interpreted := range map[string]bool{"compiled": false, "interpreted": true} {
		both[name] = graph.Handler(graph.HandlerConfig{
			Resolver: &graph.Resolver{Store: store, Log: slog.New(slog.DiscardHandler)}, Closing: transport.NewClosing(), Interpreted: interpreted,
		})
	}
	return both
}

// entitiesOf asks for entities twice, so that the second time the operation is compiled.
func entitiesOf(t *testing.T, api http.Handler, as string, keys ...any) (found []map[string]any, r reply) {
	t.Helper()
	query := entitiesQuery
	if len(keys) >= 100 {
		query = pageQuery
	}
	for range 2 {
		r = reply{}
		_, body := post(t, api, as, request{Query: query, Variables: map[string]any{"representations": keys}})
		require.NoError(t, json.Unmarshal(body, &r), "%s", body)
	}
	var data struct {
		Entities []map[string]any `json:"_entities"`
	}
	if r.Data != nil {
		require.NoError(t, json.Unmarshal(r.Data, &data))
	}
	return data.Entities, r
}

// failures are the errors of an answer by the index of their entity.
func failures(t *testing.T, r reply) map[int]string {
	t.Helper()
	codes := map[int]string{}
	for _, e := range r.Errors {
		require.Len(t, e.Path, 2, "%+v", e)
		require.Equal(t, "_entities", e.Path[0])
		codes[int(e.Path[1].(float64))] = e.Extensions["code"].(string)
	}
	return codes
}

// TestEntitiesAreOneBatch: the stock of 1,000 products, some of them unknown, is one read
// of the store. The unknown ones are null, and hurt no neighbour.
func TestEntitiesAreOneBatch(t *testing.T) {
	t.Parallel()
	for _, n := range []int{100, guard.EntitiesMax} {
		f := &fakeStore{channels: []models.Channel{{ChannelID: "web", LocationIDs: []string{"london"}, Sourcing: models.ByPriority}}}
		for name, api := range bothExecutors(f) {
			keys := make([]any, n)
			for i := range keys {
				keys[i] = keyOf("Product", "p"+strconv.Itoa(i))
				if i%10 == 0 {
					keys[i] = keyOf("Product", "none"+strconv.Itoa(i))
				}
			}
			before := len(f.calls())
			found, r := entitiesOf(t, api, "", keys...)
			assert.Empty(t, r.Errors, name)
			require.Len(t, found, n, name)
			for i, entity := range found {
				if i%10 == 0 {
					assert.Nil(t, entity, name)
				} else {
					assert.Equal(t, "p"+strconv.Itoa(i), entity["id"], name)
				}
			}
			calls := f.calls()[before:]
			require.Len(t, calls, 2, "%s: two requests", name)
			assert.Len(t, calls[1], n, name)
		}
	}
}

// TestEntitiesOfEachType: each type is found by its key again, with the same content; a
// view of a channel is the same view.
func TestEntitiesOfEachType(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	reservation := s.reserved(t, "", "entity", "")
	_, body := post(t, s.api, "", request{Query: `{ stock(productId: "22423") { id version levels { id } } web: stock(productId: "22423", channel: "web") { id version levels { id } }
		past: stock(productId: "22423", asOf: "2020-01-01T00:00:00Z") { id } location(id: "london") { id name } }`})
	var data struct {
		Data struct {
			Stock, Web, Past map[string]any
			Location         map[string]any
		}
	}
	require.NoError(t, json.Unmarshal(body, &data), "%s", body)
	known := data.Data
	for name, api := range bothExecutors(uncachedStore{s.store}) {
		found, r := entitiesOf(t, api, "", keyOf("Stock", known.Stock["id"].(string)), keyOf("Product", "22423"), keyOf("Stock", known.Web["id"].(string)), keyOf("Reservation", reservation),
			keyOf("Location", known.Location["id"].(string)), key{"__typename": "Location", "locationId": "london"}, keyOf("Stock", known.Past["id"].(string)))
		require.Empty(t, r.Errors, name)
		for i, want := range []string{"Stock", "Product", "Stock", "Reservation", "Location", "Location", "Stock"} {
			assert.Equal(t, want, found[i]["__typename"], name)
		}
		for i, view := range map[int]map[string]any{0: known.Stock, 2: known.Web, 6: known.Past} {
			for field, want := range view {
				assert.Equal(t, want, found[i][field], "%s: %s", name, field)
			}
		}
		assert.Equal(t, "ACTIVE", found[3]["state"], name)
		assert.Equal(t, known.Location["name"], found[4]["name"], name)
		assert.Equal(t, found[4], found[5], name)
	}
}

// TestEntityErrors: what is wrong with a representation, with a row of a product or with
// the caller's scopes is the error of that entity.
func TestEntityErrors(t *testing.T) {
	t.Parallel()
	f := &fakeStore{channels: []models.Channel{{ChannelID: "web"}}}
	f.stocks = func(ids []string) ([]*models.Stock, error) {
		found, _ := known(ids)
		if i := slices.Index(ids, "poison"); i >= 0 {
			found[i] = nil
			return found, &poison.RowsError{Causes: map[string]error{"poison": errors.New("no number")}}
		}
		return found, nil
	}
	f.reservation = func(string) (*models.Reservation, error) { return nil, nil }
	past := ids.Object{Kind: ids.Stock, ProductID: "mug", Moment: &serverTime}.String()
	for name, api := range bothExecutors(f) {
		for _, keys := range [][]any{
			{keyOf("Product", "mug"), keyOf("Product", "poison"), "mug", keyOf("Product", "tea"), keyOf("Channel", "web"), key{"__typename": "Product"}, keyOf("Product", "none")},
			{keyOf("Product", "mug"), keyOf("Product", "poison"), "mug", keyOf("Product", "tea"), keyOf("Channel", "web"), key{"__typename": "Product"}, keyOf("Reservation", unknownReservation)},
		} {
			found, r := entitiesOf(t, api, "", keys...)
			assert.Equal(t, map[int]string{1: "INTERNAL", 2: "BAD_USER_INPUT", 4: "BAD_USER_INPUT", 5: "BAD_USER_INPUT"}, failures(t, r), name)
			for i, entity := range found {
				assert.Equal(t, i == 0 || i == 3, entity != nil, "%s: %d", name, i)
			}
			assert.NotNil(t, found[0]["stock"], name)
		}
		found, r := entitiesOf(t, api, "guest", keyOf("Stock", past), keyOf("Stock", ids.Object{Kind: ids.Stock, ProductID: "mug"}.String()))
		require.Len(t, r.Errors, 2, "the levels too: %+v", r.Errors)
		assert.Nil(t, found[0], name)
		assert.Equal(t, "mug", found[1]["productId"], name)
	}
	f.stocks = func([]string) ([]*models.Stock, error) { return nil, models.Unavailable("later", nil) }
	for name, api := range bothExecutors(f) {
		found, r := entitiesOf(t, api, "", keyOf("Product", "mug"), key{"__typename": "Location", "locationId": "london"}, keyOf("Product", "tea"))
		assert.Equal(t, map[int]string{0: "UNAVAILABLE", 2: "UNAVAILABLE"}, failures(t, r), name)
		assert.Equal(t, "London", found[1]["name"], name)
	}
}

// TestEntitiesAreBounded: more representations than the limit are refused as one field, and
// the past costs a read of its own for each.
func TestEntitiesAreBounded(t *testing.T) {
	t.Parallel()
	many := make([]any, guard.EntitiesMax+1)
	past := make([]any, 60)
	for i := range many {
		many[i] = keyOf("Product", "p")
	}
	for i := range past {
		past[i] = keyOf("Stock", ids.Object{Kind: ids.Stock, ProductID: "mug", Moment: &serverTime}.String())
	}
	f := &fakeStore{}
	for name, api := range bothExecutors(f) {
		found, r := entitiesOf(t, api, "", many...)
		assert.Nil(t, found, name)
		require.Len(t, r.Errors, 1, name)
		assert.Equal(t, []any{"_entities"}, r.Errors[0].Path, name)
		assert.Equal(t, "BAD_USER_INPUT", r.Errors[0].Extensions["code"], name)
		assert.Contains(t, r.Errors[0].Message, "at most 1000 representations", name)
		_, r = entitiesOf(t, api, "", past...)
		require.Len(t, r.Errors, 1, name)
		assert.Contains(t, r.Errors[0].Message, "complexity", name)
		_, body := post(t, api, "", request{Query: `query($r: [_Any!]!) { ` + aliases(6, `_entities(representations: $r) { __typename }`) + ` }`, Variables: map[string]any{"r": many[:guard.EntitiesMax]}})
		assert.Contains(t, string(body), "at most 5000 ids", name)
	}
	assert.Empty(t, f.calls())
}

func aliases(n int, field string) (all string) {
	for i := range n {
		all += fmt.Sprintf("a%d: %s ", i, field)
	}
	return all
}

// TestEntitiesAreOwned: a reservation exists for its owner, as by its id, whatever the
// gateway asks.
func TestEntitiesAreOwned(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.reserved(t, "alice", "owned", "")
	for as, want := range map[string]bool{"alice": true, "bob": false, "guest": false, "service": true} {
		found, r := entitiesOf(t, s.api, as, keyOf("Reservation", id), keyOf("Product", "22423"))
		assert.Empty(t, r.Errors, as)
		assert.Equal(t, want, found[0] != nil, as)
		assert.NotNil(t, found[1], as)
	}
	strict := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.api.ServeHTTP(w, r.WithContext(guard.WithTokensConfigured(r.Context(), guard.AnonymousReserving)))
	})
	found, r := entitiesOf(t, strict, "anonymous", keyOf("Reservation", id), keyOf("Product", "22423"))
	assert.Equal(t, map[int]string{0: "UNAUTHENTICATED"}, failures(t, r))
	assert.NotNil(t, found[1])
}

// TestSubgraph: the subgraph is the schema of the server, with its directives of access and
// its costs, without what a catalogue has.
func TestSubgraph(t *testing.T) {
	t.Parallel()
	executed := generated.NewExecutableSchema(generated.Config{}).Schema()
	for mode, catalogue := range map[federation.Mode]bool{federation.Subgraph: false, federation.Full: true} {
		header, text, _ := strings.Cut(graph.SubgraphSDL(mode), "\n\n")
		assert.Equal(t, "extend schema\n  @link(url: \"https://specs.apollo.dev/federation/v2.9\", import: "+
			`["@key", "@shareable", "@inaccessible", "@authenticated", "@requiresScopes", "@cost", "@listSize"])`, header)
		for _, absent := range []string{"_entities", "_service", "@anonymous", "@catalogue", "goField", "argumentRequiresScopes", "federation__Scope"} {
			assert.NotContains(t, text, absent)
		}
		subgraph := gqlparser.MustLoadSchema(&ast.Source{Input: federationDirectives}, &ast.Source{Input: text})
		for _, name := range []string{"Product", "Stock", "Reservation", "Location"} {
			assert.NotNil(t, subgraph.Types[name].Directives.ForName("key"), name)
		}
		assert.NotNil(t, subgraph.Types["PageInfo"].Directives.ForName("shareable"))
		assert.Equal(t, catalogue, subgraph.Types["ProductConnection"] != nil)
		assert.False(t, subgraph.Types["Product"].Fields.ForName("stock").Type.NonNull)
		assert.False(t, subgraph.Types["Product"].Fields.ForName("tracked").Type.NonNull, "a product may be unknown here")
		assert.True(t, subgraph.Types["Product"].Fields.ForName("id").Type.NonNull)
		rules := access.NewTable(subgraph)
		for coordinate, rule := range access.NewTable(executed) {
			typeName, fieldName, _ := strings.Cut(coordinate, ".")
			if rule.Anonymous != "" || strings.Contains(coordinate, "(") || executed.Types[typeName].Kind != ast.Object {
				continue // no directive of Federation
			}
			assert.Equal(t, rule, rules[coordinate], coordinate)
			assert.NotNil(t, subgraph.Types[typeName].Fields.ForName(fieldName), coordinate)
		}
		for _, root := range rootsOf(executed) {
			for _, field := range root.Fields {
				if isIntrospection(field) || strings.HasPrefix(field.Name, "_") {
					continue
				}
				got := subgraph.Types[root.Name].Fields.ForName(field.Name)
				require.Equal(t, catalogue || field.Directives.ForName("catalogue") == nil, got != nil, field.Name)
				if got != nil && root != executed.Subscription {
					assert.False(t, got.Type.NonNull, "%s: a server that is away must not make the data of others null", field.Name)
				}
			}
		}
	}
	subgraph := graph.SubgraphSDL(federation.Subgraph)
	for _, want := range []string{
		`): StockMovementConnection @requiresScopes(scopes: [["read:inventory"]]) @cost(weight: 500) @listSize(assumedSize: 50, slicingArguments: ["first","last"], sizedFields: ["edges","nodes"], requireOneSlicingArgument: false)`,
		`): [Stock] @cost(weight: 10) @listSize(assumedSize: 50)`, `): Location @cost(weight: 10)`,
	} {
		assert.Contains(t, subgraph, want)
	}
}

// federationDirectives are those that the subgraph uses.
const federationDirectives = `
scalar federation__Scope
directive @key(fields: String!) repeatable on OBJECT
directive @shareable on OBJECT
directive @inaccessible on FIELD_DEFINITION
directive @authenticated on FIELD_DEFINITION
directive @requiresScopes(scopes: [[federation__Scope!]!]!) on FIELD_DEFINITION
directive @cost(weight: Int!) on FIELD_DEFINITION
directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!], requireOneSlicingArgument: Boolean) on FIELD_DEFINITION
`

// TestServiceOfAServer: the gateway reads the subgraph from the server, in production too,
// where introspection is refused. A server that is no subgraph has neither field.
func TestServiceOfAServer(t *testing.T) {
	t.Parallel()
	for mode, want := range map[federation.Mode]string{"": graph.SubgraphSDL(federation.Subgraph), federation.Full: graph.SubgraphSDL(federation.Full), federation.Off: ""} {
		api := checked(graph.Handler(graph.HandlerConfig{
			Resolver: &graph.Resolver{Store: &fakeStore{}, Log: slog.New(slog.DiscardHandler), Federation: mode}, Closing: transport.NewClosing(), Production: true,
		}))
		for range 3 {
			r := answerTo(t, api, "query SubgraphIntrospectQuery { _service { sdl } }")
			if want == "" {
				require.Len(t, r.Errors, 1)
				assert.Equal(t, "GRAPHQL_VALIDATION_FAILED", r.Errors[0].Extensions["code"])
				continue
			}
			var data struct {
				Service struct{ SDL string } `json:"_service"`
			}
			require.NoError(t, json.Unmarshal(r.Data, &data))
			assert.Equal(t, want, data.Service.SDL)
		}
		if mode == federation.Off {
			assert.Equal(t, "GRAPHQL_VALIDATION_FAILED", codeOf(t, api, `{ _entities(representations: []) { __typename } }`))
			schema, err := json.Marshal(answerTo(t, as(api, "ops", guard.Admin), `{ __schema { types { name } queryType { fields { name } } } }`).Data)
			require.NoError(t, err)
			assert.NotContains(t, string(schema), "_entities")
			assert.NotContains(t, string(schema), "_Any")
			assert.Empty(t, codeOf(t, api, `{ locations { name } }`))
		}
	}
}
