package generated

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// This file is written by hand, and the generator keeps it. The executor leaves two fields
// of Query to methods that gqlgen's plugin for federation would generate. The plugin
// resolves all representations of a type as the first one says, and reports what is wrong
// with one of them without its place, so these methods are ours.

// FederationResolver resolves these fields. The resolver of a [Config] implements it.
type FederationResolver interface {
	// Entities resolves representations in their order, nil for unknown entities. errs has
	// the errors of single ones; nil for none. err is that of the field.
	Entities(ctx context.Context, representations []any) (found []Entity, errs []error, err error)
	// Subgraph is the schema of the subgraph.
	Subgraph() string
}

// __resolve_entities resolves Query._entities; nil when it has failed.
func (ec *executionContext) __resolve_entities(ctx context.Context, representations []any) any {
	found, errs, err := ec.Resolvers.(FederationResolver).Entities(ctx, representations)
	if err != nil {
		ec.Error(ctx, graphql.AddFieldLocationToError(ctx, err))
		return nil
	}
	for i, err := range errs {
		if err != nil {
			graphql.AddError(ctx, gqlerror.WrapPath(append(graphql.GetPath(ctx), ast.PathIndex(i)), err))
		}
	}
	return found
}

// __resolve__service resolves Query._service.
func (ec *executionContext) __resolve__service(context.Context) (Service, error) {
	return Service{Sdl: ec.Resolvers.(FederationResolver).Subgraph()}, nil
}
