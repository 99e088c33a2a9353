package database_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/database"
)

// reserveUnits reserves n units of a product, one each, in one optimistic batch.
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

// The sequence of movement ids advances by the maximum size of a chunk.
func TestChunkStep(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		require.EqualValues(t, database.ChunkMax, s.number("SELECT increment_by FROM pg_sequences WHERE sequencename = 'movement_sequence'"))
	})
}

// The movements of an optimistic batch from one level become chunks from ChunkMin
// movements on: as many chunks as needed, in the order of decisions.
func TestChunksOfABatch(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 2000, "south", 2000)
		chunks := func() int64 { return s.number("SELECT count(*) FROM ledger_chunks") }
		s.reserveUnits("mug", database.ChunkMin-1)
		require.Zero(t, chunks())
		s.reserveUnits("mug", database.ChunkMin)
		require.EqualValues(t, 1, chunks())
		n := 2*database.ChunkMax + 1
		before := len(s.movements("mug"))
		results := s.reserveUnits("mug", n)
		require.EqualValues(t, 4, chunks())
		require.EqualValues(t, 1, s.number("SELECT min(size) FROM ledger_chunks"))
		ledger := s.movements("mug")[before:]
		require.Len(t, ledger, n)
		for i, m := range ledger {
			require.Equal(t, results[i].Reservation.ID, m.ReservationID, "in the order of decisions")
			require.Equal(t, ledger[0].Version, m.Version)
		}
	})
}

// writeMixedLedger writes a random ledger of rows and chunks: optimistic batches of
// carts over several levels, of one unit and of many, between ordinary writes.
func (s *shop) writeMixedLedger(t *testing.T, rounds int) {
	products := []string{"cup", "jug", "mug"}
	for _, p := range products {
		s.stock(p, "north", 100+rand.N(2000), "south", 100_000)
	}
	s.reserveUnits("mug", 2)
	s.reserveUnits("mug", 10)
	var reservations []string
	for range rounds {
		if rand.N(3) == 0 {
			s.ok(adjust(delta(products[rand.N(3)], "north", models.Available, 1+rand.N(50))))
			if n := len(reservations); n > 0 {
				s.ok(release(reservations[n-1]))
				reservations = reservations[:n-1]
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
				reservations = append(reservations, r.Reservation.ID)
			}
		}
	}
}

// Chunks read like rows: ids in order, each movement continuing the one before it
// (s.audit, at the end of each test), pages, single movements, feeds from inside a
// chunk, and the stock as of a moment.
func TestChunksReadAsRows(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		feed := s.feed(t, "", models.MovementFilter{})
		edges, err := s.FeedOfProducts(t.Context(), nil)
		require.NoError(t, err)
		s.writeMixedLedger(t, 12)
		s.ok(adjust(delta("mug", "south", models.Available, 100)))
		s.reserveUnits("mug", 9) // the ledger ends inside the ids of a chunk
		require.Positive(t, s.number("SELECT count(*) FROM ledger_chunks"))
		require.Positive(t, s.number("SELECT count(*) FROM ledger_rows WHERE reason = 'RESERVED'"))
		ledger, times := s.movements(""), s.times()
		for i := range ledger[1:] {
			require.Less(t, ledger[i].MovementID, ledger[i+1].MovementID)
		}
		moved := drain(t, feed)
		require.Equal(t, ledgerIDs(ledger, nil), movedIDs(moved))
		last := map[string]database.Moved{} // the last one of each product
		for _, m := range drain(t, edges) {
			before := last[m.ProductID]
			require.Equal(t, before.StockMovement == nil || before.Version != m.Version, m.First, "movement %d", m.MovementID)
			require.True(t, before.StockMovement == nil || before.Last == m.First, "movement %d", m.MovementID)
			last[m.ProductID] = m
		}
		for _, m := range last {
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

// requirePages compares pages of every filter with the ledger, in both directions.
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

// requireStockAt compares the product after a movement with the ledger up to it. It
// checks a random part of the movements.
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
	stocks, err := s.ReadStocksAfter(t.Context(), []database.MovementRef{{ProductID: m.ProductID, MovementID: m.MovementID}})
	require.NoError(t, err)
	got := levels(stocks[0])
	for location, q := range got {
		require.Equal(t, after[location], q, "after movement %d", m.MovementID)
	}
	stock, err := s.ReadStockAsOf(t.Context(), m.ProductID, times[m.MovementID])
	require.NoError(t, err)
	require.Equal(t, asOf, levels(stock), "when movement %d was written", m.MovementID)
}

// The chunked movements of a reservation are found by its id: also when the reservation
// has lost the line since, and when its time is up to a second before the ledger's.
func TestChunkedMovementsByReservation(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("cup", "north", 1000)
		s.stock("mug", "north", 1000)
		s.reserveUnits("mug", 300)
		results := s.reserveUnits("cup", 300)
		id := results[137].Reservation.ID
		s.ok(models.UpdateReservation{IdempotencyKey: newKey(), ID: id, Lines: []models.RequestedLine{line("mug", 1)}})
		s.exec("UPDATE reservations SET created_at = created_at - interval '999 milliseconds' WHERE reservation_id = $1", keyOf(id))
		for _, product := range []string{"", "cup"} {
			page, err := s.ReadMovements(t.Context(), paging.MovementRequest{Last: 5}, models.MovementFilter{ReservationID: id, ProductID: product, Reason: models.ReasonReserved})
			require.NoError(t, err)
			require.NotEmpty(t, page.Movements)
			first := page.Movements[len(page.Movements)-1]
			require.Equal(t, id, first.ReservationID)
			require.Equal(t, "cup", first.ProductID)
			require.Equal(t, models.Quantities{Available: 1000 - 138, Reserved: 138}, first.After)
		}
	})
}

