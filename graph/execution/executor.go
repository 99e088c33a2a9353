package execution

import (
	"context"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"

	"onhand/graph/guard"
	"onhand/graph/validation"
)

// OperationExecutor prepares operations, and leaves their execution to gqlgen's executor. Make it with New, and add all
// extensions before the first request.
type OperationExecutor struct {
	*executor.Executor

	schema            *ast.Schema
	documents         *guard.Documents
	suggests          func(context.Context) bool
	parameterMutators []graphql.OperationParameterMutator
	contextMutators   []graphql.OperationContextMutator
	onFailed          func(context.Context, gqlerror.List) *gqlerror.Error

	blank func() *graphql.OperationContext
}

// New returns an executor with this cache of documents, which must be one of the extensions too. suggests reports whether
// the caller may see names of the schema in refusals; nil where every caller may.
func New(schema graphql.ExecutableSchema, documents *guard.Documents, suggests func(context.Context) bool) *OperationExecutor {
	e := &OperationExecutor{Executor: executor.New(schema), schema: schema.Schema(), documents: documents, suggests: suggests}
	e.SetQueryCache(documents)
	e.blank = sync.OnceValue(e.makeBlank)
	return e
}

// Use adds an extension.
func (e *OperationExecutor) Use(extension graphql.HandlerExtension) {
	e.Executor.Use(extension)
	if mutator, ok := extension.(graphql.OperationParameterMutator); ok {
		e.parameterMutators = append(e.parameterMutators, mutator)
	}
	if mutator, ok := extension.(graphql.OperationContextMutator); ok {
		e.contextMutators = append(e.contextMutators, mutator)
	}
}

// OnFailed has each request that cannot be executed pass by failed, with its errors. The error that it returns takes their
// place, unless it is nil.
func (e *OperationExecutor) OnFailed(failed func(context.Context, gqlerror.List) *gqlerror.Error) {
	e.onFailed = failed
}

// makeBlank returns an operation context with what gqlgen sets in each of them, such as the middleware of fields.
func (e *OperationExecutor) makeBlank() *graphql.OperationContext {
	made, _ := e.Executor.CreateOperationContext(graphql.StartOperationTrace(context.Background()), &graphql.RawParams{Query: "{ __typename }"})
	return &graphql.OperationContext{
		DisableIntrospection: true, RecoverFunc: made.RecoverFunc,
		ResolverMiddleware: made.ResolverMiddleware, RootResolverMiddleware: made.RootResolverMiddleware,
	}
}

// CreateOperationContext implements graphql.GraphExecutor. It returns at most validation.ErrorsMax errors.
func (e *OperationExecutor) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	blank := e.blank()
	operation := &graphql.OperationContext{
		DisableIntrospection: blank.DisableIntrospection, RecoverFunc: blank.RecoverFunc,
		ResolverMiddleware: blank.ResolverMiddleware, RootResolverMiddleware: blank.RootResolverMiddleware,
	}
	errs := e.prepare(graphql.WithOperationContext(ctx, operation), operation, params)
	if errs != nil && e.onFailed != nil {
		if err := e.onFailed(ctx, errs); err != nil {
			errs = gqlerror.List{err}
		}
	}
	return operation, errs
}

// prepare does what gqlgen does, in the same order. A document of the cache is valid.
func (e *OperationExecutor) prepare(ctx context.Context, operation *graphql.OperationContext, params *graphql.RawParams) gqlerror.List {
	for _, mutator := range e.parameterMutators {
		if err := mutator.MutateOperationParameters(ctx, params); err != nil {
			return validation.Bound(gqlerror.List{err})
		}
	}
	operation.RawQuery, operation.OperationName = params.Query, params.OperationName
	operation.Extensions, operation.Headers = params.Extensions, params.Headers
	if guard.DocumentOf(operation) == nil {
		if errs := e.validate(ctx, operation.Doc, params.Query); errs != nil {
			return errs
		}
	}
	operation.Operation = operation.Doc.Operations.ForName(params.OperationName) // guard.Documents refuses other names
	var err *gqlerror.Error
	if operation.Variables, err = e.variables(operation.Operation, params.Variables); err != nil {
		return validation.Bound(gqlerror.List{err})
	}
	for _, mutator := range e.contextMutators {
		if err := mutator.MutateOperationContext(ctx, operation); err != nil {
			return validation.Bound(gqlerror.List{err})
		}
	}
	return nil
}

// validate validates a document, and adds it to the cache.
func (e *OperationExecutor) validate(ctx context.Context, document *ast.QueryDocument, text string) gqlerror.List {
	errs := validation.Validate(e.schema, document, text, e.suggests == nil || e.suggests(ctx))
	if errs == nil {
		e.documents.Add(ctx, text, document)
	}
	return errs
}

// variables returns the values of an operation's variables. Those that graph/coercion has coerced already need nothing
// more, unless they are objects, which gqlparser completes.
func (e *OperationExecutor) variables(operation *ast.OperationDefinition, values map[string]any) (map[string]any, *gqlerror.Error) {
	if coerced, ok := coercedVariables(operation.VariableDefinitions, values); ok {
		return coerced, nil
	}
	read, err := validator.VariableValues(e.schema, operation, values)
	if problem, ok := err.(*gqlerror.Error); ok {
		errcode.Set(problem, errcode.ValidationFailed)
		return read, problem
	}
	return read, nil
}

// coercedVariables returns the values as they are; ok is false where gqlparser must read them.
func coercedVariables(definitions ast.VariableDefinitionList, values map[string]any) (coerced map[string]any, ok bool) {
	given := 0
	for _, definition := range definitions {
		kind := definition.Definition.Kind
		if kind != ast.Scalar && kind != ast.Enum {
			return nil, false
		}
		if _, sent := values[definition.Variable]; sent {
			given++
		} else if definition.DefaultValue != nil || definition.Type.NonNull {
			return nil, false
		}
	}
	if given == len(values) && values != nil {
		return values, true
	}
	coerced = make(map[string]any, given)
	for _, definition := range definitions {
		if value, sent := values[definition.Variable]; sent {
			coerced[definition.Variable] = value
		}
	}
	return coerced, true
}
