package coercion

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/scalar"
)

// coercer coerces the value of one variable or argument.
type coercer struct {
	schema  *ast.Schema
	literal bool
	silent  bool     // refusals do not list the values of enums
	path    ast.Path // of the value that is being coerced
}

// refusal says why a value is not of its type. The coercer's path is the value's.
type refusal string

// value coerces a value, null included, to a type.
func (c *coercer) value(t *ast.Type, sent any) (any, refusal) {
	switch sent := sent.(type) {
	case variable:
		return sent, "" // another rule compares the types of the variable and the position
	case nil:
		if t.NonNull {
			return nil, refusal("want " + t.String() + "; got null")
		}
		return nil, ""
	}
	if t.Elem != nil {
		return c.list(t.Elem, sent)
	}
	definition := c.schema.Types[t.NamedType]
	if definition == nil {
		return sent, "" // another rule refuses unknown types
	}
	switch definition.Kind {
	case ast.Scalar:
		return c.scalar(definition.Name, sent)
	case ast.Enum:
		return c.enum(definition, sent)
	case ast.InputObject:
		return c.object(definition, sent)
	}
	return sent, ""
}

// list coerces a list. Any other value is a list of one.
func (c *coercer) list(element *ast.Type, sent any) (any, refusal) {
	entries, ok := sent.([]any)
	if !ok {
		coerced, problem := c.value(element, sent)
		return []any{coerced}, problem
	}
	depth := len(c.path)
	for i, entry := range entries {
		c.path = append(c.path[:depth], ast.PathIndex(i))
		coerced, problem := c.value(element, entry)
		if problem != "" {
			return nil, problem
		}
		entries[i] = coerced
	}
	c.path = c.path[:depth]
	return entries, ""
}

// object coerces the fields of an input object, in the order of the schema. It keeps
// __typename, which clients send back with objects that they have read.
func (c *coercer) object(definition *ast.Definition, sent any) (any, refusal) {
	fields, ok := sent.(map[string]any)
	if !ok {
		return nil, refusal("want " + definition.Name + ", an object; got " + describe(sent))
	}
	depth, known := len(c.path), 0
	for _, field := range definition.Fields {
		value, given := fields[field.Name]
		if !given && (!field.Type.NonNull || field.DefaultValue != nil) {
			continue
		}
		c.path = append(c.path[:depth], ast.PathName(field.Name))
		if !given {
			return nil, refusal(field.Type.String() + " is required, and was left out")
		}
		known++
		coerced, problem := c.value(field.Type, value)
		if problem != "" {
			return nil, problem
		}
		fields[field.Name] = coerced
	}
	c.path = c.path[:depth]
	if known < len(fields) {
		return fields, c.unknownField(definition, fields)
	}
	return fields, ""
}

// unknownField refuses the first field, by name, that the type does not have.
func (c *coercer) unknownField(definition *ast.Definition, fields map[string]any) refusal {
	var unknown []string
	for name := range fields {
		if name != "__typename" && definition.Fields.ForName(name) == nil {
			unknown = append(unknown, name)
		}
	}
	if unknown == nil {
		return ""
	}
	name := slices.Min(unknown)
	c.path = append(c.path, ast.PathName(cut(name)))
	return refusal(definition.Name + " has no such field; got " + describe(fields[name]))
}

// enum coerces the name of a value: a string in a variable, a bare name in a literal.
func (c *coercer) enum(definition *ast.Definition, sent any) (any, refusal) {
	name, ok := sent.(string)
	if c.literal {
		var bare bareName
		bare, ok = sent.(bareName)
		name = string(bare)
	}
	if ok && definition.EnumValues.ForName(name) != nil {
		return name, ""
	}
	if c.silent {
		return nil, refusal("want " + definition.Name + "; got " + describe(sent))
	}
	names := make([]string, len(definition.EnumValues))
	for i, value := range definition.EnumValues {
		names[i] = value.Name
	}
	return nil, refusal("want " + definition.Name + ", one of " + strings.Join(names, ", ") + "; got " + describe(sent))
}

// wanted describes the scalars in messages.
var wanted = map[string]string{
	"Int":     "Int, a whole number of 32 bits",
	"Float":   "Float, a number",
	"String":  "String, a text in quotes",
	"Boolean": "Boolean, true or false",
	"ID":      "ID, a text in quotes or a whole number",
	"BigInt":  "BigInt, a whole number below 2^53",
	"Time":    "Time, a text in quotes as RFC 3339 has it, such as \"2026-03-01T12:00:00Z\"",
}

// scalar coerces a value to a scalar. A scalar that is not in wanted accepts any value.
func (c *coercer) scalar(name string, sent any) (any, refusal) {
	var (
		coerced any
		ok      bool
	)
	if _, text := sent.(string); text && (name == "ID" || name == "String") {
		return sent, "" // as it is, without a copy
	}
	switch name {
	case "Int":
		coerced, ok = coerceInt(sent)
	case "BigInt":
		coerced, ok = coerceBigInt(sent)
	case "Float":
		coerced, ok = coerceFloat(sent)
	case "ID":
		coerced, ok = coerceID(sent)
	case "String":
		coerced, ok = sent.(string)
	case "Boolean":
		coerced, ok = sent.(bool)
	case "Time":
		_, err := scalar.UnmarshalTime(sent)
		coerced, ok = sent, err == nil
	default:
		return sent, ""
	}
	if !ok {
		return nil, refusal(fmt.Sprintf("want %s; got %s", wanted[name], describe(sent)))
	}
	return coerced, ""
}
