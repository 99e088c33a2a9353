package compiled

import (
	"context"
	"fmt"
	"time"

	"onhand/graph/federation"
	"onhand/graph/generated"
	"onhand/graph/loaders"
	"onhand/models"
	"onhand/models/ids"
	"onhand/models/paging"
)

// call is a root field of one request.
type call interface {
	// with returns the call with the arguments of a request; nil when the generated
	// executor has to answer it.
	with(a *arguments) call
	// again returns the call for another request with the same arguments.
	again() call
	// reads says what resolve reads.
	reads() readKind
	// resolve reads the value.
	resolve(ctx context.Context, reads Reads) error
	// load names the products in the value, for their stock.
	load(loader *loaders.Direct)
	// write appends the value. ok is false when it is null and must not be.
	write(w *writer, b []byte) (out []byte, ok bool)
}

// readKind is what a root field reads.
type readKind int

const (
	// loads: stock that is loaded together with that of other fields.
	loads readKind = iota
	// loadsThenReads: such stock, and then perhaps something by itself.
	loadsThenReads
	// readsAlone: something by itself.
	readsAlone
)

// root is a field of Query with arguments A and values V.
type root[A, V any] struct {
	arguments func(a *arguments) A
	kind      func(args A) readKind
	resolve   func(ctx context.Context, reads Reads, args A) (V, error)
	load      func(loader *loaders.Direct, v V) // nil: has no products, or has loaded them
	value     func(c *compiler, f *collected) nestedOf[V]
}

// rootCall is a call of such a field.
type rootCall[A, V any] struct {
	of     *root[A, V]
	append nestedOf[V]
	args   A
	value  V
}

// compile compiles the field in an operation; nil when its selection is not compiled.
func (r root[A, V]) compile(c *compiler, f *collected) call {
	if value := r.value(c, f); value != nil {
		return &rootCall[A, V]{of: &r, append: value}
	}
	return nil
}

func (c *rootCall[A, V]) with(a *arguments) call {
	args := c.of.arguments(a)
	if a.failed {
		return nil
	}
	return &rootCall[A, V]{of: c.of, append: c.append, args: args}
}

func (c *rootCall[A, V]) again() call {
	return &rootCall[A, V]{of: c.of, append: c.append, args: c.args}
}

func (c *rootCall[A, V]) reads() readKind { return c.of.kind(c.args) }

func (c *rootCall[A, V]) resolve(ctx context.Context, reads Reads) (err error) {
	c.value, err = c.of.resolve(ctx, reads, c.args)
	return err
}

func (c *rootCall[A, V]) load(loader *loaders.Direct) {
	if c.of.load != nil {
		c.of.load(loader, c.value)
	}
}

func (c *rootCall[A, V]) write(w *writer, b []byte) ([]byte, bool) { return c.append(w, b, c.value) }

