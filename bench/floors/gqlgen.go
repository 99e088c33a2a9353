package floors

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/redis/go-redis/v9"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/generated"
	"onhand/models"
	"onhand/models/paging"
)

// cachedDocuments is the size of gqlgen's query cache in its documentation.
const cachedDocuments = 1000

// unguarded are directives that refuse nobody.
var unguarded = generated.DirectiveRoot{
	Anonymous:      func(ctx context.Context, _ any, next graphql.Resolver, _ string) (any, error) { return next(ctx) },
	Authenticated:  func(ctx context.Context, _ any, next graphql.Resolver) (any, error) { return next(ctx) },
	RequiresScopes: func(ctx context.Context, _ any, next graphql.Resolver, _ [][]string) (any, error) { return next(ctx) },
}

// bare is gqlgen as its documentation sets it up, for POST.
func bare(resolvers generated.ResolverRoot) http.Handler {
	server := handler.New(generated.NewExecutableSchema(generated.Config{Resolvers: resolvers, Directives: unguarded}))
	server.AddTransport(transport.POST{})
	server.SetQueryCache(lru.New[*ast.QueryDocument](cachedDocuments))
	return server
}

// reader reads products.
type reader func(ctx context.Context, ids []string) ([]*models.Stock, error)

// root resolves what the benchmark asks for, and nothing else.
type root struct {
	generated.ResolverRoot
	read reader
}

type (
	rootQuery struct {
		generated.QueryResolver
		read reader
	}
	rootProduct struct{ read reader }
	rootStock   struct{}
	rootLevel   struct{}
)

// Query implements generated.ResolverRoot.
func (r root) Query() generated.QueryResolver { return rootQuery{read: r.read} }

// Product implements generated.ResolverRoot.
func (r root) Product() generated.ProductResolver { return rootProduct{r.read} }

// Stock implements generated.ResolverRoot.
func (root) Stock() generated.StockResolver { return rootStock{} }

// StockLevel implements generated.ResolverRoot.
func (root) StockLevel() generated.StockLevelResolver { return rootLevel{} }

// Stocks implements generated.QueryResolver.
func (q rootQuery) Stocks(ctx context.Context, productIds []string, _ *string) ([]*models.Stock, error) {
	return q.read(ctx, productIds)
}

