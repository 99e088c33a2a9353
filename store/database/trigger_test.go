package database_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

// outsideChange runs SQL as an outside writer and returns its effect on a product: how
// many new versions, whether the outbox has the newest, and the new movements.
func (s *shop) outsideChange(product, query string, args ...any) (versions int64, published bool, rows []models.StockMovement) {
	s.t.Helper()
	before, ledger := s.read(product).Version, len(s.movements(product))
	s.exec("DELETE FROM outbox")
	s.exec(query, args...)
	after := s.read(product).Version
	published = s.number("SELECT count(*) FROM outbox WHERE product_id = $1 AND version = $2", product, after) > 0
	return after - before, published, s.movements(product)[ledger:]
}

// A write of a level by an outside writer makes a new version, an outbox row, and a
// movement.
func TestOutsideWrites(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.stock("cup", "north", 5)
		for _, c := range []struct {
			query string
			delta models.Quantities
			after models.Quantities
		}{
			{"UPDATE stock_levels SET available = 9, damaged = 1 WHERE product_id = 'mug' AND location_id = 'north'",
				models.Quantities{Available: 4, Damaged: 1}, models.Quantities{Available: 9, Damaged: 1}},
			{"UPDATE stock_levels SET available = available - 9 WHERE product_id = 'mug' AND location_id = 'north'",
				models.Quantities{Available: -9}, models.Quantities{Damaged: 1}},
			{"UPDATE stock_levels SET incoming = 3, quality_control = 2, safety_stock = 1 WHERE product_id = 'mug'",
				models.Quantities{Incoming: 3, QualityControl: 2, SafetyStock: 1}, models.Quantities{Damaged: 1, Incoming: 3, QualityControl: 2, SafetyStock: 1}},
			{"INSERT INTO stock_levels (product_id, location_id, available, incoming) VALUES ('mug', 'south', 2, 7)",
				models.Quantities{Available: 2, Incoming: 7}, models.Quantities{Available: 2, Incoming: 7}},
			{"DELETE FROM stock_levels WHERE product_id = 'mug' AND location_id = 'south'",
				models.Quantities{Available: -2, Incoming: -7}, models.Quantities{}},
		} {
			versions, published, rows := s.outsideChange("mug", c.query)
			require.Equal(t, int64(1), versions, c.query)
			require.True(t, published, c.query)
			require.Len(t, rows, 1, c.query)
			require.Equal(t, c.delta, rows[0].Delta, c.query)
			require.Equal(t, c.after, rows[0].After, c.query)
			require.Equal(t, models.ReasonExternal, rows[0].Reason)
			require.Equal(t, s.read("mug").Version, rows[0].Version)
			require.Empty(t, rows[0].ReservationID)
		}
		require.Equal(t, int64(0), s.number("SELECT count(*) FROM outbox WHERE product_id = 'cup'"), "nothing happened to it")
	})
}

// One statement may change many levels: each has its movement, each product its version.
func TestOutsideWriteOfSeveralRows(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5, "south", 6)
		s.stock("cup", "north", 7)
		cup := s.read("cup").Version
		versions, published, rows := s.outsideChange("mug", "UPDATE stock_levels SET available = available + 1")
		require.Positive(t, versions)
		require.True(t, published)
		require.Len(t, rows, 2)
		require.Greater(t, s.read("cup").Version, cup)
		require.Equal(t, models.Quantities{Available: 1}, s.movements("cup")[1].Delta)
		_, published, rows = s.outsideChange("mug", "DELETE FROM stock_levels")
		require.True(t, published)
		require.Len(t, rows, 2)
		require.Empty(t, s.read("mug").Levels)
	})
}

// An UPDATE that changes nothing, or no row, makes no version, no outbox row and no
// movement.
func TestOutsideWriteOfNothing(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		for _, query := range []string{
			"UPDATE stock_levels SET available = available",
			"UPDATE stock_levels SET available = 9 WHERE product_id = 'ghost'",
			"DELETE FROM stock_levels WHERE product_id = 'ghost'",
			"UPDATE products SET title = title, tracked = tracked",
			"UPDATE locations SET active = active, priority = priority",
			"UPDATE locations SET name = 'The North'",
		} {
			versions, published, rows := s.outsideChange("mug", query)
			require.Zero(t, versions, query)
			require.False(t, published, query)
			require.Empty(t, rows, query)
		}
	})
}

