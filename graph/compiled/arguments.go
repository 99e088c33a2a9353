package compiled

import (
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/generated"
	"onhand/graph/scalar"
	"onhand/models"
	"onhand/models/paging"
)

// argument is an argument of a field.
type argument struct {
	field *ast.Field
	name  string
}

// constant reports whether no argument of a field names a variable.
func constant(field *ast.Field) bool {
	for _, given := range field.Arguments {
		if !isConstant(given.Value) {
			return false
		}
	}
	return true
}

func isConstant(value *ast.Value) bool {
	if value.Kind == ast.Variable {
		return false
	}
	for _, child := range value.Children {
		if !isConstant(child.Value) {
			return false
		}
	}
	return true
}

// value returns the value of an argument; given is false when it is left out and has no
// default. It has the rules of ast.Field.ArgumentMap.
func (a argument) value(variables map[string]any) (value any, given bool, err error) {
	if argument := a.field.Arguments.ForName(a.name); argument != nil {
		if argument.Value.Kind != ast.Variable {
			value, err = argument.Value.Value(variables)
			return value, true, err
		}
		if value, given = variables[argument.Value.Raw]; given {
			return value, true, nil
		}
	}
	definition := a.field.Definition.Arguments.ForName(a.name)
	if definition == nil || definition.DefaultValue == nil {
		return nil, false, nil
	}
	value, err = definition.DefaultValue.Value(variables)
	return value, true, err
}

// arguments reads the arguments of a field, with the functions of the generated executor.
// Their types were checked before: failed is true for a value that its type does not
// have, which the generated executor then reports.
type arguments struct {
	field     *ast.Field
	variables map[string]any
	failed    bool
}

// read returns an argument; nil when it is null or left out.
func (a *arguments) read(name string) any {
	value, _, err := argument{field: a.field, name: name}.value(a.variables)
	a.failed = a.failed || err != nil
	return value
}

// convert converts a value that is not null.
func convert[T any](a *arguments, value any, unmarshal func(any) (T, error)) (converted T) {
	if value == nil {
		a.failed = true
		return converted
	}
	converted, err := unmarshal(value)
	a.failed = a.failed || err != nil
	return converted
}

// optional converts a value; nil for null.
func optional[T any](a *arguments, value any, unmarshal func(any) (T, error)) *T {
	if value == nil {
		return nil
	}
	converted := convert(a, value, unmarshal)
	return &converted
}

// listOf converts a list; nil for null.
func listOf[T any](a *arguments, value any, unmarshal func(any) (T, error)) []T {
	if value == nil {
		return nil
	}
	entries := graphql.CoerceList(value)
	list := make([]T, len(entries))
	for i, entry := range entries {
		list[i] = convert(a, entry, unmarshal)
	}
	return list
}

func (a *arguments) id(name string) string { return convert(a, a.read(name), graphql.UnmarshalID) }

func (a *arguments) optionalID(name string) *string {
	return optional(a, a.read(name), graphql.UnmarshalID)
}

func (a *arguments) ids(name string) []string {
	value := a.read(name)
	a.failed = a.failed || value == nil
	return listOf(a, value, graphql.UnmarshalID)
}

func (a *arguments) optionalText(name string) *string {
	return optional(a, a.read(name), graphql.UnmarshalString)
}

func (a *arguments) optionalInt(name string) *int {
	return optional(a, a.read(name), scalar.UnmarshalInt)
}

func (a *arguments) optionalBigInt(name string) *int64 {
	return optional(a, a.read(name), scalar.UnmarshalBigInt)
}

func (a *arguments) optionalTime(name string) *time.Time {
	return optional(a, a.read(name), scalar.UnmarshalTime)
}

func (a *arguments) productOrder(name string) paging.ProductOrder {
	return paging.ProductOrder(convert(a, a.read(name), graphql.UnmarshalString))
}

// filterFields are the fields of ProductFilter.
var filterFields = []string{"ids", "titleContains", "search", "tracked", "locationId", "channel", "status"}

func (a *arguments) productFilter(name string) *generated.ProductFilter {
	value := a.read(name)
	if value == nil {
		return nil
	}
	fields, ok := value.(map[string]any)
	if !ok {
		a.failed = true
		return nil
	}
	return &generated.ProductFilter{
		Ids:           listOf(a, fields["ids"], graphql.UnmarshalID),
		TitleContains: optional(a, fields["titleContains"], graphql.UnmarshalString),
		Search:        optional(a, fields["search"], graphql.UnmarshalString),
		Tracked:       optional(a, fields["tracked"], graphql.UnmarshalBoolean),
		LocationID:    optional(a, fields["locationId"], graphql.UnmarshalID),
		Channel:       optional(a, fields["channel"], graphql.UnmarshalID),
		Status: listOf(a, fields["status"], func(value any) (models.StockStatus, error) {
			name, err := graphql.UnmarshalString(value)
			return models.StockStatus(name), err
		}),
	}
}
