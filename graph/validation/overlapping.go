package validation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/core"
)

// overlappingRule is the name that the specification gives the rule.
const overlappingRule = "OverlappingFieldsCanBeMerged"

// mergeVisitsMax bounds the fields that the rule visits in one document. Where fields of
// several object types have one response name, those of interfaces are visited once for
// each of the types.
const mergeVisitsMax = 10 * SelectionsSpreadMax

// overlapping says which fields have one response name and cannot be merged. The
// specification, and gqlparser with it, compares all fields of a response name in pairs.
// But both comparisons are equivalences: "the same type of value", among all of them,
// and "the same field with the same arguments", among those that one object may have. So
// each field is compared with one of the others, and the selections of all are merged.
func overlapping(observers *core.Events, addError core.AddErrFunc) {
	o := &overlaps{addError: addError}
	observers.OnOperation(func(walker *core.Walker, operation *ast.OperationDefinition) {
		o.schema = walker.Schema
		o.object([]ast.SelectionSet{operation.SelectionSet})
	})
}

// overlaps is the state of the rule.
type overlaps struct {
	schema   *ast.Schema
	addError core.AddErrFunc
	visits   int
	errors   int
}

// done reports whether more errors would not be told.
func (o *overlaps) done() bool { return o.errors >= ErrorsMax }

// merge merges selections, within the bound.
func (o *overlaps) merge(sets []ast.SelectionSet) []mergedField {
	if o.done() {
		return nil
	}
	merged := collect(sets, func(spread *ast.FragmentSpread) *ast.FragmentDefinition { return spread.Definition })
	if o.visits += merged.count; o.visits > mergeVisitsMax {
		o.errors = ErrorsMax
		o.addError(core.Message("The document has too many fields of several types with one response name."))
		return nil
	}
	return merged.list
}

// object checks the selections of an object.
func (o *overlaps) object(sets []ast.SelectionSet) {
	for _, merged := range o.merge(sets) {
		fields := slices.DeleteFunc(merged.fields, func(f *ast.Field) bool { return f.ObjectDefinition == nil || f.Definition == nil })
		if len(fields) == 0 {
			continue // other rules refuse unknown fields
		}
		classes := together(fields)
		for _, class := range classes {
			o.same(merged.name, class)
		}
		if len(classes) > 1 {
			o.shape(merged.name, fields)
			if sets := below(fields); len(sets) > 1 {
				o.shapes(sets)
			}
		}
		for _, class := range classes {
			if sets := below(class); len(sets) > 0 {
				o.object(sets)
			}
		}
	}
}

// shapes checks the selections of values of which no object has two: they need have the
// same types only.
func (o *overlaps) shapes(sets []ast.SelectionSet) {
	for _, merged := range o.merge(sets) {
		fields := slices.DeleteFunc(merged.fields, func(f *ast.Field) bool { return f.ObjectDefinition == nil || f.Definition == nil })
		if len(fields) > 1 {
			o.shape(merged.name, fields)
			o.shapes(below(fields))
		}
	}
}

// together returns the fields that one object may have: for each object type its own
// fields, and all fields of interfaces and unions with them.
func together(fields []*ast.Field) (classes [][]*ast.Field) {
	first := fields[0].ObjectDefinition
	if !slices.ContainsFunc(fields, func(f *ast.Field) bool { return f.ObjectDefinition != first }) {
		return [][]*ast.Field{fields}
	}
	var abstract []*ast.Field
	types := map[*ast.Definition]int{}
	for _, field := range fields {
		if field.ObjectDefinition.Kind != ast.Object {
			abstract = append(abstract, field)
		} else if i, known := types[field.ObjectDefinition]; known {
			classes[i] = append(classes[i], field)
		} else {
			types[field.ObjectDefinition] = len(classes)
			classes = append(classes, []*ast.Field{field})
		}
	}
	if classes == nil {
		return [][]*ast.Field{abstract}
	}
	for i := range classes {
		classes[i] = append(slices.Clip(abstract), classes[i]...)
	}
	return classes
}

// same checks that fields are the same field with the same arguments.
func (o *overlaps) same(name string, fields []*ast.Field) {
	first := fields[0]
	for _, field := range fields[1:] {
		switch {
		case field.Name != first.Name:
			o.conflict(name, field, fmt.Sprintf("%q and %q are different fields", first.Name, field.Name))
		case !sameArguments(first.Arguments, field.Arguments):
			o.conflict(name, field, "they have differing arguments")
		case o.differ(first.Definition.Type, field.Definition.Type):
			o.conflictOfTypes(name, first, field)
		}
	}
}

// shape checks that fields have values of the same type.
func (o *overlaps) shape(name string, fields []*ast.Field) {
	for _, field := range fields[1:] {
		if o.differ(fields[0].Definition.Type, field.Definition.Type) {
			o.conflictOfTypes(name, fields[0], field)
		}
	}
}

func (o *overlaps) conflictOfTypes(name string, a, b *ast.Field) {
	o.conflict(name, b, fmt.Sprintf("they return conflicting types %q and %q", a.Definition.Type.String(), b.Definition.Type.String()))
}

func (o *overlaps) conflict(name string, at *ast.Field, reason string) {
	if o.done() {
		return
	}
	o.errors++
	o.addError(core.Message("Fields %q conflict because %s. Use different aliases on the fields to fetch both if this was intentional.", name, reason), core.At(at.Position))
}

// differ reports whether a value cannot be of both types. The fields of objects are
// compared one by one.
func (o *overlaps) differ(a, b *ast.Type) bool {
	if a.NonNull != b.NonNull || (a.Elem == nil) != (b.Elem == nil) {
		return true
	}
	if a.Elem != nil {
		return o.differ(a.Elem, b.Elem)
	}
	if a.NamedType == b.NamedType {
		return false
	}
	return o.schema.Types[a.NamedType].IsLeafType() || o.schema.Types[b.NamedType].IsLeafType()
}

func sameArguments(a, b ast.ArgumentList) bool {
	if len(a) != len(b) {
		return false
	}
	for _, argument := range a {
		other := b.ForName(argument.Name)
		if other == nil || !sameValue(argument.Value, other.Value) {
			return false
		}
	}
	return true
}

// sameValue reports whether two literals are the same. The order of an object's fields
// does not count.
func sameValue(a, b *ast.Value) bool {
	if a.Kind != b.Kind || a.Raw != b.Raw || len(a.Children) != len(b.Children) {
		return false
	}
	as, bs := a.Children, b.Children
	if a.Kind == ast.ObjectValue {
		as, bs = byName(as), byName(bs)
	}
	for i := range as {
		if as[i].Name != bs[i].Name || !sameValue(as[i].Value, bs[i].Value) {
			return false
		}
	}
	return true
}

func byName(list ast.ChildValueList) ast.ChildValueList {
	return slices.SortedStableFunc(slices.Values(list), func(a, b *ast.ChildValue) int { return strings.Compare(a.Name, b.Name) })
}