// A new setting of a product, and a location that opens, closes or gets another
// priority, make new versions, and no movements.
func TestOutsideSettings(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.stock("cup", "south", 5)
		for _, query := range []string{
			"UPDATE products SET title = 'Mug' WHERE product_id = 'mug'",
			"UPDATE products SET tracked = false WHERE product_id = 'mug'",
			"UPDATE products SET low_stock_threshold = 9 WHERE product_id = 'mug'",
			"UPDATE products SET max_per_reservation = 9 WHERE product_id = 'mug'",
			"UPDATE products SET max_per_owner = 8 WHERE product_id = 'mug'",
			"UPDATE products SET owner_period = 60 WHERE product_id = 'mug'",
			"UPDATE products SET inventory_policy = 'CONTINUE' WHERE product_id = 'mug'",
			"UPDATE products SET backorder_limit = 3 WHERE product_id = 'mug'",
			"UPDATE products SET next_restock_at = " + s.clock(3600) + " WHERE product_id = 'mug'",
			"UPDATE locations SET active = false WHERE location_id = 'north'",
			"UPDATE locations SET priority = 7 WHERE location_id = 'north'",
		} {
			cup := s.read("cup").Version
			versions, published, rows := s.outsideChange("mug", query)
			require.Positive(t, versions, query)
			require.True(t, published, query)
			require.Empty(t, rows, query)
			require.Equal(t, cup, s.read("cup").Version, query)
		}
		stock := s.read("mug")
		require.Equal(t, "Mug", *stock.Title)
		require.False(t, stock.Tracked)
		require.Equal(t, []int{9, 9, 3}, []int{stock.LowStockThreshold, *stock.MaxPerReservation, *stock.BackorderLimit})
		require.NotNil(t, stock.NextRestockAt)
		require.False(t, stock.Levels[0].Active)
		require.Equal(t, 7, stock.Levels[0].Priority)
		s.exec("DELETE FROM outbox")
		s.exec("INSERT INTO products (product_id) VALUES ('pen'), ('ink')")
		require.Equal(t, int64(2), s.number("SELECT count(*) FROM outbox"), "a new product replaces the cached fact that it is unknown")
	})
}

// Every change of locations and channels makes a new directory version.
func TestDirectoryVersion(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		version := func() int64 { return s.number("SELECT directory_version FROM onhand_meta") }
		for _, query := range []string{
			"INSERT INTO locations (location_id, name) VALUES ('moon', 'Moon')",
			"UPDATE locations SET name = 'The Moon' WHERE location_id = 'moon'",
			"INSERT INTO channels (channel_id, name) VALUES ('app', 'App')",
			"UPDATE channels SET name = 'The App' WHERE channel_id = 'app'",
			"INSERT INTO channel_locations (channel_id, location_id) VALUES ('app', 'moon')",
			"DELETE FROM channel_locations WHERE channel_id = 'app'",
			"DELETE FROM channels WHERE channel_id = 'web'",
			"DELETE FROM locations WHERE location_id = 'moon'",
		} {
			before := version()
			s.exec(query)
			require.Greater(t, version(), before, query)
		}
		meta, err := s.ReadMeta(t.Context())
		require.NoError(t, err)
		require.Equal(t, version(), meta.DirectoryVersion)
		directory, err := s.Directory(t.Context())
		require.NoError(t, err)
		require.Equal(t, []models.Location{
			{LocationID: "north", Name: "North", Priority: 1, Active: true},
			{LocationID: "south", Name: "South", Priority: 2, Active: true, Pickup: true},
			{LocationID: "far", Name: "Far", Priority: 3},
		}, directory.Locations)
		require.Equal(t, []models.Channel{
			{ChannelID: "all", Name: "All", LocationIDs: []string{"north", "south", "far"}, Sourcing: models.ByPriority},
			{ChannelID: "app", Name: "The App", Sourcing: models.ByPriority}, {ChannelID: "none", Name: "None", Sourcing: models.ByPriority},
		}, withoutRevisions(directory.Channels))
	})
}

