package federation

import (
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
)

// Mode says what of the schema a gateway gets.
type Mode string

// The modes. The zero Mode is Subgraph.
const (
	// Subgraph leaves to a catalogue what the schema marks with @catalogue.
	Subgraph Mode = "subgraph"
	// Full has that too.
	Full Mode = "full"
	// Off serves neither Query._entities nor Query._service.
	Off Mode = "off"
)

// specification is the version of Federation whose directives the subgraph uses: the first
// with @cost and @listSize.
const specification = "https://specs.apollo.dev/federation/v2.9"

// The directives that the subgraph keeps or gets. Others are for the server itself.
var subgraphDirectives = []string{"key", "shareable", "inaccessible", "authenticated", "requiresScopes", "cost", "listSize"}

// standardDirectives are those of GraphQL.
var standardDirectives = []string{"deprecated", "specifiedBy", "oneOf"}

// notForClients are the directives that clients have no use for.
var notForClients = []string{"goField", "key", "shareable", "inaccessible", "catalogue"}

// nullableTypes are the types whose fields may be null in a graph of several subgraphs: the
// entities that others know by the shop's own ids, and the roots. While this server is
// away, a root field that must not be null would make the answers of others null too.
var nullableTypes = []string{"Product", "Location", "Query", "Mutation"}

// Clients prints a schema for clients that ask the server itself, and changes it.
func Clients(schema *ast.Schema) string {
	Hide(schema)
	keepDirectives(schema, func(name string) bool { return !slices.Contains(notForClients, name) })
	return printed(schema)
}

// SubgraphOptions say which subgraph is printed.
type SubgraphOptions struct {
	Mode  Mode
	Costs Costs
	// WithoutAccess leaves out @authenticated and @requiresScopes, which this server
	// enforces itself: Apollo's gateway for JavaScript refuses a graph that has them.
	WithoutAccess bool
}

// SDL prints the subgraph of a schema, and changes the schema.
func SDL(schema *ast.Schema, options SubgraphOptions) string {
	Hide(schema)
	if options.Mode != Full {
		for _, definition := range schema.Types {
			definition.Fields = slices.DeleteFunc(definition.Fields, func(field *ast.FieldDefinition) bool { return field.Directives.ForName("catalogue") != nil })
		}
	}
	keepDirectives(schema, func(name string) bool {
		if options.WithoutAccess && (name == "authenticated" || name == "requiresScopes") {
			return false
		}
		return slices.Contains(subgraphDirectives, name) || slices.Contains(standardDirectives, name)
	})
	clear(schema.Directives) // composition knows those of Federation
	delete(schema.Types, "federation__Scope")
	for _, name := range nullableTypes {
		makeNullable(schema.Types[name])
	}
	removeUnreachable(schema)
	options.Costs.mark(schema)
	return link(schema) + printed(schema)
}

// Hide removes the fields of Query that are for gateways, and their types.
func Hide(schema *ast.Schema) {
	schema.Query.Fields = slices.DeleteFunc(schema.Query.Fields, func(field *ast.FieldDefinition) bool {
		return field.Name == "_entities" || field.Name == "_service"
	})
	for _, name := range []string{"_Any", "_Entity", "_Service"} {
		delete(schema.Types, name)
		delete(schema.PossibleTypes, name)
	}
	for name := range schema.Implements {
		schema.Implements[name] = slices.DeleteFunc(schema.Implements[name], func(of *ast.Definition) bool { return of.Name == "_Entity" })
	}
}

// keepDirectives removes other directives, where they are used and their definitions.
func keepDirectives(schema *ast.Schema, keep func(name string) bool) {
	filter := func(list *ast.DirectiveList) {
		*list = slices.DeleteFunc(*list, func(d *ast.Directive) bool { return !keep(d.Name) })
	}
	for name, definition := range schema.Directives {
		if !definition.Position.Src.BuiltIn && !keep(name) {
			delete(schema.Directives, name)
		}
	}
	for _, definition := range schema.Types {
		if definition.BuiltIn {
			continue
		}
		filter(&definition.Directives)
		for _, value := range definition.EnumValues {
			filter(&value.Directives)
		}
		for _, field := range definition.Fields {
			filter(&field.Directives)
			for _, argument := range field.Arguments {
				filter(&argument.Directives)
			}
		}
	}
}

// makeNullable makes the fields of a type nullable, but for those of its keys.
func makeNullable(definition *ast.Definition) {
	var keys []string
	for _, key := range definition.Directives.ForNames("key") {
		keys = append(keys, key.Arguments.ForName("fields").Value.Raw)
	}
	for _, field := range definition.Fields {
		if !slices.Contains(keys, field.Name) {
			nullable := *field.Type
			nullable.NonNull = false
			field.Type = &nullable
		}
	}
}

// removeUnreachable removes the types that neither a root field nor an entity leads to.
func removeUnreachable(schema *ast.Schema) {
	reached := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		definition := schema.Types[name]
		if definition == nil || reached[name] {
			return
		}
		reached[name] = true
		for _, field := range definition.Fields {
			visit(field.Type.Name())
			for _, argument := range field.Arguments {
				visit(argument.Type.Name())
			}
		}
		for _, of := range slices.Concat(definition.Interfaces, definition.Types) {
			visit(of)
		}
		for _, possible := range schema.PossibleTypes[name] {
			visit(possible.Name)
		}
	}
	for _, root := range []*ast.Definition{schema.Query, schema.Mutation, schema.Subscription} {
		if root != nil {
			visit(root.Name)
		}
	}
	for name, definition := range schema.Types {
		if definition.Directives.ForName("key") != nil {
			visit(name)
		}
	}
	for name, definition := range schema.Types {
		if !reached[name] && !definition.BuiltIn {
			delete(schema.Types, name)
		}
	}
}

// link is the extension of the schema that names the directives of Federation.
func link(schema *ast.Schema) string {
	used := map[string]bool{}
	note := func(list ast.DirectiveList) {
		for _, directive := range list {
			used[directive.Name] = true
		}
	}
	for _, definition := range schema.Types {
		note(definition.Directives)
		for _, field := range definition.Fields {
			note(field.Directives)
		}
	}
	var names []string
	for _, name := range subgraphDirectives {
		if used[name] {
			names = append(names, strconv.Quote("@"+name))
		}
	}
	return "extend schema\n  @link(url: " + strconv.Quote(specification) + ", import: [" + strings.Join(names, ", ") + "])\n\n"
}

// printed prints a schema in the schema definition language: one definition for each type.
func printed(schema *ast.Schema) string {
	var text strings.Builder
	formatter.NewFormatter(&text, formatter.WithIndent("  ")).FormatSchema(schema)
	return text.String()
}
