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
)

// OperationExecutor is gqlgen's executor with a shorter way for known documents. Make it with New, and add all extensions before
// the first request.
type OperationExecutor struct {
	*executor.Executor

	schema            *ast.Schema
	documents         *guard.Documents
	text              func(*graphql.RawParams) string // of a document that a request names by its hash; empty for none
	parameterMutators []graphql.OperationParameterMutator
	contextMutators   []graphql.OperationContextMutator

	blank func() *graphql.OperationContext
}

// New returns an executor with this cache of documents, which must be one of the extensions too. text returns the document
// that a request has only a hash of; empty where it is unknown.
func New(schema graphql.ExecutableSchema, documents *guard.Documents, text func(*graphql.RawParams) string) *OperationExecutor {
	e := &OperationExecutor{Executor: executor.New(schema), schema: schema.Schema(), documents: documents, text: text}
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

// makeBlank returns an operation context with what gqlgen sets in each of them, such as the middleware of fields.
func (e *OperationExecutor) makeBlank() *graphql.OperationContext {
	made, _ := e.Executor.CreateOperationContext(graphql.StartOperationTrace(context.Background()), &graphql.RawParams{Query: "{ __typename }"})
	return &graphql.OperationContext{
		DisableIntrospection: true, RecoverFunc: made.RecoverFunc,
		ResolverMiddleware: made.ResolverMiddleware, RootResolverMiddleware: made.RootResolverMiddleware,
	}
}

// CreateOperationContext implements graphql.GraphExecutor.
func (e *OperationExecutor) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	text := params.Query
	if text == "" && params.Extensions != nil {
		text = e.text(params)
	}
	document := e.documents.Find(text)
	if document == nil {
		return e.Executor.CreateOperationContext(graphql.StartOperationTrace(ctx), params)
	}
	blank := e.blank()
	operation := &graphql.OperationContext{
		DisableIntrospection: blank.DisableIntrospection, RecoverFunc: blank.RecoverFunc,
		ResolverMiddleware: blank.ResolverMiddleware, RootResolverMiddleware: blank.RootResolverMiddleware,
	}
	guard.SetDocument(operation, document)
	if err := e.prepare(graphql.WithOperationContext(ctx, operation), operation, document, params); err != nil {
		return operation, gqlerror.List{err}
	}
	return operation, nil
}

// prepare does what gqlgen does, in the same order, but for parsing and validating.
func (e *OperationExecutor) prepare(ctx context.Context, operation *graphql.OperationContext, document *guard.Document, params *graphql.RawParams) *gqlerror.Error {
	for _, mutator := range e.parameterMutators {
		if err := mutator.MutateOperationParameters(ctx, params); err != nil {
			return err
		}
	}
	operation.RawQuery, operation.OperationName = params.Query, params.OperationName
	operation.Extensions, operation.Headers = params.Extensions, params.Headers
	operation.Doc = document.Query
	if operation.Operation = document.Query.Operations.ForName(params.OperationName); operation.Operation == nil {
		err := gqlerror.Errorf("operation %s not found", params.OperationName)
		errcode.Set(err, errcode.ValidationFailed)
		return err
	}
	var err *gqlerror.Error
	if operation.Variables, err = e.variables(operation.Operation, params.Variables); err != nil {
		return err
	}
	for _, mutator := range e.contextMutators {
		if err := mutator.MutateOperationContext(ctx, operation); err != nil {
			return err
		}
	}
	return nil
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
