package guard

import (
	"context"
	"math"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

// complexityExceeded is the code of gqlgen's complexity limit.
const complexityExceeded = "COMPLEXITY_LIMIT_EXCEEDED"

// Cost is what an operation, or a part of it, costs.
type Cost struct {
	// Complexity is the sum of its fields, where a list costs its element times its length.
	Complexity int
	// Keys counts the ids, lines, rows and representations that it names.
	Keys int
}

// ArgumentCost returns the cost of a field from its coerced arguments and from the
// complexity of its selections.
type ArgumentCost func(child int, arguments map[string]any) Cost

// Complexity bounds the cost of an operation. It counts the complexity as gqlgen's limit
// of the same name does. Of a document in the cache it computes once what no variable
// changes. It is a gqlgen extension.
type Complexity struct {
	// Limit is the largest complexity; WriteLimit that of a mutation, 0 for the same.
	Limit, WriteLimit int
	// KeysLimit is the largest number of keys; 0 for none.
	KeysLimit int
	// Arguments has fields, such as Query.stocks, whose cost depends on their arguments.
	Arguments map[string]ArgumentCost
	// Charge is called with the cost of each operation within the limits, and may refuse
	// it; nil for no call.
	Charge func(ctx context.Context, operation *graphql.OperationContext, cost Cost) *gqlerror.Error

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
	cost, limit := c.of(ctx, operation), c.Limit
	if operation.Operation.Operation == ast.Mutation && c.WriteLimit > 0 {
		limit = c.WriteLimit
	}
	if cost.Complexity > limit {
		err := gqlerror.Errorf("operation has complexity %d, which exceeds the limit of %d", cost.Complexity, limit)
		errcode.Set(err, complexityExceeded)
		return err
	}
	if c.KeysLimit > 0 && cost.Keys > c.KeysLimit {
		return refusal(models.CodeBadUserInput, "an operation names at most %d ids, lines and rows together, not %d", c.KeysLimit, cost.Keys)
	}
	if a, inArray := ctx.Value(arrayKey{}).(*Array); inArray {
		a.AddCost(cost)
	}
	if c.Charge != nil {
		return c.Charge(ctx, operation, cost)
	}
	return nil
}

func (c *Complexity) of(ctx context.Context, operation *graphql.OperationContext) Cost {
	if document := DocumentOf(operation); document != nil {
		if sum := document.costs.of(c, operation.Operation); sum != nil {
			return c.eval(ctx, *sum, operation.Variables)
		}
	}
	return c.eval(ctx, c.sumOf(operation.Operation.SelectionSet), operation.Variables)
}

// costSum is the cost of a selection set: a constant, and fields whose cost depends on
// variables.
type costSum struct {
	constant Cost
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
	sum.constant = sum.constant.plus(other.constant)
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
	sum.constant = sum.constant.plus(c.ofField(context.Background(), cost, cost.child.constant, nil))
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
func (c *Complexity) eval(ctx context.Context, sum costSum, variables map[string]any) Cost {
	n := sum.constant
	for _, cost := range sum.fields {
		n = n.plus(c.ofField(ctx, cost, c.eval(ctx, cost.child, variables), variables))
	}
	return n
}

// ofField returns the cost of a field. A field of an interface costs what it costs in
// the most expensive of the types that it may have.
func (c *Complexity) ofField(ctx context.Context, cost fieldCost, child Cost, variables map[string]any) Cost {
	arguments := cost.field.ArgumentMap(variables)
	if cost.field.ObjectDefinition.Kind != ast.Interface {
		return c.ofTypesField(ctx, cost.field.ObjectDefinition.Name, cost.field.Name, child, arguments)
	}
	most := Cost{Keys: child.Keys}
	for _, t := range c.executable.Schema().GetPossibleTypes(cost.field.ObjectDefinition) {
		most.Complexity = max(most.Complexity, c.ofTypesField(ctx, t.Name, cost.field.Name, child, arguments).Complexity)
	}
	return most
}

func (c *Complexity) ofTypesField(ctx context.Context, of, field string, child Cost, arguments map[string]any) Cost {
	if argumentCost := c.Arguments[of+"."+field]; argumentCost != nil {
		cost := argumentCost(child.Complexity, arguments)
		return Cost{Complexity: max(cost.Complexity, 1), Keys: addCosts(cost.Keys, child.Keys)}
	}
	if n, ok := c.executable.Complexity(ctx, of, field, child.Complexity, arguments); ok && n >= 1 {
		return Cost{Complexity: n, Keys: child.Keys}
	}
	return Cost{Complexity: addCosts(1, child.Complexity), Keys: child.Keys}
}

func (c Cost) plus(other Cost) Cost {
	return Cost{Complexity: addCosts(c.Complexity, other.Complexity), Keys: addCosts(c.Keys, other.Keys)}
}

// addCosts adds up to the largest int. Negative costs count as nothing.
func addCosts(a, b int) int {
	a, b = max(a, 0), max(b, 0)
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}
