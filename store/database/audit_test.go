package database_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// allProducts is the span of all ids that these tests use.
var allProducts = database.Span{Through: "~"}

// ledgerAudits audits the ledger of a span.
func (s *shop) ledgerAudits(span database.Span, window int) []database.AuditedLevel {
	s.t.Helper()
	var list []database.AuditedLevel
	require.NoError(s.t, s.AuditLedger(s.t.(*testing.T).Context(), span, window, func(a database.AuditedLevel) { list = append(list, a) }))
	return list
}

// reservationAudits audits the reservations of a span.
func (s *shop) reservationAudits(span database.Span) []database.AuditedReservations {
	s.t.Helper()
	var list []database.AuditedReservations
	require.NoError(s.t, s.AuditReservations(s.t.(*testing.T).Context(), span, func(a database.AuditedReservations) { list = append(list, a) }))
	return list
}

// An audit uses one core and no JIT compiler. It leaves its connection with the server's
// own settings.
func TestAuditTakesOneCore(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		before, during, after, err := s.AuditSettings(t.Context())
		require.NoError(t, err)
		require.Equal(t, [2]string{"0", "off"}, during)
		require.NotEqual(t, during, before)
		require.Equal(t, before, after)
	})
}

// The audit returns every level of the span, with all its states, beside its ledger.
func TestAuditLedger(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("cup", "north", 4)
		s.stock("jug")
		s.stock("mug", "north", 9, "south", 2)
		s.exec("UPDATE stock_levels SET damaged = 1, quality_control = 2, safety_stock = 3, incoming = 4, available = 5 WHERE product_id = 'mug' AND location_id = 'north'")
		s.ok(resolve(s.reserved(line("mug", 2)).ID, models.ReservationCommitted))
		s.reserved(line("mug", 1))
		s.exec("INSERT INTO stock_levels (product_id, location_id, available) VALUES ('cup', 'south', 6)")
		s.exec("DELETE FROM stock_levels WHERE product_id = 'cup' AND location_id = 'south'")

		north := models.Quantities{Available: 2, Reserved: 1, Committed: 2, Damaged: 1, QualityControl: 2, SafetyStock: 3, Incoming: 4}
		want := []database.AuditedLevel{
			{ProductID: "cup", LocationID: "north", Exists: true, Level: models.Quantities{Available: 4}, Movements: 1, Last: models.Quantities{Available: 4}, Complete: true, Sum: models.Quantities{Available: 4}},
			{ProductID: "cup", LocationID: "south", Movements: 2, Complete: true},
			{ProductID: "mug", LocationID: "north", Exists: true, Level: north, Movements: 5, Last: north, Complete: true, Sum: north},
			{ProductID: "mug", LocationID: "south", Exists: true, Level: models.Quantities{Available: 2}, Movements: 1, Last: models.Quantities{Available: 2}, Complete: true, Sum: models.Quantities{Available: 2}},
		}
		require.Equal(t, want, s.ledgerAudits(allProducts, 0))
		require.Equal(t, want, s.ledgerAudits(allProducts, 100))
		require.Equal(t, want[2:], s.ledgerAudits(database.Span{After: "cup", Through: "mug"}, 0))
		require.Equal(t, want[:2], s.ledgerAudits(database.Span{Through: "cup"}, 0))

		ids, err := s.ProductIDs(t.Context(), "", 2)
		require.NoError(t, err)
		require.Equal(t, []string{"cup", "jug"}, ids)
		ids, err = s.ProductIDs(t.Context(), "jug", 2)
		require.NoError(t, err)
		require.Equal(t, []string{"mug"}, ids)
	})
}

// With a window the audit reads only the last rows. It does not check the sum, nor the
// first row that it reads against an earlier one.
func TestAuditLedgerWindow(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5, "south", 2)
		for range 10 {
			s.ok(adjust(delta("mug", "north", models.Available, 1)))
		}
		seen := s.ledgerAudits(allProducts, 4)
		require.Equal(t, int64(4), seen[0].Movements)
		require.False(t, seen[0].Complete)
		require.Equal(t, models.Quantities{Available: 15}, seen[0].Last)
		require.Zero(t, seen[0].BrokenAt)
		require.Equal(t, "south", seen[1].LocationID)
		require.Zero(t, seen[1].Movements)
		require.False(t, seen[1].Complete)
	})
}

// An order that was fulfilled or cancelled in part counts with what is left of its
// allocations, in their order. A missing JSON key counts as zero.
func TestAuditReservations(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.tampered = true
		s.stock("mug", "north", 5, "south", 5, "far", 0)
		s.stock("cup", "north", 9)
		s.settings("cup", "tracked = false")
		order := s.reserved(line("mug", 8), line("cup", 2))
		require.Empty(t, s.reservationAudits(allProducts))
		s.ok(resolve(order.ID, models.ReservationCommitted))
		require.Empty(t, s.reservationAudits(allProducts))

		for _, c := range []struct{ gone, north, south int }{{1, 4, 3}, {5, 0, 3}, {6, 0, 2}, {8, 0, 0}} {
			raw, err := json.Marshal(order.Lines)
			require.NoError(t, err)
			var lines []map[string]any
			require.NoError(t, json.Unmarshal(raw, &lines))
			lines[0]["cancelled"] = 1
			if c.gone > 1 {
				lines[0]["fulfilled"] = c.gone - 1
			}
			raw, err = json.Marshal(lines)
			require.NoError(t, err)
			s.exec("UPDATE reservations SET lines = $1", string(raw))
			var want []database.AuditedReservations
			if c.north != 5 {
				want = append(want, database.AuditedReservations{ProductID: "mug", LocationID: "north", Committed: 5, OrderedUnits: int64(c.north)})
			}
			if c.south != 3 {
				want = append(want, database.AuditedReservations{ProductID: "mug", LocationID: "south", Committed: 3, OrderedUnits: int64(c.south)})
			}
			require.Equal(t, want, s.reservationAudits(allProducts), "%d gone", c.gone)
			s.exec(fmt.Sprintf("UPDATE stock_levels SET committed = %d WHERE product_id = 'mug' AND location_id = 'north'", c.north))
			s.exec(fmt.Sprintf("UPDATE stock_levels SET committed = %d WHERE product_id = 'mug' AND location_id = 'south'", c.south))
			require.Empty(t, s.reservationAudits(allProducts), "%d gone", c.gone)
			s.exec("UPDATE stock_levels SET committed = 5 WHERE product_id = 'mug' AND location_id = 'north'")
			s.exec("UPDATE stock_levels SET committed = 3 WHERE product_id = 'mug' AND location_id = 'south'")
		}
		s.exec("UPDATE stock_levels SET reserved = 2 WHERE product_id = 'cup'")
		require.Equal(t, []database.AuditedReservations{{ProductID: "cup", LocationID: "north", Reserved: 2}}, s.reservationAudits(database.Span{Through: "cup"}))
		require.Equal(t, []database.AuditedReservations{
			{ProductID: "mug", LocationID: "north", Committed: 5}, {ProductID: "mug", LocationID: "south", Committed: 3},
		}, s.reservationAudits(database.Span{After: "cup", Through: "mug"}), "all of it is gone")

		s.exec("DELETE FROM stock_levels WHERE product_id = 'cup'")
		for range 2 { // of the same lines
			s.reserved(pinned("mug", 1, "south"))
		}
		s.exec("DELETE FROM stock_levels WHERE product_id = 'mug' AND location_id = 'south'")
		require.Contains(t, s.reservationAudits(allProducts), database.AuditedReservations{ProductID: "mug", LocationID: "south", ActiveUnits: 2})
	})
}
