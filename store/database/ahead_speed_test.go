package database

import (
	"strconv"
	"testing"
	"time"

	"onhand/models"
)

// BenchmarkDecideAhead is what the process does for one hold of one product
// before its plan is sent: make bench measures the whole.
func BenchmarkDecideAhead(b *testing.B) {
	secret := newSecret("secret")
	e := newExecutor(&postgresEngine{}, func() (string, *Secret) { return "epoch", secret })
	e.memory.epoch = "epoch"
	product := models.Product{ProductID: "product-0001", Tracked: true, Version: 1}
	e.memory.products[product.ProductID] = &remembered{product: product, levels: []*models.Level{{
		ProductID: product.ProductID, LocationID: "warehouse-1", Active: true, Quantities: models.Quantities{Available: models.QuantityMax},
	}}}
	b.ReportAllocs()
	p := e.NewPlan()
	for n := range b.N {
		if n%256 == 255 {
			p.Close()
			e.engine.recycle(p.rows)
			p = e.NewPlan()
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
