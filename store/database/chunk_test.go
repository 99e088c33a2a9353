package database_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// packed holds n units of a product, one each, in one plan.
func (s *shop) reserveUnits(product string, n int) []models.WriteResult {
	s.t.Helper()
	var writes []models.Write
	for range n {
		writes = append(writes, reserve(line(product, 1)))
	}
	out, err := s.optimistic(writes...).Commit(s.t.(*testing.T).Context())
	require.NoError(s.t, err)
	return out.Results
}

// The sequence goes on by as many ids as a pack may have.
func TestChunkStep(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		require.EqualValues(t, database.ChunkMax, s.number("SELECT increment_by FROM pg_sequences WHERE sequencename = 'movement_sequence'"))
	})
}

// What a plan holds of one level is one row from packMin movements on, and as
// many packs as it takes, in the order of decisions.
func TestChunksOfABatch(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 2000, "south", 2000)
		packs := func() int64 { return s.number("SELECT count(*) FROM ledger_chunks") }
		s.reserveUnits("mug", database.ChunkMin-1)
		require.Zero(t, packs())
		s.reserveUnits("mug", database.ChunkMin)
		require.EqualValues(t, 1, packs())
		n := 2*database.ChunkMax + 1
		before := len(s.movements("mug"))
		held := s.reserveUnits("mug", n)
		require.EqualValues(t, 4, packs())
		require.EqualValues(t, 1, s.number("SELECT min(size) FROM ledger_chunks"))
		ledger := s.movements("mug")[before:]
		require.Len(t, ledger, n)
		for i, m := range ledger {
			require.Equal(t, held[i].Reservation.ID, m.ReservationID, "in the order of decisions")
			require.Equal(t, ledger[0].Version, m.Version)
		}
	})
}

// mixed makes a random ledger of rows and packs: plans of carts over several
// levels, of one unit and of many, between ordinary writes.
func (s *shop) writeMixedLedger(t *testing.T, rounds int) {
	products := []string{"cup", "jug", "mug"}
	for _, p := range products {
		s.stock(p, "north", 100+rand.N(2000), "south", 100_000)
	}
	s.reserveUnits("mug", 2)
	s.reserveUnits("mug", 10)
	var holds []string
	for range rounds {
		if rand.N(3) == 0 {
			s.ok(adjust(delta(products[rand.N(3)], "north", models.Available, 1+rand.N(50))))
			if n := len(holds); n > 0 {
				s.ok(release(holds[n-1]))
				holds = holds[:n-1]
			}
			continue
		}
		var writes []models.Write
		for range 1 + rand.N(1+rand.N(700)) {
			w := reserve()
			for _, p := range products[:1+rand.N(3)] {
				w.Lines = append(w.Lines, line(p, 1+rand.N(3)))
			}
			writes = append(writes, w)
		}
		out, err := s.decide(t.Context(), writes)
		require.NoError(t, err)
		for _, r := range out.Results {
			if r.Reservation != nil {
				holds = append(holds, r.Reservation.ID)
			}
		}
	}
}

// Whatever plans are made of, the ledger reads as if each movement were a row:
// ids in order, each movement going on where the one before it ended (s.audit,
// at the end of each test), pages, single movements, feeds from inside a pack
// and moments as of which the stock is asked for.
func TestChunksReadAsRows(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		feed := s.feed(t, "", models.MovementFilter{})
		edges, err := s.FeedOfProducts(t.Context(), nil)
		require.NoError(t, err)
		s.writeMixedLedger(t, 12)
		s.ok(adjust(delta("mug", "south", models.Available, 100)))
		s.reserveUnits("mug", 9) // the ledger ends inside a pack's ids
		require.Positive(t, s.number("SELECT count(*) FROM ledger_chunks"))
		require.Positive(t, s.number("SELECT count(*) FROM ledger_rows WHERE reason = 'RESERVED'"))
		ledger, times := s.movements(""), s.times()
		for i := range ledger[1:] {
			require.Less(t, ledger[i].MovementID, ledger[i+1].MovementID)
		}
		moved := drain(t, feed)
		require.Equal(t, ledgerIDs(ledger, nil), movedIDs(moved))
		told := map[string]database.Moved{} // the last one of each product
		for _, m := range drain(t, edges) {
			before := told[m.ProductID]
			require.Equal(t, before.StockMovement == nil || before.Version != m.Version, m.First, "movement %d", m.MovementID)
			require.True(t, before.StockMovement == nil || before.Last == m.First, "movement %d", m.MovementID)
			told[m.ProductID] = m
		}
		for _, m := range told {
			require.True(t, m.Last)
		}
		for range 5 {
			i := rand.N(len(moved))
			s.SetWindows(1+rand.Int64N(5), 1+rand.Int64N(50))
			got := drain(t, s.feed(t, moved[i].Cursor, models.MovementFilter{}))
			require.Equal(t, ledgerIDs(ledger, nil)[i+1:], movedIDs(got), "after movement %d", moved[i].MovementID)
		}
		s.SetWindows(1<<12, 1<<16)
		s.requirePages(t, ledger, times)
		for range 20 {
			want := ledger[rand.N(len(ledger))]
			got, err := s.ReadMovement(t.Context(), want.MovementID, want.ProductID)
			require.NoError(t, err)
			want.CreatedAt, want.Cursor = times[want.MovementID].UTC(), got.Cursor
			require.Equal(t, want, *got)
		}
		for _, m := range ledger {
			s.requireStockAt(t, ledger, times, m)
		}
	})
}

