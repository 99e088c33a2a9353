package graph_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"pgregory.net/rapid"

	"onhand/graph"
	"onhand/models"
	"onhand/models/ids"
)

// sdlSchema is the schema that clients see.
var sdlSchema = sync.OnceValue(func() *ast.Schema {
	return gqlparser.MustLoadSchema(&ast.Source{Input: graph.SDL()})
})

// documentGenerator draws a valid query. It declares the variables that it uses. The
// response key of a field names the field and its arguments, so that fields can be merged.
type documentGenerator struct {
	*rapid.T
	variables map[string]any
	declared  map[string]string // types, with defaults
	fragments []string
	// together: one field asks for all stock, so that it is read with one call whatever
	// the timing.
	together bool
}

func (g *documentGenerator) chance(percent int) bool {
	return rapid.IntRange(0, 99).Draw(g.T, "chance") < percent
}

func draw[V any](g *documentGenerator, from ...V) V {
	return rapid.SampledFrom(from).Draw(g.T, "one of")
}

func (g *documentGenerator) document() string {
	var fields strings.Builder
	roots := draw(g, 1, 1, 2, 3, 4)
	g.together = roots == 1
	for i := range roots {
		fields.WriteString(g.root("r" + strconv.Itoa(i)))
	}
	header := ""
	for _, name := range slices.Sorted(maps.Keys(g.declared)) {
		header += "$" + name + ": " + g.declared[name] + " "
	}
	if header != "" {
		header = "(" + header + ")"
	}
	return "query" + header + " {" + fields.String() + "}" + strings.Join(g.fragments, "")
}

// argument writes an argument as a literal or as a variable.
func (g *documentGenerator) argument(name, kind string, value any) string {
	if g.chance(50) {
		variable := name + strconv.Itoa(len(g.declared))
		g.declared[variable] = kind
		if value != nil || g.chance(50) {
			g.variables[variable] = value
		}
		return name + ": $" + variable + " "
	}
	return name + ": " + literal(value) + " "
}

// enumName is the name of an enum's value.
type enumName string

func literal(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case enumName:
		return string(value)
	case []any:
		entries := make([]string, len(value))
		for i, entry := range value {
			entries[i] = literal(entry)
		}
		return "[" + strings.Join(entries, ", ") + "]"
	case map[string]any:
		fields := ""
		for _, name := range slices.Sorted(maps.Keys(value)) {
			fields += name + ": " + literal(value[name]) + " "
		}
		return "{" + fields + "}"
	}
	raw, _ := json.Marshal(value)
	return string(raw)
}

func (g *documentGenerator) productID() any {
	return draw[any](g, append([]any{"none", "", 17, goneProduct, "onhand:x", "mug", "mug"}, anyOf(comparedProducts)...)...)
}

func anyOf(texts []string) []any {
	values := make([]any, len(texts))
	for i, text := range texts {
		values[i] = text
	}
	return values
}

func (g *documentGenerator) productIDs() []any {
	list := []any{}
	for range rapid.IntRange(0, 6).Draw(g.T, "ids") {
		if g.chance(90) {
			list = append(list, draw(g, anyOf(comparedProducts)...))
		} else {
			list = append(list, g.productID())
		}
	}
	return list
}

func (g *documentGenerator) channel() any {
	return draw[any](g, append([]any{nil, nil, "nope"}, anyOf(comparedChannels)...)...)
}

func (g *documentGenerator) nodeID() any {
	product, channel := draw(g, comparedProducts...), draw(g, "", "web", "nope")
	n := draw(g,
		ids.Object{Kind: ids.Stock, ProductID: product, ChannelID: channel},
		ids.Object{Kind: ids.Stock, ProductID: product, ChannelID: channel, Moment: &serverTime},
		ids.Object{Kind: ids.Level, ProductID: product, LocationID: draw(g, "london", "nowhere")},
		ids.Object{Kind: ids.Location, LocationID: draw(g, "london", "nowhere")},
		ids.Object{Kind: ids.Channel, ChannelID: draw(g, "web", "nowhere")},
		ids.Object{Kind: ids.Product, ProductID: product},
		ids.Object{Kind: ids.Product, ProductID: draw(g, "", "onhand:", "none", goneProduct)},
	)
	return n.String()
}

