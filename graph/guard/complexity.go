package guard

import (
	"context"
	"math"
	"sync"

	"github.com/99designs/gqlgen/complexity"
	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// complexityExceeded is the code of gqlgen's complexity limit.
const complexityExceeded = "COMPLEXITY_LIMIT_EXCEEDED"

// RawCost returns the cost of a field from its arguments as they were sent; ok is false
// where it needs them in the types of the resolver.
type RawCost func(child int, arguments map[string]any) (cost int, ok bool)

// Complexity bounds the complexity of an operation, as gqlgen's limit of the same name
// does. Of a document in the cache it computes once what no variable changes. It is a
// gqlgen extension.
type Complexity struct {
	// Limit is the largest complexity.
	Limit int
	// RawCosts has fields, such as Query.stocks, whose cost needs no resolver's types.
	RawCosts map[string]RawCost

	executable graphql.ExecutableSchema
}

var (
	_ graphql.HandlerExtension        = (*Complexity)(nil)
	_ graphql.OperationContextMutator = (*Complexity)(nil)
)

// ExtensionName implements graphql.HandlerExtension.
func (*Complexity) ExtensionName() string { return "ComplexityLimit" }

// Validate implements graphql.HandlerExtension.
func (c *Complexity) Validate(schema graphql.ExecutableSchema) error {
	c.executable = schema
	return nil
}

// MutateOperationContext implements graphql.OperationContextMutator.
func (c *Complexity) MutateOperationContext(ctx context.Context, operation *graphql.OperationContext) *gqlerror.Error {
	n := c.of(ctx, operation)
	if n > c.Limit {
		err := gqlerror.Errorf("operation has complexity %d, which exceeds the limit of %d", n, c.Limit)
		errcode.Set(err, complexityExceeded)
		return err
	}
	if a, inArray := ctx.Value(arrayKey{}).(*Array); inArray {
		a.AddComplexity(n)
	}
	return nil
}

func (c *Complexity) of(ctx context.Context, operation *graphql.OperationContext) int {
	if document := DocumentOf(operation); document != nil {
		if sum := document.costs.of(c, operation.Operation); sum != nil {
			return c.eval(ctx, *sum, operation.Variables)
		}
	}
	return complexity.Calculate(ctx, c.executable, operation.Operation, operation.Variables)
}

// costSum is the complexity of a selection set: a constant, and fields whose cost
// depends on variables.
type costSum struct {
	constant int
	fields   []fieldCost
}

// fieldCost is a field with variables in its arguments or below.
type fieldCost struct {
	field *ast.Field
	child costSum
}

// costFieldsMax bounds the fields that are kept of one operation. Expanded fragments can
// have thousands; such an operation is counted anew each time.
const costFieldsMax = 64

func (sum costSum) size() (n int) {
	for _, cost := range sum.fields {
		n += 1 + cost.child.size()
	}
	return n
}

// documentCosts has the sums of a document's operations; nil for one that is too large.
type documentCosts struct {
	mu         sync.Mutex
	operations map[*ast.OperationDefinition]*costSum
}

func (d *documentCosts) of(c *Complexity, operation *ast.OperationDefinition) *costSum {
	d.mu.Lock()
	defer d.mu.Unlock()
	sum, known := d.operations[operation]
	if !known {
		if d.operations == nil {
			d.operations = map[*ast.OperationDefinition]*costSum{}
		}
		if made := c.sumOf(operation.SelectionSet); made.size() <= costFieldsMax {
			sum = &made
		}
		d.operations[operation] = sum
	}
	return sum
}

// sumOf adds up a selection set. Fields are left out, and counted, as gqlgen does it.
func (c *Complexity) sumOf(set ast.SelectionSet) (sum costSum) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			sum.addField(c, s)
		case *ast.FragmentSpread:
			sum.add(c.sumOf(s.Definition.SelectionSet))
		case *ast.InlineFragment:
			sum.add(c.sumOf(s.SelectionSet))
		}
	}
	return sum
}

func (sum *costSum) add(other costSum) {
	sum.constant = addCosts(sum.constant, other.constant)
	sum.fields = append(sum.fields, other.fields...)
}

func (sum *costSum) addField(c *Complexity, s *ast.Field) {
	result := c.executable.Schema().Types[s.Definition.Type.Name()]
	if result.Name == "__Schema" {
		return
	}
	cost := fieldCost{field: s}
	switch result.Kind {
	case ast.Object, ast.Interface, ast.Union:
		cost.child = c.sumOf(s.SelectionSet)
	}
	varies := len(cost.child.fields) > 0
	for _, argument := range s.Arguments {
		varies = varies || hasVariables(argument.Value)
	}
	if varies {
		sum.fields = append(sum.fields, cost)
		return
	}
	sum.constant = addCosts(sum.constant, c.ofField(context.Background(), cost, cost.child.constant, nil))
}

func hasVariables(value *ast.Value) bool {
	if value.Kind == ast.Variable {
		return true
	}
	for _, child := range value.Children {
		if hasVariables(child.Value) {
			return true
		}
	}
	return false
}

// eval adds up a sum with the values of the variables.
func (c *Complexity) eval(ctx context.Context, sum costSum, variables map[string]any) int {
	n := sum.constant
	for _, cost := range sum.fields {
		n = addCosts(n, c.ofField(ctx, cost, c.eval(ctx, cost.child, variables), variables))
	}
	return n
}

// ofField returns the cost of a field. That of an interface's field is the largest of
// the types that it may have.
func (c *Complexity) ofField(ctx context.Context, cost fieldCost, child int, variables map[string]any) int {
	arguments := cost.field.ArgumentMap(variables)
	if cost.field.ObjectDefinition.Kind != ast.Interface {
		return c.ofTypesField(ctx, cost.field.ObjectDefinition.Name, cost.field.Name, child, arguments)
	}
	most := 0
	for _, t := range c.executable.Schema().GetPossibleTypes(cost.field.ObjectDefinition) {
		most = max(most, c.ofTypesField(ctx, t.Name, cost.field.Name, child, arguments))
	}
	return most
}

func (c *Complexity) ofTypesField(ctx context.Context, of, field string, child int, arguments map[string]any) int {
	if raw := c.RawCosts[of+"."+field]; raw != nil {
		if n, ok := raw(child, arguments); ok && n >= 1 {
			return n
		}
	}
	if n, ok := c.executable.Complexity(ctx, of, field, child, arguments); ok && n >= 1 {
		return n
	}
	return addCosts(1, child)
}

// addCosts adds up to the largest int. Negative costs count as nothing.
func addCosts(a, b int) int {
	a, b = max(a, 0), max(b, 0)
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}