// requirePages compares pages of every filter with the ledger, both ways.
func (s *shop) requirePages(t *testing.T, ledger []models.StockMovement, times map[int64]time.Time) {
	newest := slices.Clone(ledger)
	slices.Reverse(newest)
	for _, f := range filters(newest, times) {
		var want []models.StockMovement
		for _, m := range newest {
			if matches(f, m, times[m.MovementID]) {
				m.CreatedAt = times[m.MovementID].UTC()
				want = append(want, m)
			}
		}
		for _, backwards := range []bool{false, true} {
			got, _ := s.readPages(f, 100+rand.N(200), backwards)
			for i := range got {
				got[i].Cursor = ""
			}
			require.Equal(t, want, got, "%+v, backwards %v", f, backwards)
		}
	}
}

// stockAt compares the product after a movement with the ledger up to it, on a
// few of them.
func (s *shop) requireStockAt(t *testing.T, ledger []models.StockMovement, times map[int64]time.Time, m models.StockMovement) {
	if rand.N(len(ledger)) > 20 {
		return
	}
	after, asOf := map[string]models.Quantities{}, map[string]models.Quantities{}
	for _, l := range ledger {
		if l.ProductID != m.ProductID {
			continue
		}
		if l.MovementID <= m.MovementID {
			after[l.LocationID] = l.After
		}
		if !times[l.MovementID].After(times[m.MovementID]) {
			asOf[l.LocationID] = l.After
		}
	}
	levels := func(stock *models.Stock) map[string]models.Quantities {
		found := map[string]models.Quantities{}
		for _, l := range stock.Levels {
			found[l.LocationID] = l.Quantities
		}
		return found
	}
	stocks, err := s.ReadStocksAfter(t.Context(), []database.Place{{ProductID: m.ProductID, MovementID: m.MovementID}})
	require.NoError(t, err)
	got := levels(stocks[0])
	for location, q := range got {
		require.Equal(t, after[location], q, "after movement %d", m.MovementID)
	}
	stock, err := s.ReadStockAsOf(t.Context(), m.ProductID, times[m.MovementID])
	require.NoError(t, err)
	require.Equal(t, asOf, levels(stock), "when movement %d was written", m.MovementID)
}

// The packed movements of a hold are found by its id, when the hold has lost the
// line since and when its time is up to a second before the ledger's.
func TestChunkedMovementsByReservation(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("cup", "north", 1000)
		s.stock("mug", "north", 1000)
		s.reserveUnits("mug", 300)
		held := s.reserveUnits("cup", 300)
		id := held[137].Reservation.ID
		s.ok(models.UpdateReservation{IdempotencyKey: newKey(), ID: id, Lines: []models.Line{line("mug", 1)}})
		s.exec("UPDATE reservations SET created_at = created_at - interval '999 milliseconds' WHERE reservation_id = $1", keyOf(id))
		for _, product := range []string{"", "cup"} {
			page, err := s.ReadMovements(t.Context(), models.MovementsPage{Last: 5}, models.MovementFilter{ReservationID: id, ProductID: product, Reason: models.ReasonReserved})
			require.NoError(t, err)
			require.NotEmpty(t, page.Movements)
			first := page.Movements[len(page.Movements)-1]
			require.Equal(t, id, first.ReservationID)
			require.Equal(t, "cup", first.ProductID)
			require.Equal(t, models.Quantities{Available: 1000 - 138, Reserved: 138}, first.After)
		}
	})
}