// root draws a field of Query. It may come twice, with other selections.
func (g *documentGenerator) root(alias string) string {
	name := draw(g, "stock", "stocks", "stocks", "product", "products", "products", "location", "locations", "channels", "serverTime", "__typename", "node", "_entities", "_entities")
	arguments, of := "", ""
	switch name {
	case "stock":
		of, arguments = "Stock", g.argument("productId", "ID!", g.productID())
		if g.chance(50) {
			arguments += g.argument("channel", "ID", g.channel())
		}
		if g.chance(30) {
			arguments += g.argument("minVersion", "BigInt", draw[any](g, nil, 1, 5, 1<<50))
		}
		if g.chance(20) {
			arguments += g.argument("asOf", "Time", draw[any](g, nil, "2029-01-01T00:00:00.0009+01:00"))
		}
	case "stocks":
		of, arguments = "Stock", g.argument("productIds", "[ID!]!", g.productIDs())
		if g.chance(50) {
			arguments += g.argument("channel", "ID", g.channel())
		}
	case "product":
		of, arguments = "Product", g.argument("id", "ID!", g.productID())
	case "products":
		of, arguments, g.together = "ProductConnection", g.page(), false
	case "location":
		of, arguments = "Location", g.argument("id", "ID!", draw[any](g, "london", "nowhere", (&models.Location{LocationID: "käln"}).ID()))
	case "locations":
		of = "Location"
	case "channels":
		of = "Channel"
	case "node":
		of, arguments = "Node", g.argument("id", "ID!", g.nodeID())
	case "_entities":
		of, arguments = "_Entity", g.argument("representations", "[_Any!]!", g.representations())
	}
	if arguments != "" {
		arguments = "(" + arguments + ")"
	}
	field := ""
	for range draw(g, 1, 1, 1, 2) {
		field += alias + ": " + name + arguments + g.directive() + g.block(of, 3, "") + " "
	}
	return field
}

// representations draws what a gateway sends, and what it never should.
func (g *documentGenerator) representations() any {
	list := []any{}
	for range rapid.IntRange(0, 6).Draw(g.T, "representations") {
		of := draw(g, "Product", "Product", "Product", "Stock", "Location", "Channel")
		fields := map[string]any{"__typename": of, "id": g.nodeID()}
		switch of {
		case "Product":
			fields["id"] = g.productID()
		case "Location":
			if g.chance(50) {
				fields = map[string]any{"__typename": of, "locationId": draw[any](g, "london", "nowhere", " ", 5)}
			}
		}
		switch rapid.IntRange(0, 30).Draw(g.T, "malformed") {
		case 0:
			list = append(list, draw[any](g, "mug", 5, true, []any{}))
			continue
		case 1:
			fields["__typename"] = draw[any](g, "Nothing", 5, "Reservation")
		case 2:
			fields["id"] = draw[any](g, nil, true, []any{}, map[string]any{}, 1.5)
		case 3:
			delete(fields, draw(g, "id", "__typename"))
		}
		list = append(list, fields)
	}
	if len(list) == 1 && g.chance(20) {
		return list[0]
	}
	return list
}

func (g *documentGenerator) page() (arguments string) {
	if g.chance(70) {
		arguments += g.argument("first", "Int", draw[any](g, nil, 1, 20, 0, 251))
	}
	if g.chance(10) {
		arguments += g.argument("last", "Int", draw[any](g, nil, 5))
	}
	if g.chance(20) {
		arguments += g.argument("after", "String", draw[any](g, nil, "bXVn", "no cursor"))
	}
	if g.chance(40) {
		filter := map[string]any{}
		if g.chance(50) {
			filter["ids"] = draw[any](g, nil, g.productIDs(), "mug", []any{})
		}
		if g.chance(30) {
			filter["tracked"] = draw[any](g, nil, true)
		}
		if g.chance(30) {
			filter["titleContains"] = draw[any](g, nil, "", "a", "a\tb")
		}
		if g.chance(30) {
			filter["channel"] = draw[any](g, nil, "web", "")
		}
		if g.chance(30) {
			filter["status"] = []any{}
		}
		arguments += g.argument("filter", "ProductFilter", filter)
	}
	if g.chance(20) {
		arguments += "orderBy: " + draw(g, "TITLE", "PRODUCT_ID") + " "
	}
	return arguments
}

