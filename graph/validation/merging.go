package validation

import "github.com/vektah/gqlparser/v2/ast"

// mergedField has the fields of one object with one response name.
type mergedField struct {
	name   string
	fields []*ast.Field
}

// below are the selections of all the fields.
func below(fields []*ast.Field) (sets []ast.SelectionSet) {
	for _, field := range fields {
		if len(field.SelectionSet) > 0 {
			sets = append(sets, field.SelectionSet)
		}
	}
	return sets
}

// indexFrom is the number of response names from which on they are found by a map.
const indexFrom = 16

// mergedFields has the fields of one object, in the order in which their response names
// come. The fields of different types are together. A fragment counts once.
type mergedFields struct {
	list    []mergedField
	count   int // of all fields
	index   map[string]int
	visited map[string]bool
}

// collect merges selections. fragment returns the definition that a spread names; nil for none.
func collect(sets []ast.SelectionSet, fragment func(*ast.FragmentSpread) *ast.FragmentDefinition) *mergedFields {
	f := &mergedFields{}
	for _, set := range sets {
		f.add(set, fragment)
	}
	return f
}

func (f *mergedFields) add(set ast.SelectionSet, fragment func(*ast.FragmentSpread) *ast.FragmentDefinition) {
	for _, selection := range set {
		switch selection := selection.(type) {
		case *ast.Field:
			field := f.of(selection.Alias)
			field.fields = append(field.fields, selection)
			f.count++
		case *ast.InlineFragment:
			f.add(selection.SelectionSet, fragment)
		case *ast.FragmentSpread:
			if f.visited[selection.Name] {
				continue
			}
			if f.visited == nil {
				f.visited = map[string]bool{}
			}
			f.visited[selection.Name] = true
			if definition := fragment(selection); definition != nil {
				f.add(definition.SelectionSet, fragment)
			}
		}
	}
}

// of returns the entry of a response name.
func (f *mergedFields) of(name string) *mergedField {
	if f.index == nil {
		for i := range f.list {
			if f.list[i].name == name {
				return &f.list[i]
			}
		}
	} else if i, known := f.index[name]; known {
		return &f.list[i]
	}
	f.list = append(f.list, mergedField{name: name})
	switch last := len(f.list) - 1; {
	case f.index != nil:
		f.index[name] = last
	case len(f.list) == indexFrom:
		f.index = make(map[string]int, 2*indexFrom)
		for i, field := range f.list {
			f.index[field.name] = i
		}
	}
	return &f.list[len(f.list)-1]
}