// The tables themselves refuse what would oversell, change the ledger, or restart a
// version, whichever writer sends it.
func TestDatabaseRefuses(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.stock("owed", "north", 1)
		s.settings("owed", "inventory_policy = 'CONTINUE', backorder_limit = 3")
		s.reserved(line("mug", 2))
		before := s.movements("")
		queries := map[string]string{
			"UPDATE stock_levels SET available = -1 WHERE product_id = 'mug'":                           "never_oversold",
			"UPDATE stock_levels SET available = -4 WHERE product_id = 'owed'":                          "never_oversold",
			"UPDATE stock_levels SET available = 1000000001 WHERE product_id = 'mug'":                   "never_oversold",
			"UPDATE stock_levels SET reserved = -1 WHERE product_id = 'mug'":                            "constraint",
			"INSERT INTO stock_levels (product_id, location_id, available) VALUES ('mug', 'south', -1)": "never_oversold",
			"INSERT INTO stock_levels (product_id, location_id) VALUES ('ghost', 'south')":              "",
			"UPDATE stock_movements SET available_delta = 0":                                            "append-only",
			"DELETE FROM stock_movements":                                                               "append-only",
			"DELETE FROM products WHERE product_id = 'mug'":                                             "restart its version",
			"UPDATE products SET product_id = 'jug' WHERE product_id = 'mug'":                           "for ever",
			"UPDATE stock_levels SET location_id = 'south' WHERE product_id = 'mug'":                    "make a new one",
			"UPDATE stock_levels SET product_id = 'owed' WHERE product_id = 'mug'":                      "make a new one",
			"UPDATE products SET version = 0":                                                           "constraint",
			"INSERT INTO products (product_id) VALUES ('')":                                             "constraint",
			"INSERT INTO products (product_id) VALUES ('onhand:1')":                                     "constraint",
			"INSERT INTO products (product_id) VALUES ('res_0123456789abcdef0123456789abcdef')":         "constraint",
			"UPDATE products SET inventory_policy = 'MAYBE'":                                            "constraint",
			"UPDATE reservations SET state = 'MAYBE'":                                                   "constraint",
			"DELETE FROM locations WHERE location_id = 'north'":                                         "",
		}
		if s.kind == postgres {
			for query, why := range map[string]string{
				"UPDATE stock_levels SET reserved = -1 WHERE product_id = 'mug'":         "0 to 1000000000",
				"UPDATE stock_levels SET incoming = 1000000001 WHERE product_id = 'mug'": "0 to 1000000000",
				"UPDATE stock_levels SET available_floor = 1":                            "0 or less",
				"UPDATE products SET version = 0":                                        "more than 0, below 2^52",
				"INSERT INTO products (product_id) VALUES ('')":                          "1 to 255 characters",
				"INSERT INTO products (product_id) VALUES (repeat('x', 256))":            "1 to 255 characters",
				"INSERT INTO products (product_id) VALUES ('onhand:1')":                  "no id of another type",
				"UPDATE products SET inventory_policy = 'MAYBE'":                         "DENY or CONTINUE",
				"UPDATE products SET max_per_reservation = 0":                            "1 to 1000000000",
				"UPDATE products SET max_per_owner = 0":                                  "1 to 1000000000",
				"UPDATE products SET owner_period = 59":                                  "60 to 31622400",
				"UPDATE products SET next_restock_at = 'infinity'":                       "years 1 to 9999",
				"UPDATE reservations SET state = 'MAYBE'":                                "a state of reservations",
				"UPDATE reservations SET expires_at = '0044-03-15 BC'":                   "years 1 to 9999",
				"UPDATE reservations SET reservation_id = 'short'":                       "16 bytes",
			} {
				queries[query] = `"` + why + `"`
			}
			for _, table := range []string{"ledger_rows", "ledger_chunks", "products CASCADE", "stock_levels"} {
				queries["TRUNCATE "+table] = "refused"
			}
		}
		for query, why := range queries {
			done, err := s.raw.Exec(query)
			if err == nil {
				changed, _ := done.RowsAffected()
				require.Failf(t, "the database accepts it", "%s: %d rows of %d reservations, %d products", query, changed,
					s.number("SELECT count(*) FROM reservations"), s.number("SELECT count(*) FROM products"))
			}
			require.ErrorContains(t, err, why, query)
		}
		require.Equal(t, before, s.movements(""))
		s.exec("UPDATE stock_levels SET available = -3 WHERE product_id = 'owed'")
	})
}

