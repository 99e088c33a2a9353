package validation

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
)

// The limits of one document. GraphiQL's introspection query has 81 selections, 240 with its fragments expanded, 15
// levels deep. A stitching gateway sends 100 aliased fields with a handful of selections each.
const (
	// SelectionsMax bounds fields, inline fragments and spreads, as they are written.
	SelectionsMax = 1_000
	// SelectionsSpreadMax bounds them with every fragment expanded. Nested fragments double with every step, and the
	// complexity limit visits each of them.
	SelectionsSpreadMax = 4_000
	// WalkedMax bounds the same for each fragment by itself, added up. Validation walks them one by one.
	WalkedMax = 5 * SelectionsSpreadMax
	// IntrospectionSpreadMax bounds them in a document that reads the schema. The complexity limit counts the schema's
	// lists as one element each.
	IntrospectionSpreadMax = 500
	// AliasesMax bounds the aliases of a document.
	AliasesMax = 100
	// RepeatsMax bounds the fields of one object that are merged into one.
	RepeatsMax = 50
	// DepthMax bounds the fields and inline fragments around a selection, with every fragment expanded.
	DepthMax = 20
	// DirectivesMax bounds the directives of a document, DirectivesOfOneMax those of one place.
	DirectivesMax      = 200
	DirectivesOfOneMax = 4
)

// Size is what counts of a document. Counts of what is expanded end just above their limits.
type Size struct {
	Written       int // selections as the document has them
	Reached       int // selections with every fragment expanded
	Introspecting int // Reached, where the document reads the schema; otherwise 0

	walked                      int // selections of each fragment, with every fragment in it expanded
	aliases, depth, repeats     int
	directives, directivesOfOne int
	invalid                     string // a refusal of validation that measuring has to make
}

// SizeOf measures a document. It need not be valid.
func SizeOf(document *ast.QueryDocument) Size {
	m := measure{fragments: document.Fragments, sums: map[string]fragmentSum{}}
	for _, operation := range document.Operations {
		m.directivesAt(operation.Directives)
		for _, variable := range operation.VariableDefinitions {
			m.directivesAt(variable.Directives)
		}
		m.written(operation.SelectionSet)
		m.root(m.expanded(operation.SelectionSet))
	}
	for _, fragment := range document.Fragments {
		m.directivesAt(fragment.Directives)
		m.written(fragment.SelectionSet)
		if m.fragments.ForName(fragment.Name) != fragment {
			m.size.invalid = fmt.Sprintf("There can be only one fragment named %q.", fragment.Name)
		}
		_, spread := m.sums[fragment.Name]
		sum := m.ofFragment(fragment.Name)
		m.size.walked += sum.selections
		if !spread { // validation looks at it too, and then refuses it
			m.unused = append(m.unused, fragment.SelectionSet)
			m.root(sum)
		}
	}
	if m.introspects {
		m.size.Introspecting = m.size.Reached
	}
	if m.size.invalid == "" && m.size.Check() == "" { // the other limits bound the work
		m.repeats(document)
	}
	return m.size
}

// Check returns what a document has too much of; empty when it is within the limits.
func (s Size) Check() (problem string) {
	for _, limit := range []struct {
		n, most int
		format  string
	}{
		{s.Written, SelectionsMax, "a document has at most %d selections, not %d"},
		{s.aliases, AliasesMax, "a document has at most %d aliases, not %d"},
		{s.directives, DirectivesMax, "a document has at most %d directives, not %d"},
		{s.directivesOfOne, DirectivesOfOneMax, "a field or fragment has at most %d directives, not %d"},
	} {
		if limit.n > limit.most {
			return fmt.Sprintf(limit.format, limit.most, limit.n)
		}
	}
	switch {
	case s.Reached > SelectionsSpreadMax:
		return fmt.Sprintf("a document has at most %d selections once its fragments are in place", SelectionsSpreadMax)
	case s.walked > WalkedMax:
		return fmt.Sprintf("the fragments of a document have together at most %d selections once the fragments in them are in place", WalkedMax)
	case s.depth > DepthMax:
		return fmt.Sprintf("a document is at most %d levels deep", DepthMax)
	case s.Introspecting > IntrospectionSpreadMax:
		return fmt.Sprintf("a document that asks for the schema has at most %d selections once its fragments are in place", IntrospectionSpreadMax)
	case s.repeats > RepeatsMax:
		return fmt.Sprintf("a response name comes at most %d times in one object", RepeatsMax)
	}
	return ""
}

