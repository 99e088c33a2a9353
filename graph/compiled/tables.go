package compiled

import (
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
	"onhand/models/channel"
	"onhand/models/ids"
	"onhand/models/paging"
)

const (
	// nodeInterface is the interface of the types that have a global id.
	nodeInterface = "Node"
	// entityUnion is the union of the types that gateways ask for by a key.
	entityUnion = "_Entity"
)

// types are the tables of the types that are compiled.
var types = newTypeTables()

// typeTables has a table for each type. A type refers to others, in circles.
type typeTables struct {
	stock      object[*models.Stock]
	level      object[*models.LevelView]
	product    object[*models.Product]
	buffer     object[channel.Buffer]
	location   object[*models.Location]
	channel    object[*models.Channel]
	connection object[*paging.ProductPage]
	edge       object[*models.Product]
	pageInfo   object[*paging.ProductPage]
}

func newTypeTables() *typeTables {
	node, entity := []string{nodeInterface}, []string{nodeInterface, entityUnion}
	t := &typeTables{
		stock: object[*models.Stock]{name: "Stock", abstract: entity}, level: object[*models.LevelView]{name: "StockLevel", abstract: node},
		product: object[*models.Product]{name: "Product", abstract: entity}, buffer: object[channel.Buffer]{name: "ChannelBuffer"},
		location: object[*models.Location]{name: "Location", abstract: entity}, channel: object[*models.Channel]{name: "Channel", abstract: node},
		connection: object[*paging.ProductPage]{name: "ProductConnection"}, edge: object[*models.Product]{name: "ProductEdge"},
		pageInfo: object[*paging.ProductPage]{name: "PageInfo"},
	}
	t.stock.fields, t.level.fields = t.stockFields(), t.levelFields()
	t.product.fields, t.buffer.fields = t.productFields(), t.bufferFields()
	t.location.fields, t.channel.fields = t.locationFields(), t.channelFields()
	t.connection.fields, t.edge.fields, t.pageInfo.fields = t.connectionFields(), t.edgeFields(), t.pageInfoFields()
	return t
}

func (t *typeTables) stockFields() map[string]tableField[*models.Stock] {
	type stock = *models.Stock
	return map[string]tableField[stock]{
		"id": plain(func(b []byte, s stock) []byte {
			return appendNodeID(b, ids.Object{Kind: ids.Stock, ProductID: s.ProductID, ChannelID: s.Channel, Moment: s.Moment})
		}),
		"productId":         text(func(s stock) string { return s.ProductID }),
		"product":           one(&t.product, func(_ *writer, s stock) *models.Product { return &s.Product }),
		"status":            text(func(s stock) string { return string(s.Status()) }),
		"availableForSale":  truth(stock.AvailableForSale),
		"quantityAvailable": available,
		"levels":            many(&t.level, func(s stock) int { return len(s.Levels) }, levelAt),
		"onHand":            quantity(func(s stock) int { return s.Total().OnHand() }),
		"reserved":          quantity(func(s stock) int { return s.Total().Reserved }),
		"committed":         quantity(func(s stock) int { return s.Total().Committed }),
		"incoming":          quantity(func(s stock) int { return s.Total().Incoming }),
		"nextRestockAt":     plain(func(b []byte, s stock) []byte { return appendOptionalTime(b, s.NextRestockAt) }),
		"version":           bigNumber(stock.ViewVersion),
		"asOf":              plain(func(b []byte, s stock) []byte { return appendTime(b, s.AsOf) }),
		"source":            text(func(s stock) string { return string(s.Source) }),
	}
}

// available is the quantity that depends on the class of viewer.
func available(*compiler, *collected) (scalarOf[*models.Stock], nestedOf[*models.Stock]) {
	return nil, func(w *writer, b []byte, s *models.Stock) ([]byte, bool) {
		if !s.Tracked {
			return appendNull(b), true
		}
		return appendInt(b, w.limit.Shown(s.Quantity())), true
	}
}

// quantity is a total of a stock; null when the product is not tracked.
func quantity(of func(*models.Stock) int) tableField[*models.Stock] {
	return plain(func(b []byte, s *models.Stock) []byte {
		if !s.Tracked {
			return appendNull(b)
		}
		return appendInt(b, of(s))
	})
}

// levelAt returns one level. Its view is valid until the next one.
func levelAt(w *writer, s *models.Stock, i int) *models.LevelView {
	w.level = models.LevelView{Level: s.Levels[i], Version: s.Product.Version, Moment: s.Moment}
	return &w.level
}

func (t *typeTables) levelFields() map[string]tableField[*models.LevelView] {
	type level = *models.LevelView
	return map[string]tableField[level]{
		"id": plain(func(b []byte, l level) []byte {
			return appendNodeID(b, ids.Object{Kind: ids.Level, ProductID: l.ProductID, LocationID: l.LocationID, Moment: l.Moment})
		}),
		"productId":      text(func(l level) string { return l.ProductID }),
		"location":       one(&t.location, func(w *writer, l level) *models.Location { return w.directory.LocationNamed(l.LocationID) }),
		"available":      number(func(l level) int { return l.Available }),
		"reserved":       number(func(l level) int { return l.Reserved }),
		"committed":      number(func(l level) int { return l.Committed }),
		"damaged":        number(func(l level) int { return l.Damaged }),
		"qualityControl": number(func(l level) int { return l.QualityControl }),
		"safetyStock":    number(func(l level) int { return l.SafetyStock }),
		"incoming":       number(func(l level) int { return l.Incoming }),
		"onHand":         number(func(l level) int { return l.OnHand() }),
		"version":        bigNumber(func(l level) int64 { return l.Version }),
	}
}

