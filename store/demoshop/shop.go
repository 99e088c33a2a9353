package demoshop

import (
	"time"

	"onhand/models"
	"onhand/store/openingstock"
	"onhand/store/stockfile"
)

// Quiet are the products that the examples of documents use.
var Quiet = []string{"85123A", "22423", "84879", "21731", "21232", "20725", "20685", "85099B", "47566"}

// Ids of the products that the rows of the file do not have.
const (
	// VoucherID is a product that is not tracked.
	VoucherID = "gift_0001_20"
	// PreorderID is a product that is sold before it has a level.
	PreorderID = "23166"
)

// LimitedID is the product of which each owner may have a few in a week.
const LimitedID = "22111"

// Days until expected units arrive.
const (
	restockSoon = 3 * 24 * time.Hour
	restockLate = 12 * 24 * time.Hour
)

const week = 7 * 24 * time.Hour

// Shop returns the demo shop, with restock dates after now. Every call returns new values.
func Shop(now time.Time) openingstock.OpeningShop {
	counts, locations, channels := stockfile.Demo()
	today := now.UTC().Truncate(24 * time.Hour)
	return openingstock.OpeningShop{
		Counts: counts, Channels: channels, Demo: true,
		Locations:       append(locations, models.Location{LocationID: "returns", Name: "Returns centre", Priority: 9}),
		ProductSettings: productSettings(today.Add(restockSoon), today.Add(restockLate)),
		ChannelSettings: []models.ChannelRow{
			{ChannelID: "marketplace", Name: new("Marketplace, from the warehouses"), Sourcing: new(models.FewestLocations), Buffer: new(3), LocationIDs: []string{"london", "leeds"},
				ProductBuffers: []models.ProductBuffer{{ProductID: "22727", Buffer: new(40)}, {ProductID: "22197", Buffer: new(0)}}},
		},
		States: states(),
	}
}

func productSettings(soon, late time.Time) []models.ProductRow {
	return []models.ProductRow{
		{ProductID: VoucherID, Title: patch("Gift Voucher 20 Pounds"), Tracked: new(false)},
		{ProductID: PreorderID, Title: patch("Medium Ceramic Top Storage Jar"), InventoryPolicy: new(models.Continue), BackorderLimit: patch(120), NextRestockAt: patch(late)},
		{ProductID: "22630", InventoryPolicy: new(models.Continue), BackorderLimit: patch(40), NextRestockAt: patch(soon)},
		{ProductID: "22960", InventoryPolicy: new(models.Continue), BackorderLimit: patch(25), LowStockThreshold: new(10)},
		{ProductID: "22666", NextRestockAt: patch(soon)},
		{ProductID: "48138", NextRestockAt: patch(late)},
		{ProductID: "22720", MaxPerReservation: patch(2)},
		{ProductID: LimitedID, MaxPerOwner: patch(2), OwnerPeriod: patch(int(week / time.Second))},
		{ProductID: "22726", MaxPerReservation: patch(4), LowStockThreshold: new(50)},
		{ProductID: "22697", LowStockThreshold: new(40)},
		{ProductID: "22086", NextRestockAt: patch(soon)},
	}
}

// states are units in other states than available.
func states() []models.SetRow {
	row := func(product, location string, state models.State, units int) models.SetRow {
		return models.SetRow{ProductID: product, LocationID: location, State: state, Quantity: units, IgnoreStale: true}
	}
	return []models.SetRow{
		row("22630", "london", models.Incoming, 60), row("22666", "leeds", models.Incoming, 24), row("48138", "london", models.Incoming, 100),
		row("22086", "london", models.Incoming, 144), row("22139", "leeds", models.Incoming, 12), row("22697", "london", models.Incoming, 96),
		row("22697", "london", models.Damaged, 4), row("22698", "leeds", models.Damaged, 7), row("22726", "returns", models.QualityControl, 9),
		row("22727", "london", models.SafetyStock, 20), row("22727", "returns", models.Damaged, 3), row("23301", "leeds", models.SafetyStock, 12),
	}
}

func patch[T any](value T) models.Patch[T] { return models.Patch[T]{Given: true, Value: &value} }