// Stock implements generated.QueryResolver.
func (q rootQuery) Stock(ctx context.Context, productID string, _ *string, _ *int64, _ *time.Time) (*models.Stock, error) {
	found, err := q.read(ctx, []string{productID})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// Products implements generated.QueryResolver.
func (q rootQuery) Products(ctx context.Context, first *int, _ *string, _ *int, _ *string, filter *generated.ProductFilter, _ paging.ProductOrder) (*generated.ProductConnection, error) {
	ids := make([]string, 0, *first)
	if filter != nil {
		ids = filter.Ids
	}
	for i := len(ids); i < *first; i++ {
		ids = append(ids, fmt.Sprintf("product-%07d", i)) // as the shop has them
	}
	found, err := q.read(ctx, ids)
	if err != nil {
		return nil, err
	}
	nodes := make([]*models.Product, len(found))
	for i, s := range found {
		nodes[i] = &s.Product
	}
	return &generated.ProductConnection{Nodes: nodes, PageInfo: &generated.PageInfo{}}, nil
}

// Entities implements generated.FederationResolver, as gqlgen's plugin for federation finds entities: it makes an object of
// each key, and leaves their fields to the executor.
func (r root) Entities(_ context.Context, representations []any) (found []generated.Entity, errs []error, err error) {
	found = make([]generated.Entity, len(representations))
	for i, representation := range representations {
		key, _ := representation.(map[string]any)
		id, ok := key["id"].(string)
		if !ok {
			return nil, nil, fmt.Errorf("a representation without an id: %v", representation)
		}
		found[i] = &models.Product{ProductID: id}
	}
	return found, nil, nil
}

// Subgraph implements generated.FederationResolver.
func (root) Subgraph() string { return "" }

// Stock implements generated.ProductResolver, which gets all products of a list at once.
func (p rootProduct) Stock(ctx context.Context, objs []*models.Product, _ *string) ([]*models.Stock, error) {
	ids := make([]string, len(objs))
	for i, product := range objs {
		ids[i] = product.ProductID
	}
	return p.read(ctx, ids)
}

// QuantityAvailable implements generated.StockResolver.
func (rootStock) QuantityAvailable(_ context.Context, stock *models.Stock) (*int, error) {
	return stock.QuantityAvailable(), nil
}

// Location implements generated.StockLevelResolver.
func (rootLevel) Location(_ context.Context, level *models.LevelView) (*models.Location, error) {
	return locations[level.LocationID], nil
}

var locations = map[string]*models.Location{
	"warehouse": {LocationID: "warehouse", Name: "Warehouse", Priority: 1, Active: true},
	"shop":      {LocationID: "shop", Name: "Shop", Priority: 2, Active: true},
}

// made is a product with a quantity at two locations, as the benchmark's shop has it.
func made(id string, quantity int, version int64) *models.Stock {
	const shop = 10
	level := func(location string, priority, available int) models.Level {
		return models.Level{ProductID: id, LocationID: location, Active: true, Priority: priority, Quantities: models.Quantities{Available: available}}
	}
	return &models.Stock{
		Product: models.Product{ProductID: id, Tracked: true, InventoryPolicy: models.Deny, LowStockThreshold: 5, Version: version},
		Levels:  []models.Level{level("warehouse", 1, quantity-shop), level("shop", 2, shop)},
		Source:  models.FromCache,
	}
}

// Static answers with products that are made once.
func Static() http.Handler {
	var known sync.Map
	return bare(root{read: func(_ context.Context, ids []string) ([]*models.Stock, error) {
		found := make([]*models.Stock, len(ids))
		for i, id := range ids {
			s, ok := known.Load(id)
			if !ok {
				s, _ = known.LoadOrStore(id, made(id, quantity, 1))
			}
			found[i] = s.(*models.Stock)
		}
		return found, nil
	}})
}

// Naive reads hashes through a loader for each request.
func Naive(client *redis.Client, prefix string) http.Handler {
	api := bare(root{read: func(ctx context.Context, ids []string) ([]*models.Stock, error) {
		return ctx.Value(loaderKey{}).(*loader).load(ctx, ids)
	}})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := &loader{client: client, prefix: prefix}
		api.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), loaderKey{}, l)))
	})
}

type loaderKey struct{}

// loaderWait is how long a loader waits for more ids.
const loaderWait = time.Millisecond

// loader collects the ids of one request for a while, and reads them together.
type loader struct {
	client *redis.Client
	prefix string

	mu   sync.Mutex
	open *loading // which still takes ids; nil when the next id begins one
}

// loading is one read.
type loading struct {
	ids    []string
	done   chan struct{}
	hashes []hash
	err    error
}

func (l *loader) load(ctx context.Context, ids []string) ([]*models.Stock, error) {
	l.mu.Lock()
	if l.open == nil {
		l.open = &loading{done: make(chan struct{})}
		begun := l.open
		time.AfterFunc(loaderWait, func() { l.finish(ctx, begun) })
	}
	mine := l.open
	first := len(mine.ids)
	mine.ids = append(mine.ids, ids...)
	l.mu.Unlock()
	<-mine.done
	if mine.err != nil {
		return nil, mine.err
	}
	found := make([]*models.Stock, len(ids))
	for i := range ids {
		s, err := mine.hashes[first+i].stock()
		if err != nil {
			return nil, err
		}
		found[i] = made(s.ProductID, s.QuantityAvailable, s.Version)
	}
	return found, nil
}

func (l *loader) finish(ctx context.Context, begun *loading) {
	l.mu.Lock()
	l.open = nil
	l.mu.Unlock()
	begun.hashes, begun.err = readHashes(ctx, l.client, l.prefix, begun.ids)
	close(begun.done)
}
