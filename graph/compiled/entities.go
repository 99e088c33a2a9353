package compiled

import (
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/graph/federation"
	"onhand/graph/generated"
	"onhand/models"
	"onhand/models/ids"
)

// entityList is the value of Query._entities. errs is nil where no entity has an error.
type entityList struct {
	found []generated.Entity
	errs  []error
}

// readKeys fails for the keys of entities that are not compiled: reservations, and stock of
// the past, which is read one by one.
func readKeys(a *arguments) []federation.Key {
	keys, err := federation.Keys(graphql.CoerceList(a.read("representations")))
	a.failed = a.failed || err != nil
	for i := range keys {
		if object := &keys[i].Object; object.Kind == ids.Reservation || object.Moment != nil {
			a.failed = true
		}
	}
	return keys
}

// entitiesValue compiles the selection for each type of entity.
func entitiesValue(c *compiler, f *collected) nestedOf[entityList] {
	stock, product, location := types.stock.compile(c, f.selections), types.product.compile(c, f.selections), types.location.compile(c, f.selections)
	if stock == nil || product == nil || location == nil {
		return nil
	}
	return func(w *writer, b []byte, list entityList) ([]byte, bool) {
		b = append(b, '[')
		for i, entity := range list.found {
			if i > 0 {
				b = append(b, ',')
			}
			w.path = append(w.path, pathStep{index: i})
			switch entity := entity.(type) {
			case *models.Product:
				b = writeNullable(product, w, b, entity)
			case *models.Stock:
				b = writeNullable(stock, w, b, entity)
			case *models.Location:
				b = writeNullable(location, w, b, entity)
			case nil:
				if list.errs != nil && list.errs[i] != nil {
					graphql.AddError(w.ctx, gqlerror.WrapPath(w.fieldPath(), list.errs[i]))
				}
				b = appendNull(b)
			default:
				panic(fmt.Sprintf("an entity is a %T, which has no table", entity))
			}
			w.path = w.path[:len(w.path)-1]
		}
		return append(b, ']'), true
	}
}
