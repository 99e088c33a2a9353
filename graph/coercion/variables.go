package coercion

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

// Variables coerces the variables of a request. It is a gqlgen extension, and must come
// after the one that puts the parsed document into the operation context.
type Variables struct {
	// Suggests reports whether the caller may see names of the schema in refusals; nil
	// where every caller may.
	Suggests func(context.Context) bool

	schema *ast.Schema
}

var (
	_ graphql.HandlerExtension          = (*Variables)(nil)
	_ graphql.OperationParameterMutator = (*Variables)(nil)
)

// ExtensionName implements graphql.HandlerExtension.
func (*Variables) ExtensionName() string { return "Variables" }

// Validate implements graphql.HandlerExtension.
func (v *Variables) Validate(schema graphql.ExecutableSchema) error {
	v.schema = schema.Schema()
	return nil
}

// MutateOperationParameters implements graphql.OperationParameterMutator. A document
// that could not be parsed, or has no such operation, is left to gqlgen.
func (v *Variables) MutateOperationParameters(ctx context.Context, request *graphql.RawParams) *gqlerror.Error {
	document := graphql.GetOperationContext(ctx).Doc
	if document == nil {
		return nil
	}
	operation := document.Operations.ForName(request.OperationName)
	if operation == nil {
		return nil
	}
	silent := v.Suggests != nil && !v.Suggests(ctx)
	return coerceVariables(v.schema, operation, request.Variables, silent)
}

// pathLength is the length of most paths. All variables use the memory of one path.
const pathLength = 8

// coerceVariables replaces the values of the operation's variables, and returns the
// first that is refused. The document need not be valid.
func coerceVariables(schema *ast.Schema, operation *ast.OperationDefinition, values map[string]any, silent bool) *gqlerror.Error {
	if len(operation.VariableDefinitions) == 0 {
		return nil
	}
	c := coercer{schema: schema, silent: silent, path: make(ast.Path, 0, pathLength)}
	for _, definition := range operation.VariableDefinitions {
		c.path = append(c.path[:0], ast.PathName(definition.Variable))
		value, given := values[definition.Variable]
		var problem refusal
		switch {
		case given:
			values[definition.Variable], problem = c.value(definition.Type, value)
		case definition.Type.NonNull && definition.DefaultValue == nil:
			problem = refusal(definition.Type.String() + " is required, and was left out")
		}
		if problem != "" {
			return &gqlerror.Error{
				Message:    c.message("variable $"+definition.Variable, problem),
				Path:       append(ast.Path{ast.PathName("variable")}, c.path...),
				Extensions: map[string]any{"code": string(models.CodeBadUserInput)},
			}
		}
	}
	return nil
}

// message joins the name of the variable or argument, the path in it and the refusal.
func (c *coercer) message(name string, problem refusal) string {
	if len(c.path) > 1 {
		name += " at " + c.path.String()
	}
	return name + ": " + string(problem)
}
