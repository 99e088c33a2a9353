package database_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database/dialect"
)

func given[T any](v T) models.Patch[T] { return models.Patch[T]{Given: true, Value: &v} }

func cleared[T any]() models.Patch[T] { return models.Patch[T]{Given: true} }

func products(rows ...models.ProductRow) models.UpsertProducts {
	return models.UpsertProducts{IdempotencyKey: newKey(), Rows: rows}
}

func locations(rows ...models.LocationRow) models.UpsertLocations {
	return models.UpsertLocations{IdempotencyKey: newKey(), Rows: rows}
}

func channels(rows ...models.ChannelRow) models.UpsertChannels {
	return models.UpsertChannels{IdempotencyKey: newKey(), Rows: rows}
}

// An absent field stays, null clears it, and a new product gets the defaults. A change
// makes a new version; no change makes none.
func TestUpsertProducts(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		restock := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
		all := models.ProductRow{
			ProductID: "mug", Title: given("Mug"), Tracked: new(false), InventoryPolicy: new(models.Continue), BackorderLimit: given(7),
			LowStockThreshold: new(2), MaxPerReservation: given(9), MaxPerOwner: given(8), OwnerPeriod: given(3600), NextRestockAt: given(restock),
		}
		r := s.ok(products(all, models.ProductRow{ProductID: "cup"}))
		want := models.Product{
			ProductID: "mug", Title: new("Mug"), InventoryPolicy: models.Continue, BackorderLimit: new(7),
			LowStockThreshold: 2, MaxPerReservation: new(9), MaxPerOwner: new(8), OwnerPeriod: new(3600), NextRestockAt: &restock, Version: 1,
		}
		require.Equal(t, want, s.read("mug").Product)
		require.Equal(t, models.Product{ProductID: "cup", Tracked: true, InventoryPolicy: models.Deny, LowStockThreshold: 5, Version: 1}, s.read("cup").Product)
		require.Equal(t, []string{"cup", "mug"}, []string{r.Stocks[0].ProductID, r.Stocks[1].ProductID})
		require.Equal(t, want, r.Stocks[1].Product)

		outbox := s.number("SELECT count(*) FROM outbox")
		s.ok(products(all, models.ProductRow{ProductID: "cup"}))
		require.Equal(t, want, s.read("mug").Product, "nothing changed")
		require.Equal(t, outbox, s.number("SELECT count(*) FROM outbox"))

		w := products(models.ProductRow{ProductID: "mug", Title: cleared[string](), BackorderLimit: cleared[int](),
			MaxPerReservation: cleared[int](), MaxPerOwner: cleared[int](), OwnerPeriod: cleared[int](), NextRestockAt: cleared[time.Time](), Tracked: new(true)})
		first := s.ok(w)
		require.Equal(t, models.Product{ProductID: "mug", Tracked: true, InventoryPolicy: models.Continue, LowStockThreshold: 2, Version: 2}, s.read("mug").Product)
		require.Equal(t, int64(1), s.number("SELECT count(*) FROM outbox WHERE product_id = 'mug' AND version = 2"))
		s.settings("mug", "title = 'Another'")
		again := s.do(w)
		require.True(t, again.Replayed)
		require.Equal(t, "Another", *s.read("mug").Title, "once")
		require.Equal(t, s.read("mug"), timeless(again.Stocks[0]), "as it is now")
		w.Rows[0].Title = models.Patch[string]{}
		s.fails(s.do(w), mismatch())
		require.Equal(t, first.Errors, again.Errors)
	})
}

// New settings apply to the next reservation. What is below a new floor may stay.
func TestUpsertProductsChangesTheRules(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 1)
		s.fails(s.do(reserve(line("mug", 4))), short(0, "mug", 4, 1))
		s.ok(products(models.ProductRow{ProductID: "mug", InventoryPolicy: new(models.Continue), BackorderLimit: given(3)}))
		r := s.reserved(line("mug", 4))
		require.Equal(t, -3, s.level("mug", "north").Available)
		s.ok(products(models.ProductRow{ProductID: "mug", InventoryPolicy: new(models.Deny), MaxPerReservation: given(2)}))
		require.Equal(t, -3, s.level("mug", "north").Available)
		s.fails(s.do(reserve(line("mug", 1))), short(0, "mug", 1, 0))
		s.fails(s.do(reserve(line("mug", 3))), models.QuantityLimitExceededError{
			Failure: path("lines", 0, "quantity"), ProductID: "mug", Requested: 3, Limit: 2})
		s.ok(release(r.ID))
		require.Equal(t, 1, s.level("mug", "north").Available)
	})
}

