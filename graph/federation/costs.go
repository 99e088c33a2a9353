package federation

import (
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
)

// Costs are what the server counts for an operation, for gateways that bound the cost of
// operations too (@cost and @listSize).
type Costs struct {
	// Weight is the cost of a field of a root type without its selections; 0 for none.
	Weight func(coordinate string) int
	// Length is how many elements a list without arguments counts as; 0 where that is not
	// known.
	Length func(typeName, fieldName string) int
	// Page is how many elements a list has whose arguments do not say it.
	Page int
}

// mark adds the directives to a schema.
func (c Costs) mark(schema *ast.Schema) {
	for _, definition := range schema.Types {
		if definition.Kind != ast.Object || definition.BuiltIn {
			continue
		}
		for _, field := range definition.Fields {
			if weight := c.Weight(definition.Name + "." + field.Name); weight > 0 {
				field.Directives = append(field.Directives, directive("cost", "weight", number(weight)))
			}
			if size := c.listSize(schema, definition, field); size != nil {
				field.Directives = append(field.Directives, size)
			}
		}
	}
}

// listSize returns the directive of a field that is a list, or a page with lists; nil for
// another one.
func (c Costs) listSize(schema *ast.Schema, definition *ast.Definition, field *ast.FieldDefinition) *ast.Directive {
	if field.Arguments.ForName("first") != nil && field.Arguments.ForName("last") != nil {
		lists := &ast.Value{Kind: ast.ListValue}
		for _, below := range schema.Types[field.Type.Name()].Fields {
			if below.Type.Elem != nil {
				lists.Children = append(lists.Children, &ast.ChildValue{Value: quoted(below.Name)})
			}
		}
		return directive("listSize",
			"assumedSize", number(c.Page),
			"slicingArguments", &ast.Value{Kind: ast.ListValue, Children: ast.ChildValueList{{Value: quoted("first")}, {Value: quoted("last")}}},
			"sizedFields", lists,
			"requireOneSlicingArgument", &ast.Value{Kind: ast.BooleanValue, Raw: "false"})
	}
	if field.Type.Elem == nil || schema.Types[field.Type.Name()].Kind != ast.Object {
		return nil
	}
	if n := c.Length(definition.Name, field.Name); n > 0 {
		return directive("listSize", "assumedSize", number(n))
	}
	for _, argument := range field.Arguments {
		if argument.Type.Elem != nil {
			return directive("listSize", "assumedSize", number(c.Page))
		}
	}
	return nil
}

// directive returns a directive with arguments: names and values in turn.
func directive(name string, arguments ...any) *ast.Directive {
	d := &ast.Directive{Name: name}
	for i := 0; i < len(arguments); i += 2 {
		d.Arguments = append(d.Arguments, &ast.Argument{Name: arguments[i].(string), Value: arguments[i+1].(*ast.Value)})
	}
	return d
}

func quoted(text string) *ast.Value { return &ast.Value{Kind: ast.StringValue, Raw: text} }

func number(n int) *ast.Value { return &ast.Value{Kind: ast.IntValue, Raw: strconv.Itoa(n)} }