// rootFields are the fields of Query that are compiled.
var rootFields = map[string]func(c *compiler, f *collected) call{
	typename: root[none, none]{
		arguments: noArguments, kind: always[none](loads),
		resolve: func(context.Context, Reads, none) (none, error) { return none{}, nil },
		value: func(*compiler, *collected) nestedOf[none] {
			return func(_ *writer, b []byte, _ none) ([]byte, bool) { return appendString(b, "Query"), true }
		},
	}.compile,
	"serverTime": root[none, *time.Time]{
		arguments: noArguments, kind: always[none](readsAlone),
		resolve: func(ctx context.Context, reads Reads, _ none) (*time.Time, error) { return reads.ServerTime(ctx) },
		value: func(*compiler, *collected) nestedOf[*time.Time] {
			return func(_ *writer, b []byte, t *time.Time) ([]byte, bool) { return appendTime(b, *t), true }
		},
	}.compile,
	"stock": root[stockArguments, *models.Stock]{
		arguments: readStockArguments, kind: stockArguments.kind,
		resolve: func(ctx context.Context, reads Reads, args stockArguments) (*models.Stock, error) {
			return reads.Stock(ctx, args.productID, args.channel, args.minVersion, args.asOf)
		},
		load: func(loader *loaders.Direct, s *models.Stock) {
			if s != nil {
				loader.Want([]string{s.ProductID})
			}
		},
		value: nullable(&types.stock),
	}.compile,
	"stocks": root[stocksArguments, []*models.Stock]{
		arguments: func(a *arguments) stocksArguments {
			return stocksArguments{a.ids("productIds"), a.optionalID("channel")}
		},
		kind: always[stocksArguments](loads),
		resolve: func(ctx context.Context, reads Reads, args stocksArguments) ([]*models.Stock, error) {
			return reads.Stocks(ctx, args.productIDs, args.channel)
		},
		value: listOfNullable(&types.stock),
	}.compile,
	"product": root[string, *models.Product]{
		arguments: readID, kind: always[string](loads),
		resolve: func(ctx context.Context, reads Reads, id string) (*models.Product, error) {
			return reads.Product(ctx, id)
		},
		value: nullable(&types.product),
	}.compile,
	"products": root[pageArguments, *paging.ProductPage]{
		arguments: readPageArguments, kind: always[pageArguments](readsAlone),
		resolve: func(ctx context.Context, reads Reads, p pageArguments) (*paging.ProductPage, error) {
			page, err := reads.ProductPage(ctx, p.first, p.after, p.last, p.before, p.filter, p.orderBy)
			return &page, err
		},
		load:  loadPage,
		value: never(&types.connection),
	}.compile,
	"location": root[string, *models.Location]{
		arguments: readID, kind: always[string](loads),
		resolve: func(ctx context.Context, reads Reads, id string) (*models.Location, error) {
			return reads.Location(ctx, id)
		},
		value: nullable(&types.location),
	}.compile,
	"locations": root[none, *models.Directory]{
		arguments: noArguments, kind: always[none](loads), resolve: readDirectory,
		value: list(&types.location, func(d *models.Directory) int { return len(d.Locations) }, func(d *models.Directory, i int) *models.Location { return &d.Locations[i] }),
	}.compile,
	"channels": root[none, *models.Directory]{
		arguments: noArguments, kind: always[none](loads), resolve: readDirectory,
		value: list(&types.channel, func(d *models.Directory) int { return len(d.Channels) }, func(d *models.Directory, i int) *models.Channel { return &d.Channels[i] }),
	}.compile,
	"node": root[nodeArguments, generated.Node]{
		arguments: readNodeArguments, kind: nodeArguments.kind,
		resolve: func(ctx context.Context, reads Reads, args nodeArguments) (generated.Node, error) {
			return reads.Node(ctx, args.id)
		},
		load:  loadNode,
		value: nodeValue,
	}.compile,
	"_entities": root[[]federation.Key, entityList]{
		arguments: readKeys, kind: always[[]federation.Key](loads),
		resolve: func(ctx context.Context, reads Reads, keys []federation.Key) (list entityList, err error) {
			list.found, list.errs, err = reads.Entities(ctx, keys)
			return list, err
		},
		value: entitiesValue,
	}.compile,
}

// none is the arguments of a field without arguments.
type none struct{}

func noArguments(*arguments) none { return none{} }

func readID(a *arguments) string { return a.id("id") }

func always[A any](kind readKind) func(A) readKind { return func(A) readKind { return kind } }

func readDirectory(_ context.Context, reads Reads, _ none) (*models.Directory, error) {
	return reads.Directory(), nil
}

type stockArguments struct {
	productID  string
	channel    *string
	minVersion *int64
	asOf       *time.Time
}

func readStockArguments(a *arguments) stockArguments {
	return stockArguments{a.id("productId"), a.optionalID("channel"), a.optionalBigInt("minVersion"), a.optionalTime("asOf")}
}

func (s stockArguments) kind() readKind {
	switch {
	case s.asOf != nil:
		return readsAlone
	case s.minVersion != nil:
		return loadsThenReads
	}
	return loads
}

type stocksArguments struct {
	productIDs []string
	channel    *string
}

type pageArguments struct {
	first, last   *int
	after, before *string
	filter        *generated.ProductFilter
	orderBy       paging.ProductOrder
}