// A change of a location makes a new version of its products. Reservations use the
// channel's new locations.
func TestUpsertLocationsAndChannels(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 2, "south", 3)
		version := s.read("mug").Version
		r := s.ok(locations(models.LocationRow{LocationID: "north", Priority: new(9)}, models.LocationRow{LocationID: "east"}))
		require.Equal(t, []string{"east", "north"}, r.Locations)
		require.Equal(t, version+1, s.read("mug").Version)
		require.Equal(t, "south", s.read("mug").Levels[0].LocationID)
		s.ok(locations(models.LocationRow{LocationID: "north", Active: new(true)}))
		require.Equal(t, version+1, s.read("mug").Version, "nothing changed")

		got := s.ok(channels(
			models.ChannelRow{ChannelID: "web", LocationIDs: []string{"north", "east"}},
			models.ChannelRow{ChannelID: "pickup", Name: new("Pick up"), Sourcing: new(models.FewestLocations)},
			models.ChannelRow{ChannelID: "all", LocationIDs: []string{}},
		))
		require.Equal(t, []string{"all", "pickup", "web"}, got.Channels)
		directory, err := s.Directory(t.Context())
		require.NoError(t, err)
		require.Equal(t, []models.Channel{
			{ChannelID: "all", Name: "All", Sourcing: models.ByPriority},
			{ChannelID: "none", Name: "None", Sourcing: models.ByPriority},
			{ChannelID: "pickup", Name: "Pick up", Sourcing: models.FewestLocations},
			{ChannelID: "web", Name: "Web", Sourcing: models.ByPriority, LocationIDs: []string{"north", "east"}},
		}, withoutRevisions(directory.Channels))
		east, _ := directory.Location("east")
		require.Equal(t, &models.Location{LocationID: "east", Name: "east", Priority: 100, Active: true}, east)

		w := reserve(line("mug", 3))
		w.Channel = "web"
		s.fails(s.do(w), short(0, "mug", 3, 2))
		s.ok(channels(models.ChannelRow{ChannelID: "web", Name: new("Shop")}))
		w = reserve(line("mug", 2))
		w.Channel = "web"
		require.Equal(t, []models.Allocation{{LocationID: "north", Quantity: 2}}, allocations(t, s.ok(w).Reservation), "its locations stay")
	})
}

// Bad rows reject all rows, or only themselves. They never reach the tables, and a
// repeated key returns their errors.
func TestUpsertErrors(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 1)
		invalid := func(parts ...any) models.UserError { return models.InvalidInputError{Failure: path(parts...)} }
		far := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, c := range []struct {
			write, some models.Bulk
			want        []models.UserError
		}{
			{
				write: products(models.ProductRow{ProductID: "mug", Title: given("Mug")}, models.ProductRow{ProductID: "a\x00", Title: given("\xff")},
					models.ProductRow{ProductID: "mug"}, models.ProductRow{ProductID: "cup", InventoryPolicy: new(models.InventoryPolicy("MAYBE")),
						BackorderLimit: given(-1), LowStockThreshold: new(-1), MaxPerReservation: given(0), MaxPerOwner: given(0), OwnerPeriod: given(59), NextRestockAt: given(far)}),
				want: []models.UserError{invalid("rows", 1, "productId"), invalid("rows", 1, "title"), invalid("rows", 2), invalid("rows", 3, "inventoryPolicy"),
					invalid("rows", 3, "backorderLimit"), invalid("rows", 3, "lowStockThreshold"), invalid("rows", 3, "maxPerReservation"),
					invalid("rows", 3, "maxPerOwner"), invalid("rows", 3, "ownerPeriodSeconds"), invalid("rows", 3, "nextRestockAt")},
			},
			{
				write: locations(models.LocationRow{LocationID: "north", Name: new("Mug")}, models.LocationRow{LocationID: ""},
					models.LocationRow{LocationID: "north"}, models.LocationRow{LocationID: "x", Name: new("a\nb"), Priority: new(models.QuantityMax + 1)}),
				want: []models.UserError{invalid("rows", 1, "locationId"), invalid("rows", 2), invalid("rows", 3, "name"), invalid("rows", 3, "priority")},
			},
			{
				write: channels(models.ChannelRow{ChannelID: "web", Name: new("Mug")}, models.ChannelRow{ChannelID: "", Sourcing: new(models.SourcingOrder("MAGIC"))},
					models.ChannelRow{ChannelID: "x", LocationIDs: []string{"north", "a\x00"}}, models.ChannelRow{ChannelID: "web"},
					models.ChannelRow{ChannelID: "y", LocationIDs: make([]string, models.ChannelLocationsMax+1)}),
				want: []models.UserError{invalid("rows", 1, "channelId"), invalid("rows", 1, "sourcing"), invalid("rows", 2, "locationIds", 1),
					invalid("rows", 3), invalid("rows", 4, "locationIds")},
			},
		} {
			require.Equal(t, c.want, withoutMessages(t, c.write.Check(time.Hour)))
			some := rejectingFailedRows(c.write)
			require.Empty(t, some.Check(time.Hour))
			r := s.do(some)
			s.fails(r, c.want...)
			require.Len(t, append(append(r.Locations, r.Channels...), make([]string, len(r.Stocks))...), 1)
			again := s.do(some)
			require.True(t, again.Replayed)
			require.Equal(t, r.Errors, again.Errors)
			require.Equal(t, []int{len(r.Stocks), len(r.Locations), len(r.Channels)}, []int{len(again.Stocks), len(again.Locations), len(again.Channels)})
		}
		require.Equal(t, int64(1), s.number("SELECT count(*) FROM products"))
		require.Equal(t, "Mug", *s.read("mug").Title)

		unknown := channels(models.ChannelRow{ChannelID: "new", LocationIDs: []string{"moon", "north", "mars"}}, models.ChannelRow{ChannelID: "newer"})
		want := []models.UserError{notFound("rows", 0, "locationIds", 0), notFound("rows", 0, "locationIds", 2)}
		s.fails(s.do(unknown), want...)
		require.Zero(t, s.number("SELECT count(*) FROM channels WHERE channel_id LIKE 'new%'"))
		r := s.do(rejectingFailedRows(unknown))
		s.fails(r, want...)
		require.Equal(t, []string{"newer"}, r.Channels)
	})
}

