package compiled

import (
	"context"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/federation"
	"onhand/graph/generated"
	"onhand/graph/viewer"
	"onhand/models"
	"onhand/models/paging"
)

// Reads are the reads of compiled operations, with the rules and errors of the resolvers.
// Stocks and products are loaded with the loaders of the response.
type Reads interface {
	Directory() *models.Directory
	// QuantityCap is the cap that counts for the caller.
	QuantityCap(ctx context.Context) viewer.QuantityCap
	ServerTime(ctx context.Context) (*time.Time, error)
	Stock(ctx context.Context, productID string, channel *string, minVersion *int64, asOf *time.Time) (*models.Stock, error)
	Stocks(ctx context.Context, productIDs []string, channel *string) ([]*models.Stock, error)
	// StockOf is the stock of a product that was read; nil when it is gone since.
	StockOf(ctx context.Context, productID string, channel *string) (*models.Stock, error)
	Product(ctx context.Context, id string) (*models.Product, error)
	ProductPage(ctx context.Context, first *int, after *string, last *int, before *string, filter *generated.ProductFilter, orderBy paging.ProductOrder) (paging.ProductPage, error)
	Location(ctx context.Context, id string) (*models.Location, error)
	Node(ctx context.Context, id string) (generated.Node, error)
	// Entities finds entities in the order of keys, nil for unknown ones. errs has the
	// errors of single ones; nil for none.
	Entities(ctx context.Context, keys []federation.Key) (found []generated.Entity, errs []error, err error)
}

// Schema is an executable schema that answers compiled operations itself, and passes the
// others to the generated one.
type Schema struct {
	graphql.ExecutableSchema
	reads Reads
}

// New returns a schema over the generated one.
func New(reference graphql.ExecutableSchema, reads Reads) *Schema {
	return &Schema{ExecutableSchema: reference, reads: reads}
}

// Exec implements graphql.ExecutableSchema.
func (s *Schema) Exec(ctx context.Context) graphql.ResponseHandler {
	operation := graphql.GetOperationContext(ctx)
	if q := queryOf(operation); q != nil && q.rules.Allow(ctx) {
		if r, ok := q.request(operation.Variables); ok {
			e := &execution{request: r, reads: s.reads, recover: operation.RecoverFunc}
			return e.once()
		}
	}
	return s.ExecutableSchema.Exec(ctx)
}