// Invalid returns what is wrong with fragments of a document that is not measured any further; empty for nothing.
func (s Size) Invalid() string { return s.invalid }

// fragmentSum is what a fragment adds where it is spread.
type fragmentSum struct {
	selections int
	depth      int
	open       bool // it is being counted
}

// measure is the state of measuring one document.
type measure struct {
	size        Size
	fragments   ast.FragmentDefinitionList
	introspects bool
	sums        map[string]fragmentSum // of the fragments that were reached
	unused      []ast.SelectionSet     // of the fragments that none spreads
}

func (m *measure) directivesAt(list ast.DirectiveList) {
	m.size.directives += len(list)
	m.size.directivesOfOne = max(m.size.directivesOfOne, len(list))
}

// written counts what a selection set has as it is written.
func (m *measure) written(set ast.SelectionSet) {
	m.size.Written += len(set)
	for _, selection := range set {
		switch selection := selection.(type) {
		case *ast.Field:
			m.directivesAt(selection.Directives)
			if selection.Alias != selection.Name {
				m.size.aliases++
			}
			if selection.Name == "__schema" || selection.Name == "__type" {
				m.introspects = true
			}
			m.written(selection.SelectionSet)
		case *ast.InlineFragment:
			m.directivesAt(selection.Directives)
			m.written(selection.SelectionSet)
		case *ast.FragmentSpread:
			m.directivesAt(selection.Directives)
		}
	}
}

// root adds an operation, or a fragment that none spreads, with its fragments expanded.
func (m *measure) root(sum fragmentSum) {
	m.size.Reached = min(m.size.Reached+sum.selections, SelectionsSpreadMax+1)
	m.size.depth = max(m.size.depth, sum.depth)
}

// expanded counts a selection set. Each fragment is counted once, and added wherever it is spread.
func (m *measure) expanded(set ast.SelectionSet) (sum fragmentSum) {
	for _, selection := range set {
		var below fragmentSum
		switch selection := selection.(type) {
		case *ast.Field:
			below = m.expanded(selection.SelectionSet)
			below.depth++
		case *ast.InlineFragment:
			below = m.expanded(selection.SelectionSet)
			below.depth++
		case *ast.FragmentSpread:
			below = m.ofFragment(selection.Name)
		}
		sum.selections += 1 + below.selections
		sum.depth = max(sum.depth, below.depth)
	}
	sum.selections, sum.depth = min(sum.selections, SelectionsSpreadMax+1), min(sum.depth, DepthMax+1)
	return sum
}

func (m *measure) ofFragment(name string) fragmentSum {
	sum, counted := m.sums[name]
	if sum.open {
		m.size.invalid = fmt.Sprintf("Cannot spread fragment %q within itself.", name)
		return fragmentSum{}
	}
	fragment := m.fragments.ForName(name)
	if counted || fragment == nil {
		return sum
	}
	m.sums[name] = fragmentSum{open: true}
	sum = m.expanded(fragment.SelectionSet)
	m.sums[name] = sum
	return sum
}

// repeats finds the most fields that are merged into one.
func (m *measure) repeats(document *ast.QueryDocument) {
	for _, operation := range document.Operations {
		m.merge([]ast.SelectionSet{operation.SelectionSet})
	}
	for _, set := range m.unused {
		m.merge([]ast.SelectionSet{set})
	}
}

// merge counts the fields of one object, and goes on with the selections of each.
func (m *measure) merge(sets []ast.SelectionSet) {
	for _, field := range collect(sets, func(spread *ast.FragmentSpread) *ast.FragmentDefinition { return m.fragments.ForName(spread.Name) }).list {
		m.size.repeats = max(m.size.repeats, len(field.fields))
		if sets := below(field.fields); sets != nil {
			m.merge(sets)
		}
	}
}
