package compiled

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/generated"
	"onhand/graph/scalar"
)

// notCompiled are the fields that the generated executor answers.
var notCompiled = []string{
	"Query.reservation", "Query.reservations", "Query.stockMovements", "Query.stockHistory", "Query.stockHistories", // have no tables
	"Query.shop", "Query.operations", // asked seldom
	"Query.__schema", "Query.__type", "Query._service", // introspection
}

// argumentsOf are the arguments that compiled fields read.
var argumentsOf = map[string][]string{
	"Query.stock": {"productId", "channel", "minVersion", "asOf"}, "Query.stocks": {"productIds", "channel"},
	"Query.product": {"id"}, "Query.products": {"first", "after", "last", "before", "filter", "orderBy"},
	"Query.location": {"id"}, "Query.node": {"id"}, "Query._entities": {"representations"}, "Product.stock": {"channel"},
}

func names[T any](o object[T]) []string { return slices.Collect(maps.Keys(o.fields)) }

// TestTablesAreComplete: a field that the schema gets is in the table of its type, or is
// said not to be compiled; so is an argument, and a field of ProductFilter.
func TestTablesAreComplete(t *testing.T) {
	t.Parallel()
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	tables := map[string][]string{
		"Query": slices.Collect(maps.Keys(rootFields)),
		"Stock": names(types.stock), "StockLevel": names(types.level), "Product": names(types.product), "ChannelBuffer": names(types.buffer),
		"Location": names(types.location), "Channel": names(types.channel),
		"ProductConnection": names(types.connection), "ProductEdge": names(types.edge), "PageInfo": names(types.pageInfo),
	}
	for name, compiled := range tables {
		definition := schema.Types[name]
		for _, field := range definition.Fields {
			full := name + "." + field.Name
			known := slices.Contains(compiled, field.Name)
			assert.NotEqual(t, known, slices.Contains(notCompiled, full), "%s: one of table and notCompiled has it", full)
			var arguments []string
			for _, argument := range field.Arguments {
				arguments = append(arguments, argument.Name)
			}
			if known {
				assert.ElementsMatch(t, argumentsOf[full], arguments, full)
			}
		}
		for _, field := range compiled {
			assert.True(t, field == typename || definition.Fields.ForName(field) != nil, "%s.%s is not in the schema", name, field)
		}
	}
	var fields []string
	for _, field := range schema.Types["ProductFilter"].Fields {
		fields = append(fields, field.Name)
	}
	assert.ElementsMatch(t, filterFields, fields)
}

// TestTypesSatisfyTheirInterfaces: the tables name the interfaces and unions that have
// their types, which fragments on these need.
func TestTypesSatisfyTheirInterfaces(t *testing.T) {
	t.Parallel()
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	for name, known := range map[string][]string{
		types.stock.name: types.stock.abstract, types.level.name: types.level.abstract, types.product.name: types.product.abstract,
		types.buffer.name: types.buffer.abstract, types.location.name: types.location.abstract, types.channel.name: types.channel.abstract,
		types.connection.name: types.connection.abstract, types.edge.name: types.edge.abstract, types.pageInfo.name: types.pageInfo.abstract,
	} {
		var abstract []string
		for _, of := range schema.Implements[name] {
			abstract = append(abstract, of.Name)
		}
		assert.ElementsMatch(t, abstract, known, name)
		assert.Equal(t, ast.Object, schema.Types[name].Kind)
	}
}

// FuzzScalars: scalars are written as gqlgen and package scalar write them.
func FuzzScalars(f *testing.F) {
	for _, s := range []string{"", "mug", "\"\\\n\r\t\x00\x1f\x7f", "käse 🧀 \u2028", "\xff\xc3(", strings.Repeat("a\"", 50)} {
		f.Add(s, int64(len(s)), int64(-1))
	}
	f.Add("", int64(1)<<62, int64(-1)<<62)
	f.Fuzz(func(t *testing.T, s string, n, m int64) {
		at := time.Unix(n, m)
		for got, want := range map[string]graphql.Marshaler{
			string(appendString(nil, s)): graphql.MarshalString(s), string(appendInt(nil, int(n))): scalar.MarshalInt(int(n)),
			string(appendBigInt(nil, n)): scalar.MarshalBigInt(n), string(appendTime(nil, at)): scalar.MarshalTime(at),
			string(appendBool(nil, n > 0)): graphql.MarshalBoolean(n > 0),
		} {
			var b strings.Builder
			want.MarshalGQL(&b)
			if b.String() != got {
				t.Fatalf("%s is written as %s", b.String(), got)
			}
		}
	})
}