// The audit finds a chunk whose columns do not fit together or that does not fit the
// ledger around it.
func TestAuditOfChunks(t *testing.T) {
	for name, damage := range map[string]string{
		"a quantity":         "quantities[3] = 2",
		"a lost movement":    "size = size - 1",
		"a lost reservation": "reservations = substr(reservations, 17)",
		"the sum":            "total = total + 1",
		"everything":         "size = 0, quantities = '{}', reservations = ''",
		"a null":             "quantities[3] = null, total = total - 1",
		"a negative one":     "quantities[3] = -1, quantities[4] = 3",
		"the start":          "available = available + 1",
		"another state":      "damaged = 1",
	} {
		t.Run(name, func(t *testing.T) {
			on(t, []string{postgres}, func(t *testing.T, s *shop) {
				s.stock("mug", "north", 100)
				s.reserveUnits("mug", 10)
				audits := func() database.AuditedLevel { return s.ledgerAudits(allProducts, 0)[0] }
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

// No reader of the ledger of a hot product fetches many chunks.
func TestReadersFetchFewChunks(t *testing.T) {
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
				_, err := db.ReadMovements(t.Context(), paging.MovementRequest{First: 50}, models.MovementFilter{})
				return err
			},
			"of the product": func(db *database.Database) error {
				_, err := db.ReadMovements(t.Context(), paging.MovementRequest{First: 50, After: middle.MovementID}, models.MovementFilter{ProductID: "mug"})
				return err
			},
			"backwards": func(db *database.Database) error {
				_, err := db.ReadMovements(t.Context(), paging.MovementRequest{Last: 50, Before: middle.MovementID}, models.MovementFilter{ProductID: "mug", LocationID: "north"})
				return err
			},
			"by time": func(db *database.Database) error {
				_, err := db.ReadMovements(t.Context(), paging.MovementRequest{First: 50}, models.MovementFilter{Since: &since, Until: &until})
				return err
			},
			"by reservation": func(db *database.Database) error {
				_, err := db.ReadMovements(t.Context(), paging.MovementRequest{First: 50}, models.MovementFilter{ReservationID: middle.ReservationID})
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
				_, err := db.ReadStocksAfter(t.Context(), []database.MovementRef{{ProductID: "mug", MovementID: middle.MovementID}})
				return err
			},
			"feed": func(db *database.Database) error {
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
			if name == "by reservation" { // chunks within a second of it
				few = s.number("SELECT count(*) FROM ledger_chunks WHERE created_at BETWEEN $1 AND $1 + interval '1 second'", middle.CreatedAt) + 1
			}
			fetched := s.fetched(t, read)
			require.LessOrEqual(t, fetched, few, "%s fetches from %d of 40 chunks", name, fetched)
		}
	})
}

// fetched returns how many chunks a read fetches reservation ids from: the server stores
// them out of line, and counts.
func (s *shop) fetched(t *testing.T, read func(db *database.Database) error) int64 {
	db := openOnly(t, s.url)
	db.SQL.SetMaxOpenConns(1) // so that the flush below is of the connection that read
	chunks := func() int64 {
		require.NoError(t, read(db))
		_, err := db.SQL.Exec("SELECT pg_stat_force_next_flush()")
		require.NoError(t, err)
		return s.number(`SELECT coalesce(idx_tup_fetch, 0) FROM pg_stat_all_tables
			WHERE relid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'ledger_chunks'::regclass)`)
	}
	least := int64(math.MaxInt64)
	for range 3 { // other connections flush their counts too, later
		before := chunks()
		least = min(least, (chunks()-before)/3)
	}
	return least
}