func (t *typeTables) productFields() map[string]tableField[*models.Product] {
	type product = *models.Product
	return map[string]tableField[product]{
		"id":                 text(func(p product) string { return p.ID() }),
		"productId":          text(func(p product) string { return p.ProductID }),
		"title":              optionalText(func(p product) *string { return p.Title }),
		"tracked":            truth(func(p product) bool { return p.Tracked }),
		"inventoryPolicy":    text(func(p product) string { return string(p.InventoryPolicy) }),
		"backorderLimit":     optionalNumber(func(p product) *int { return p.BackorderLimit }),
		"lowStockThreshold":  number(func(p product) int { return p.LowStockThreshold }),
		"maxPerReservation":  optionalNumber(func(p product) *int { return p.MaxPerReservation }),
		"maxPerOwner":        optionalNumber(func(p product) *int { return p.MaxPerOwner }),
		"ownerPeriodSeconds": number(func(p product) int { return p.OwnerPeriodSeconds() }),
		"version":            bigNumber(func(p product) int64 { return p.Version }),
		"channelBuffers":     t.channelBuffers,
		"stock":              t.stockOfProduct,
	}
}

func (t *typeTables) channelBuffers(c *compiler, f *collected) (scalarOf[*models.Product], nestedOf[*models.Product]) {
	s := t.buffer.compile(c, f.selections)
	if s == nil {
		return nil, nil
	}
	return nil, func(w *writer, b []byte, p *models.Product) ([]byte, bool) {
		list := p.ChannelBuffers()
		return writeList(w, b, s, len(list), func(i int) channel.Buffer { return list[i] })
	}
}

// stockOfProduct is the one field of an object that loads something, and can fail.
func (t *typeTables) stockOfProduct(c *compiler, f *collected) (scalarOf[*models.Product], nestedOf[*models.Product]) {
	s := t.stock.compile(c, f.selections)
	if s == nil {
		return nil, nil
	}
	c.loads = true
	channelID := c.addID(f.Field, "channel")
	return nil, func(w *writer, b []byte, p *models.Product) ([]byte, bool) {
		stock, err := w.reads.StockOf(w.ctx, p.ProductID, w.ids[channelID])
		if err != nil {
			graphql.AddError(w.ctx, gqlerror.WrapPath(w.fieldPath(), err))
		}
		return writeNullable(s, w, b, stock), true
	}
}

func (t *typeTables) bufferFields() map[string]tableField[channel.Buffer] {
	return map[string]tableField[channel.Buffer]{
		"channelId": text(func(b channel.Buffer) string { return b.ChannelID }),
		"buffer":    number(func(b channel.Buffer) int { return b.Buffer }),
	}
}

func (t *typeTables) locationFields() map[string]tableField[*models.Location] {
	type location = *models.Location
	return map[string]tableField[location]{
		"id": plain(func(b []byte, l location) []byte {
			return appendNodeID(b, ids.Object{Kind: ids.Location, LocationID: l.LocationID})
		}),
		"locationId": text(func(l location) string { return l.LocationID }),
		"name":       text(func(l location) string { return l.Name }),
		"priority":   number(func(l location) int { return l.Priority }),
		"active":     truth(func(l location) bool { return l.Active }),
		"pickup":     truth(func(l location) bool { return l.Pickup }),
	}
}

func (t *typeTables) channelFields() map[string]tableField[*models.Channel] {
	type channels = *models.Channel
	return map[string]tableField[channels]{
		"id":        text(func(c channels) string { return c.ID() }),
		"channelId": text(func(c channels) string { return c.ChannelID }),
		"name":      text(func(c channels) string { return c.Name }),
		"locations": many(&t.location, func(c channels) int { return len(c.LocationIDs) }, func(w *writer, c channels, i int) *models.Location {
			return w.directory.LocationNamed(c.LocationIDs[i])
		}),
		"sourcing": text(func(c channels) string { return string(c.Sourcing) }),
		"buffer":   number(func(c channels) int { return c.Buffer }),
	}
}

func (t *typeTables) connectionFields() map[string]tableField[*paging.ProductPage] {
	type page = *paging.ProductPage
	length := func(p page) int { return len(p.Products) }
	at := func(_ *writer, p page, i int) *models.Product { return &p.Products[i] }
	return map[string]tableField[page]{
		"edges":      many(&t.edge, length, at),
		"nodes":      many(&t.product, length, at),
		"pageInfo":   one(&t.pageInfo, func(_ *writer, p page) page { return p }),
		"totalCount": optionalNumber(func(p page) *int { return p.Total }),
	}
}

func (t *typeTables) edgeFields() map[string]tableField[*models.Product] {
	type product = *models.Product
	return map[string]tableField[product]{
		"cursor": plain(func(b []byte, p product) []byte {
			return append(paging.AppendProductCursor(append(b, '"'), p.ProductID), '"')
		}),
		"node": one(&t.product, func(_ *writer, p product) product { return p }),
	}
}

func (t *typeTables) pageInfoFields() map[string]tableField[*paging.ProductPage] {
	type page = *paging.ProductPage
	return map[string]tableField[page]{
		"hasNextPage":     truth(func(p page) bool { return p.HasNext }),
		"hasPreviousPage": truth(func(p page) bool { return p.HasPrev }),
		"startCursor":     plain(func(b []byte, p page) []byte { return appendOptionalCursor(b, p.Start) }),
		"endCursor":       plain(func(b []byte, p page) []byte { return appendOptionalCursor(b, p.End) }),
	}
}
