package compiled

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/access"
)

// compiler compiles the selections of one operation.
type compiler struct {
	fragments ast.FragmentDefinitionList
	variables map[string]any // of @skip and @include
	entries   *atomic.Int32  // counts the entries of the document
	// text is the selections in a canonical form: response keys, fields, objects. It has
	// no arguments.
	text strings.Builder
	// loads: a field below the root loads stock.
	loads bool
	// ids are the arguments of fields below the root.
	ids []argument
	// rules are the rules of access of all fields.
	rules access.Rules
}

// collected is a field of a flattened selection.
type collected struct {
	*ast.Field                  // the first of those that are merged
	selections ast.SelectionSet // of all of them
}

// collect flattens a selection for a type that satisfies these names, in the order of
// the generated executor's graphql.CollectFields.
func (c *compiler) collect(set ast.SelectionSet, satisfies []string) []*collected {
	var fields []*collected
	visited := map[string]bool{}
	var visit func(ast.SelectionSet)
	visit = func(set ast.SelectionSet) {
		for _, selection := range set {
			switch selection := selection.(type) {
			case *ast.Field:
				if c.included(selection.Directives) {
					fields = merge(fields, selection)
				}
			case *ast.InlineFragment:
				if c.included(selection.Directives) && matches(selection.TypeCondition, satisfies) {
					visit(selection.SelectionSet)
				}
			case *ast.FragmentSpread:
				if visited[selection.Name] || !c.included(selection.Directives) {
					continue
				}
				visited[selection.Name] = true
				if fragment := c.fragments.ForName(selection.Name); fragment != nil && matches(fragment.TypeCondition, satisfies) {
					visit(fragment.SelectionSet)
				}
			}
		}
	}
	visit(set)
	return fields
}

// merge adds a field, or its selections to the one with the same response key. Validation
// has checked that both are the same field with the same arguments.
func merge(fields []*collected, field *ast.Field) []*collected {
	for _, f := range fields {
		if f.Alias == field.Alias {
			f.selections = append(slices.Clip(f.selections), field.SelectionSet...)
			return fields
		}
	}
	return append(fields, &collected{Field: field, selections: field.SelectionSet})
}

func matches(condition string, satisfies []string) bool {
	return condition == "" || slices.Contains(satisfies, condition)
}

func (c *compiler) included(directives ast.DirectiveList) bool {
	for _, directive := range directives {
		condition, _ := conditionOf(directive).Value(c.variables)
		if condition != (directive.Name == "include") {
			return false
		}
	}
	return true
}

// addID adds an optional id, an argument of a field below the root. It returns its index
// in writer.ids.
func (c *compiler) addID(field *ast.Field, name string) int {
	c.ids = append(c.ids, argument{field: field, name: name})
	return len(c.ids) - 1
}

// count counts an entry, and reports whether there may be one more.
func (c *compiler) count() bool { return c.entries.Add(1) <= entriesMax }

// key is what precedes a value in the object: its response key, and a comma for all but
// the first.
func key(alias string, first bool) string {
	if first {
		return `"` + alias + `":`
	}
	return `,"` + alias + `":`
}
