package compiled

import (
	"slices"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/guard"
)

const (
	// conditionsMax is how many variables @skip and @include may name. Each value of
	// them is compiled by itself.
	conditionsMax = 3
	// entriesMax bounds the fields that are compiled for one document, fragments
	// expanded, over all its operations and all values of the conditions. An entry takes
	// some 100 bytes.
	entriesMax = 1_000
)

// document has the compiled operations of a cached document.
type document struct {
	operations []*operation
	entries    atomic.Int32 // of all that was compiled
}

// operation has the compiled queries of one operation.
type operation struct {
	definition *ast.OperationDefinition
	fragments  ast.FragmentDefinitionList
	in         *document
	conditions []string // the variables that @skip and @include name
	queries    [1 << conditionsMax]atomic.Pointer[compiledQuery]
}

// compiledQuery is the result of compiling; query is nil for what is not compiled.
type compiledQuery struct{ query *query }

// newDocument prepares the operations that may be compiled. Compiling itself needs the
// values of variables.
func newDocument(parsed *ast.QueryDocument) any {
	d := &document{}
	for _, definition := range parsed.Operations {
		if definition.Operation != ast.Query {
			continue
		}
		if conditions, ok := conditionsOf(definition.SelectionSet, parsed.Fragments); ok {
			d.operations = append(d.operations, &operation{definition: definition, fragments: parsed.Fragments, in: d, conditions: conditions})
		}
	}
	return d
}

// queryOf returns the compiled query of an operation; nil when the generated executor
// has to answer it.
func queryOf(context *graphql.OperationContext) *query {
	if context.Operation.Operation != ast.Query {
		return nil
	}
	kept := guard.DocumentOf(context)
	if kept == nil {
		return nil
	}
	for _, o := range kept.Compiled(newDocument).(*document).operations {
		if o.definition == context.Operation {
			return o.query(context.Variables)
		}
	}
	return nil
}

// query returns the query for these values of the variables, and compiles it when it is
// the first with its conditions.
func (o *operation) query(variables map[string]any) *query {
	values := 0
	for i, name := range o.conditions {
		value, ok := variables[name].(bool)
		if !ok {
			return nil // null, which the generated executor reports
		}
		if value {
			values |= 1 << i
		}
	}
	if done := o.queries[values].Load(); done != nil {
		return done.query
	}
	c := &compiler{fragments: o.fragments, variables: variables, entries: &o.in.entries}
	done := &compiledQuery{query: c.query(o.definition.SelectionSet)}
	o.queries[values].Store(done)
	return done.query
}

// conditionsOf lists the variables that @skip and @include name, and reports whether
// there is no other directive and there are at most conditionsMax of them.
func conditionsOf(set ast.SelectionSet, fragments ast.FragmentDefinitionList) (names []string, ok bool) {
	visited := map[string]bool{}
	var visit func(ast.SelectionSet) bool
	visit = func(set ast.SelectionSet) bool {
		for _, selection := range set {
			var directives ast.DirectiveList
			var below ast.SelectionSet
			switch selection := selection.(type) {
			case *ast.Field:
				directives, below = selection.Directives, selection.SelectionSet
			case *ast.InlineFragment:
				directives, below = selection.Directives, selection.SelectionSet
			case *ast.FragmentSpread:
				directives = selection.Directives
				if fragment := fragments.ForName(selection.Name); fragment != nil && !visited[selection.Name] {
					visited[selection.Name] = true
					below = fragment.SelectionSet
				}
			}
			for _, directive := range directives {
				condition := conditionOf(directive)
				if condition == nil {
					return false
				}
				if condition.Kind == ast.Variable && !slices.Contains(names, condition.Raw) {
					names = append(names, condition.Raw)
				}
			}
			if !visit(below) {
				return false
			}
		}
		return true
	}
	return names, visit(set) && len(names) <= conditionsMax
}

// conditionOf returns the condition of @skip or @include; nil for another directive.
func conditionOf(directive *ast.Directive) *ast.Value {
	if directive.Name != "skip" && directive.Name != "include" {
		return nil
	}
	argument := directive.Arguments.ForName("if")
	if argument == nil || argument.Value.Kind != ast.Variable && argument.Value.Kind != ast.BooleanValue {
		return nil
	}
	return argument.Value
}