// rejectingFailedRows returns the bulk write with REJECT_FAILED_ROWS and a new key.
func rejectingFailedRows(w models.Bulk) models.Bulk {
	switch w := w.(type) {
	case models.UpsertProducts:
		w.IdempotencyKey, w.ErrorPolicy = newKey(), models.RejectFailedRows
		return w
	case models.UpsertLocations:
		w.IdempotencyKey, w.ErrorPolicy = newKey(), models.RejectFailedRows
		return w
	case models.UpsertChannels:
		w.IdempotencyKey, w.ErrorPolicy = newKey(), models.RejectFailedRows
		return w
	}
	return w
}

// A batch with a write that changes settings and another write is refused.
func TestSettingsGoAlone(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 1)
		_, err := s.WriteUnderLock(t.Context(), []models.Write{reserve(line("mug", 1)), products(models.ProductRow{ProductID: "mug"})})
		require.ErrorIs(t, err, dialect.ErrTooLarge)
		require.Equal(t, models.Quantities{Available: 1}, s.level("mug", "north"))
	})
}

// Concurrent writes of different settings of one product, new or old, keep the settings
// of each other.
func TestUpsertsTogether(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		for _, id := range []string{"a", "b", "c", "d"} {
			done := make(chan error)
			for _, row := range []models.ProductRow{{ProductID: id, Title: given("Mug")}, {ProductID: id, LowStockThreshold: new(1)}, {ProductID: id, MaxPerReservation: given(3)}} {
				go func() {
					_, err := s.WriteUnderLock(context.Background(), []models.Write{products(row)})
					done <- err
				}()
			}
			for range 3 {
				assert.NoError(t, <-done)
			}
			p := s.read(id).Product
			require.NotNil(t, p.Title)
			require.NotNil(t, p.MaxPerReservation)
			require.Equal(t, 1, p.LowStockThreshold)
		}
	})
}

// An outside transaction that stays open blocks a settings write only for a moment,
// because later settings writes wait for it. The error names the cause.
func TestSettingsBlockedByAForgottenTransaction(t *testing.T) {
	for name, forgotten := range map[string]string{
		"the location": "UPDATE locations SET name = 'x' WHERE location_id = 'north'",
		"a product":    "UPDATE stock_levels SET available = 4 WHERE product_id = 'mug'",
	} {
		t.Run(name, func(t *testing.T) {
			on(t, []string{postgres}, func(t *testing.T, s *shop) {
				s.stock("mug", "north", 5)
				s.SetLockWait(100 * time.Millisecond)
				s.SetWriteLimit(generous)
				tx, err := s.raw.Begin()
				require.NoError(t, err)
				_, err = tx.Exec(forgotten)
				require.NoError(t, err)
				_, err = s.WriteUnderLock(t.Context(), []models.Write{locations(models.LocationRow{LocationID: "north", Priority: new(9)})})
				require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
				require.ErrorContains(t, err, "these settings change")
				require.NoError(t, tx.Rollback())
				s.ok(locations(models.LocationRow{LocationID: "north", Priority: new(9)}))
			})
		})
	}
}
