package guard

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/graph/validation"
	"onhand/models"
)

// Introspection lets callers read the schema. It is a gqlgen extension.
type Introspection struct {
	// AdminOnly refuses every caller without the scope admin.
	AdminOnly bool
}

var (
	_ graphql.HandlerExtension        = Introspection{}
	_ graphql.OperationContextMutator = Introspection{}
)

// ExtensionName implements graphql.HandlerExtension.
func (Introspection) ExtensionName() string { return "Introspection" }

// Validate implements graphql.HandlerExtension.
func (Introspection) Validate(graphql.ExecutableSchema) error { return nil }

// Allowed reports whether the caller may read the schema.
func (i Introspection) Allowed(ctx context.Context) bool { return !i.AdminOnly || Has(ctx, Admin) }

// MutateOperationContext implements graphql.OperationContextMutator. It refuses a
// document that reads the schema, before anything is executed. __typename is no part of
// the schema.
func (i Introspection) MutateOperationContext(ctx context.Context, operation *graphql.OperationContext) *gqlerror.Error {
	if i.Allowed(ctx) {
		operation.DisableIntrospection = false
		return nil
	}
	var size validation.Size
	if document := DocumentOf(operation); document != nil {
		size = document.size
	} else {
		size = validation.SizeOf(operation.Doc)
	}
	if size.Introspecting == 0 {
		return nil
	}
	code := models.CodeForbidden
	if Subject(ctx) == "" {
		code = models.CodeUnauthenticated
	}
	fault := &models.Fault{Code: code, Message: "reading the schema needs scope " + string(Admin)}
	return &gqlerror.Error{Err: fault, Message: fault.Message, Extensions: map[string]any{"code": string(code)}}
}