func readPageArguments(a *arguments) pageArguments {
	return pageArguments{
		first: a.optionalInt("first"), last: a.optionalInt("last"), after: a.optionalText("after"), before: a.optionalText("before"),
		filter: a.productFilter("filter"), orderBy: a.productOrder("orderBy"),
	}
}

type nodeArguments struct {
	id   string
	past bool
}

// readNodeArguments fails for the ids of types that are not compiled.
func readNodeArguments(a *arguments) nodeArguments {
	id := a.id("id")
	n, known := ids.Parse(id)
	switch n.Kind {
	case ids.Product, ids.Stock, ids.Level, ids.Location, ids.Channel:
	default:
		a.failed = a.failed || known
	}
	return nodeArguments{id: id, past: n.Moment != nil}
}

func (n nodeArguments) kind() readKind {
	if n.past {
		return readsAlone
	}
	return loads
}

// loadPage adds the stocks of a page that was made from them, and wants those of others.
func loadPage(loader *loaders.Direct, page *paging.ProductPage) {
	if len(page.Stocks) == len(page.Products) {
		loader.Add(page.Stocks)
		return
	}
	ids := make([]string, len(page.Products))
	for i := range page.Products {
		ids[i] = page.Products[i].ProductID
	}
	loader.Want(ids)
}

func loadNode(loader *loaders.Direct, node generated.Node) {
	if s, ok := node.(*models.Stock); ok && s != nil {
		loader.Want([]string{s.ProductID})
	}
}

// The forms of values.

// never is an object that is never nil.
func never[T any](of *object[T]) func(*compiler, *collected) nestedOf[T] {
	return func(c *compiler, f *collected) nestedOf[T] {
		if s := of.compile(c, f.selections); s != nil {
			return s.write
		}
		return nil
	}
}

func nullable[T any](of *object[*T]) func(*compiler, *collected) nestedOf[*T] {
	return func(c *compiler, f *collected) nestedOf[*T] {
		s := of.compile(c, f.selections)
		if s == nil {
			return nil
		}
		return func(w *writer, b []byte, v *T) ([]byte, bool) { return writeNullable(s, w, b, v), true }
	}
}

func listOfNullable[T any](of *object[*T]) func(*compiler, *collected) nestedOf[[]*T] {
	return func(c *compiler, f *collected) nestedOf[[]*T] {
		s := of.compile(c, f.selections)
		if s == nil {
			return nil
		}
		return func(w *writer, b []byte, list []*T) ([]byte, bool) {
			b = append(b, '[')
			for i, v := range list {
				if i > 0 {
					b = append(b, ',')
				}
				w.path = append(w.path, pathStep{index: i})
				b = writeNullable(s, w, b, v)
				w.path = w.path[:len(w.path)-1]
			}
			return append(b, ']'), true
		}
	}
}

// nodeValue compiles the selection for each type that node may return.
func nodeValue(c *compiler, f *collected) nestedOf[generated.Node] {
	stock, level := types.stock.compile(c, f.selections), types.level.compile(c, f.selections)
	product := types.product.compile(c, f.selections)
	location, channel := types.location.compile(c, f.selections), types.channel.compile(c, f.selections)
	if stock == nil || level == nil || product == nil || location == nil || channel == nil {
		return nil
	}
	return func(w *writer, b []byte, node generated.Node) ([]byte, bool) {
		switch node := node.(type) {
		case *models.Stock:
			b = writeNullable(stock, w, b, node)
		case *models.LevelView:
			b = writeNullable(level, w, b, node)
		case *models.Product:
			b = writeNullable(product, w, b, node)
		case *models.Location:
			b = writeNullable(location, w, b, node)
		case *models.Channel:
			b = writeNullable(channel, w, b, node)
		case nil:
			b = appendNull(b)
		default:
			panic(fmt.Sprintf("node returned a %T, which has no table", node))
		}
		return b, true
	}
}

func list[P, T any](of *object[T], length func(P) int, at func(P, int) T) func(*compiler, *collected) nestedOf[P] {
	return func(c *compiler, f *collected) nestedOf[P] {
		_, write := many(of, length, func(_ *writer, v P, i int) T { return at(v, i) })(c, f)
		return write
	}
}
