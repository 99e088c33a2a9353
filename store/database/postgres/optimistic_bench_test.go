package postgres

import (
	"strconv"
	"testing"
	"time"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/decide/keyhash"
	"onhand/store/database/optimistic"
)

// BenchmarkDecide measures what the process does for one reservation of one product
// before its batch is sent; make bench measures the whole.
func BenchmarkDecide(b *testing.B) {
	secret := keyhash.NewSecret("secret")
	e := optimistic.NewExecutor(&Engine{}, func() (string, *keyhash.Secret) { return "epoch", secret })
	u := decide.NewUnitOfWork()
	u.Epoch = "epoch"
	u.Products["product-0001"] = &models.Product{ProductID: "product-0001", Tracked: true, Version: 1}
	u.AddLevel(&models.Level{ProductID: "product-0001", LocationID: "warehouse-1", Active: true, Quantities: models.Quantities{Available: models.QuantityMax}})
	e.Learn(u)
	b.ReportAllocs()
	batch := e.Begin()
	for n := range b.N {
		if n%256 == 255 {
			batch.Close()
			batch = e.Begin()
		}
		w := models.Reserve{
			IdempotencyKey: "a key of a usual length, " + strconv.Itoa(n), TTL: time.Hour,
			Lines: []models.RequestedLine{{ProductID: "product-0001", Quantity: 1}},
		}
		if !batch.Add(e.Prepare(w)) {
			b.Fatal("not decided optimistically")
		}
	}
}
