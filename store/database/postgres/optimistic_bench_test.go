package postgres

import (
	"strconv"
	"testing"
	"time"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/optimistic"
)

// BenchmarkDecideAhead is what the process does for one hold of one product
// before its plan is sent: make bench measures the whole.
func BenchmarkDecideAhead(b *testing.B) {
	secret := decide.NewSecret("secret")
	e := optimistic.NewExecutor(&Engine{}, func() (string, *decide.Secret) { return "epoch", secret })
	e.Cache.Epoch = "epoch"
	product := models.Product{ProductID: "product-0001", Tracked: true, Version: 1}
	e.Cache.Products[product.ProductID] = &optimistic.CachedProduct{Product: product, Levels: []*models.Level{{
		ProductID: product.ProductID, LocationID: "warehouse-1", Active: true, Quantities: models.Quantities{Available: models.QuantityMax},
	}}}
	b.ReportAllocs()
	p := e.Begin()
	for n := range b.N {
		if n%256 == 255 {
			p.Close()
			e.Engine.Recycle(p.Rows)
			p = e.Begin()
		}
		w := models.Reserve{
			IdempotencyKey: "a key of a usual length, " + strconv.Itoa(n), TTL: time.Hour,
			Lines: []models.Line{{ProductID: product.ProductID, Quantity: 1}},
		}
		if !p.Add(e.Prepare(w)) {
			b.Fatal("not decided ahead")
		}
	}
}
