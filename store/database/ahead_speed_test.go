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
	d := &Database{memory: newMemory()}
	d.meta.Store(&Meta{Epoch: "epoch", secret: "secret", macs: macsWith("secret")})
	d.memory.epoch = "epoch"
	product := models.Product{ProductID: "product-0001", Tracked: true, Version: 1}
	d.memory.products[product.ProductID] = &remembered{product: product, levels: []*models.Level{{
		ProductID: product.ProductID, LocationID: "warehouse-1", Active: true, Quantities: models.Quantities{Available: models.QuantityMax},
	}}}
	b.ReportAllocs()
	p := d.NewPlan()
	for n := range b.N {
		if n%256 == 255 {
			p.Close()
			p.release()
			p = d.NewPlan()
		}
		w := models.Reserve{
			IdempotencyKey: "a key of a usual length, " + strconv.Itoa(n), TTL: time.Hour,
			Lines: []models.Line{{ProductID: product.ProductID, Quantity: 1}},
		}
		if !p.add(d.prepare(w)) {
			b.Fatal("not decided ahead")
		}
	}
}