// Movements that Onhand writes have the reason, the reference, the actor and the
// version. None has the reason of outside writes.
func TestLedgerOfOnhand(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		w := adjust(delta("mug", "north", models.Damaged, 2))
		w.Reason, w.Reference, w.Actor = models.ReasonReturned, "doc 1", "ann"
		s.ok(w)
		r := s.reserved(line("mug", 1))
		ledger := s.movements("mug")
		require.Len(t, ledger, 3)
		require.Equal(t, models.StockMovement{
			MovementID: ledger[1].MovementID, ProductID: "mug", LocationID: "north", Delta: models.Quantities{Damaged: 2},
			After: models.Quantities{Available: 5, Damaged: 2}, Reason: models.ReasonReturned, Reference: "doc 1", Actor: "ann", Version: 3,
		}, ledger[1])
		require.Equal(t, models.StockMovement{
			MovementID: ledger[2].MovementID, ProductID: "mug", LocationID: "north", Delta: models.Quantities{Available: -1, Reserved: 1},
			After: models.Quantities{Available: 4, Reserved: 1, Damaged: 2}, Reason: models.ReasonReserved, ReservationID: r.ID, Version: 4,
		}, ledger[2])
		require.Zero(t, s.number("SELECT count(*) FROM stock_movements WHERE created_at > "+s.clock(1)+" OR created_at < "+s.clock(-60)))
	})
}

// On Postgres an outside write notifies listeners. Onhand's own writes do not, because
// notifications serialize the commits of a server.
func TestNotifications(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		conn, err := pgx.Connect(t.Context(), s.url)
		require.NoError(t, err)
		defer conn.Close(context.Background())
		_, err = conn.Exec(t.Context(), "LISTEN inventory_change")
		require.NoError(t, err)
		notified := func() (n int) { // before the marker
			s.exec("SELECT pg_notify('inventory_change', 'marker')")
			for {
				notification, err := conn.WaitForNotification(t.Context())
				require.NoError(t, err)
				if notification.Payload == "marker" {
					return n
				}
				n++
			}
		}
		s.exec("INSERT INTO products (product_id) VALUES ('mug')")
		require.Equal(t, 1, notified())
		s.ok(counted(row("mug", "north", models.Available, 5)))
		r := s.reserved(line("mug", 1))
		s.ok(resolve(r.ID, models.ReservationCommitted))
		s.ok(resolve(r.ID, models.ReservationFulfilled))
		s.overdue(s.reserved(line("mug", 1)).ID)
		s.sweep(9)
		require.Zero(t, notified())
		for _, query := range []string{
			"UPDATE stock_levels SET available = 9", "INSERT INTO stock_levels (product_id, location_id) VALUES ('mug', 'south')",
			"DELETE FROM stock_levels WHERE location_id = 'south'", "UPDATE products SET tracked = false",
			"UPDATE locations SET active = false WHERE location_id = 'north'", "DELETE FROM channels WHERE channel_id = 'web'",
		} {
			s.exec(query)
			require.Equal(t, 1, notified(), query)
		}
	})
}

// Listen calls wake when it begins and for every outside change. It ends with its
// connection or its context.
func TestListen(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var woken atomic.Int64
		ended := make(chan error, 1)
		listen := func() { ended <- s.Listen(ctx, func() { woken.Add(1) }) }
		wakes := func(n int64) func() bool { return func() bool { return woken.Load() >= n } }
		go listen()
		require.Eventually(t, wakes(1), generous, poll)
		s.exec("UPDATE stock_levels SET available = 6")
		require.Eventually(t, wakes(2), generous, poll)
		s.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'")
		require.Error(t, <-ended)
		go listen()
		require.Eventually(t, wakes(3), generous, poll)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	t.Run("sqlite sends none", func(t *testing.T) {
		db := openOnly(t, "sqlite::memory:")
		require.ErrorIs(t, db.Listen(t.Context(), func() {}), models.ErrNoNotifications)
	})
}