// directive draws @skip or @include, or none.
func (g *documentGenerator) directive() string {
	if !g.chance(12) {
		return ""
	}
	name := draw(g, " @skip", " @include")
	if g.chance(50) {
		return name + "(if: " + draw(g, "true", "false") + ")"
	}
	variable := "c" + draw(g, "0", "1", "2", "3")
	if g.declared[variable] == "" {
		g.declared[variable] = draw(g, "Boolean!", "Boolean = true", "Boolean = false")
		value := draw[any](g, true, false, true, false, true, false, nil)
		if value != nil || g.declared[variable] != "Boolean!" && g.chance(20) {
			g.variables[variable] = value
		} else if g.declared[variable] == "Boolean!" {
			g.variables[variable] = true
		}
	}
	return name + "(if: $" + variable + ")"
}

// block draws the selection of a type, in braces. Response keys begin with prefix.
func (g *documentGenerator) block(of string, depth int, prefix string) string {
	if of == "" {
		return ""
	}
	selection := " {"
	for range rapid.IntRange(1, 4).Draw(g.T, "fields") {
		selection += g.selection(of, depth, prefix)
	}
	return selection + "}"
}

func (g *documentGenerator) selection(of string, depth int, prefix string) string {
	definition := sdlSchema().Types[of]
	isNode := of == "Node" || of == "_Entity" || slices.Contains(definition.Interfaces, "Node")
	switch {
	case of == "_Entity" && (depth == 0 || g.chance(20)):
		return " __typename"
	case of == "_Entity" && g.chance(10):
		return " ... on _Entity" + g.directive() + g.block(of, depth-1, prefix)
	case depth > 0 && of == "_Entity":
		concrete := draw(g, "Product", "Product", "Stock", "Location", "Reservation", "Node")
		return " ... on " + concrete + g.directive() + g.block(concrete, depth-1, concrete+"_")
	case depth > 0 && g.chance(10):
		return " ..." + draw(g, "", " on "+of) + g.directive() + g.block(of, depth-1, prefix)
	case depth > 0 && isNode && g.chance(8):
		return " ... on Node" + g.directive() + g.block("Node", 0, prefix)
	case depth > 0 && of == "Node" && g.chance(80):
		concrete := draw(g, "Stock", "Stock", "StockLevel", "Product", "Location", "Channel", "Reservation")
		return " ... on " + concrete + g.directive() + g.block(concrete, depth-1, concrete+"_")
	case depth > 0 && g.chance(10):
		name := "F" + strconv.Itoa(len(g.fragments))
		g.fragments = append(g.fragments, "")
		g.fragments[len(g.fragments)-1] = " fragment " + name + " on " + of + g.block(of, depth-1, prefix)
		return strings.Repeat(" ..."+name+g.directive(), draw(g, 1, 1, 2))
	case g.chance(8):
		return " " + draw(g, "__typename ", prefix+"kind: __typename ")
	}
	return g.field(definition, depth, prefix)
}

func (g *documentGenerator) field(definition *ast.Definition, depth int, prefix string) string {
	field := draw(g, definition.Fields...)
	of := field.Type.Name()
	if sdlSchema().Types[of].Kind != ast.Object {
		of = ""
	}
	if of != "" && depth == 0 || strings.HasPrefix(field.Name, "__") {
		return " __typename "
	}
	alias, arguments := prefix+field.Name, ""
	if g.chance(10) {
		alias = prefix + "other_" + field.Name
	}
	if definition.Name == "Product" && field.Name == "stock" {
		key := draw(g, "", "web", "shop", "nope", "variable")
		alias += key
		switch key {
		case "":
		case "variable":
			g.declared["nested"] = "ID"
			if _, drawn := g.variables["nested"]; !drawn {
				g.variables["nested"] = g.channel()
			}
			arguments = "(channel: $nested)"
		default:
			arguments = fmt.Sprintf("(channel: %q)", key)
		}
	}
	return " " + alias + ": " + field.Name + arguments + g.directive() + g.block(of, depth-1, prefix)
}