// What is kept of a pack must fit together, and its ends must fit the ledger.
func TestAuditOfChunks(t *testing.T) {
	for name, damage := range map[string]string{
		"a quantity":         "quantities[3] = 2",
		"a lost one":         "size = size - 1",
		"a lost hold":        "reservations = substr(reservations, 17)",
		"the sum":            "total = total + 1",
		"all of it":          "size = 0, quantities = '{}', reservations = ''",
		"one unknown":        "quantities[3] = null, total = total - 1",
		"one the wrong way":  "quantities[3] = -1, quantities[4] = 3",
		"where it goes on":   "available = available + 1",
		"what has not moved": "damaged = 1",
	} {
		t.Run(name, func(t *testing.T) {
			on(t, []string{postgres}, func(t *testing.T, s *shop) {
				s.stock("mug", "north", 100)
				s.reserveUnits("mug", 10)
				audits := func() database.LedgerAudit { return s.ledgerAudits(allProducts, 0)[0] }
				sound := audits()
				require.Zero(t, sound.BrokenAt)
				require.EqualValues(t, 11, sound.Movements)
				require.Equal(t, sound.Level, sound.Last)
				first := s.number("SELECT first_id FROM ledger_chunks")
				_, err := s.raw.Exec("UPDATE ledger_chunks SET total = 5")
				require.ErrorContains(t, err, "append-only")
				s.exec("ALTER TABLE ledger_chunks DISABLE TRIGGER append_only")
				defer s.exec("ALTER TABLE ledger_chunks ENABLE TRIGGER append_only")
				var whole string
				require.NoError(t, s.raw.QueryRow("SELECT to_json(p)::text FROM ledger_chunks p").Scan(&whole))
				s.exec("UPDATE ledger_chunks SET " + damage)
				require.Equal(t, first, audits().BrokenAt)
				s.exec("DELETE FROM ledger_chunks")
				s.exec("INSERT INTO ledger_chunks SELECT * FROM json_populate_record(null::ledger_chunks, $1)", whole)
			})
		})
	}
}

// A ledger of a hot product is read in parts: no reader unpacks more of it than
// what it is asked for.
func TestReadersUnpackLittle(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 100_000)
		for range 40 {
			s.reserveUnits("mug", database.ChunkMax)
		}
		s.exec("VACUUM ANALYZE ledger_chunks, ledger_rows")
		since, until := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		middle := s.movements("mug")[2500]
		middle.CreatedAt = s.times()[middle.MovementID]
		for name, read := range map[string]func(db *database.Database) error{
			"newest": func(db *database.Database) error {
				_, err := db.ReadMovements(t.Context(), models.MovementsPage{First: 50}, models.MovementFilter{})
				return err
			},
			"of the product": func(db *database.Database) error {
				_, err := db.ReadMovements(t.Context(), models.MovementsPage{First: 50, After: middle.MovementID}, models.MovementFilter{ProductID: "mug"})
				return err
			},
			"backwards": func(db *database.Database) error {
				_, err := db.ReadMovements(t.Context(), models.MovementsPage{Last: 50, Before: middle.MovementID}, models.MovementFilter{ProductID: "mug", LocationID: "north"})
				return err
			},
			"by time": func(db *database.Database) error {
				_, err := db.ReadMovements(t.Context(), models.MovementsPage{First: 50}, models.MovementFilter{Since: &since, Until: &until})
				return err
			},
			"by hold": func(db *database.Database) error {
				_, err := db.ReadMovements(t.Context(), models.MovementsPage{First: 50}, models.MovementFilter{ReservationID: middle.ReservationID})
				return err
			},
			"one": func(db *database.Database) error {
				_, err := db.ReadMovement(t.Context(), middle.MovementID, "mug")
				return err
			},
			"as of": func(db *database.Database) error {
				_, err := db.ReadStockAsOf(t.Context(), "mug", time.Now().Add(-time.Millisecond))
				return err
			},
			"after one": func(db *database.Database) error {
				_, err := db.ReadStocksAfter(t.Context(), []database.Place{{ProductID: "mug", MovementID: middle.MovementID}})
				return err
			},
			"what moved": func(db *database.Database) error {
				cursor, err := db.ReadMovement(t.Context(), middle.MovementID, "mug")
				if err == nil {
					var f *database.Feed
					if f, err = db.Feed(t.Context(), cursor.Cursor, models.MovementFilter{}); err == nil {
						_, _, err = f.Next(t.Context())
					}
				}
				return err
			},
		} {
			require.NoError(t, read(s.Database), name)
			few := int64(4)
			if name == "by hold" { // all that were written within a second of it
				few = s.number("SELECT count(*) FROM ledger_chunks WHERE created_at BETWEEN $1 AND $1 + interval '1 second'", middle.CreatedAt) + 1
			}
			fetched := s.fetched(t, read)
			require.LessOrEqual(t, fetched, few, "%s fetches from %d packs of 40", name, fetched)
		}
	})
}

// fetched is from how many packs a read fetches what is kept apart, their holds.
func (s *shop) fetched(t *testing.T, read func(db *database.Database) error) int64 {
	db := openOnly(t, s.url)
	db.SQL.SetMaxOpenConns(1) // which tells what it has counted when asked to
	chunks := func() int64 {
		require.NoError(t, read(db))
		_, err := db.SQL.Exec("SELECT pg_stat_force_next_flush()")
		require.NoError(t, err)
		return s.number(`SELECT coalesce(idx_tup_fetch, 0) FROM pg_stat_all_tables
			WHERE relid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'ledger_chunks'::regclass)`)
	}
	least := int64(math.MaxInt64)
	for range 3 { // others tell what they counted as well, a little later
		before := chunks()
		least = min(least, (chunks()-before)/3)
	}
	return least
}
