package database_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/owner"
	"onhand/store/database"
	"onhand/store/database/optimistic"
)

// decide executes writes as group commit does: optimistically where it can, else, and
// when the batch was refused, under lock.
func (s *shop) decide(ctx context.Context, writes []models.Write) (models.Outcome, error) {
	if b := s.NewOptimisticBatch(); b != nil {
		if !slices.ContainsFunc(writes, func(w models.Write) bool { return !b.Add(s.Prepare(w)) }) {
			b.Close()
			if out, err := b.Commit(ctx); err == nil {
				return out, nil
			}
		}
		b.Discard()
	}
	return s.WriteUnderLock(ctx, writes)
}

// optimistic returns a closed optimistic batch of reservations.
func (s *shop) optimistic(writes ...models.Write) *database.OptimisticBatch {
	s.t.Helper()
	b := s.NewOptimisticBatch()
	for _, w := range writes {
		require.True(s.t, b.Add(s.Prepare(w)))
	}
	b.Close()
	return b
}

// notOptimistic requires that a write is not decided optimistically.
func (s *shop) notOptimistic(w models.Write) {
	s.t.Helper()
	b := s.NewOptimisticBatch()
	require.False(s.t, b.Add(s.Prepare(w)))
}

// commitRefused commits an optimistic batch, requires that it is refused without effect,
// and discards it.
func (s *shop) commitRefused(b *database.OptimisticBatch) {
	s.t.Helper()
	levels, ledger, reservations := s.levels(), len(s.movements("")), s.number("SELECT count(*) FROM reservations")
	_, err := b.Commit(context.Background())
	require.ErrorIs(s.t, err, optimistic.ErrRefused)
	require.Equal(s.t, levels, s.levels())
	require.Len(s.t, s.movements(""), ledger)
	require.Equal(s.t, reservations, s.number("SELECT count(*) FROM reservations"))
	b.Discard()
}

// onPostgres runs a test on Postgres with mugs and cups that are cached.
func onPostgres(t *testing.T, test func(t *testing.T, s *shop)) {
	t.Helper()
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10, "south", 10)
		s.stock("cup", "north", 10)
		test(t, s)
	})
}

// A reservation that was decided optimistically has the same rows in every table as one
// that was decided under lock.
func TestOptimisticBatchWritesWhatAWriteWrites(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		row := func(query string) (all string) {
			require.NoError(t, s.raw.QueryRow("SELECT json_agg(r)::text FROM ("+query+") r").Scan(&all))
			return all
		}
		w := reserve(line("mug", 12), line("cup", 1))
		w.OwnerRef, w.Holder, w.TTL = "cart 7", owner.OfSubject("alice"), 90*time.Second
		b := s.optimistic(w)
		before := len(s.movements(""))
		out, err := b.Commit(t.Context())
		require.NoError(t, err)
		require.Empty(t, out.Reservations, "a new reservation has no watchers")
		r := out.Results[0].Reservation
		require.Equal(t, 90*time.Second, r.ExpiresAt.Sub(r.CreatedAt))
		require.Equal(t, r.CreatedAt, r.ServerTime)
		got := s.reservation(r.ID)
		got.ServerTime = r.ServerTime
		require.Equal(t, *r, got)
		require.Equal(t, []string{"cup", "mug"}, []string{out.Stocks[0].ProductID, out.Stocks[1].ProductID})
		for _, stock := range out.Stocks {
			require.Equal(t, s.read(stock.ProductID), timeless(stock))
			require.Equal(t, r.CreatedAt, stock.AsOf)
		}
		require.Len(t, s.movements(""), before+3)
		stored := `SELECT state, channel, owner_ref, holder, order_ref, version, expires_at - created_at AS ttl, lines FROM reservations`
		ledger := `SELECT product_id, location_id, reason, note, reference, actor, available_delta, reserved_delta, committed_delta,
			damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta, reservation_id IS NULL AS loose, txid > 0 AS known,
			created_at = (SELECT created_at FROM reservations) AS at_once
			FROM stock_movements WHERE reason = 'RESERVED' ORDER BY movement_id`
		optimistically, moved := row(stored), row(ledger)
		s.ok(releaseAs(r.ID, owner.Access{Subject: "alice"}))
		s.exec("DELETE FROM reservations")

		w.IdempotencyKey = newKey()
		_, err = s.WriteUnderLock(t.Context(), []models.Write{w})
		require.NoError(t, err)
		require.JSONEq(t, optimistically, row(stored))
		var rows []json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(row(ledger)), &rows))
		again, err := json.Marshal(rows[3:])
		require.NoError(t, err)
		require.JSONEq(t, moved, string(again))
	})
}

// A change of anything that an optimistic batch assumed refuses the whole batch, without
// effect.
func TestOptimisticBatchIsRefused(t *testing.T) {
	for name, change := range map[string]func(s *shop, w models.Reserve){
		"a count": func(s *shop, _ models.Reserve) {
			s.exec("UPDATE stock_levels SET available = 1 WHERE product_id = 'mug' AND location_id = 'south'")
		},
		"settings": func(s *shop, _ models.Reserve) { s.settings("mug", "max_per_reservation = 1") },
		"a location": func(s *shop, _ models.Reserve) {
			s.exec("UPDATE locations SET active = false WHERE location_id = 'north'")
		},
		"a channel": func(s *shop, _ models.Reserve) { s.exec("DELETE FROM channel_locations") },
		"a new level": func(s *shop, _ models.Reserve) {
			s.exec("INSERT INTO stock_levels (product_id, location_id, available) VALUES ('mug', 'far', 1)")
		},
		"another epoch": func(s *shop, _ models.Reserve) { s.exec("UPDATE onhand_meta SET epoch = 'restored'") },
		"another instance's reservation": func(s *shop, w models.Reserve) {
			_, err := s.otherInstance(s.t.(*testing.T)).WriteUnderLock(context.Background(), []models.Write{w})
			require.NoError(s.t, err)
		},
		"a key that has reserved a part": func(s *shop, w models.Reserve) {
			s.stock("tea", "north", 1)
			w.Lines, w.AllowPartial = []models.RequestedLine{line("tea", 2)}, true
			_, err := s.otherInstance(s.t.(*testing.T)).WriteUnderLock(context.Background(), []models.Write{w})
			require.NoError(s.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onPostgres(t, func(t *testing.T, s *shop) {
				w := reserve(line("mug", 2), line("cup", 1))
				b := s.optimistic(reserve(line("cup", 1)), w)
				change(s, w)
				s.commitRefused(b)
				s.notOptimistic(reserve(line("mug", 1)))
				s.do(reserve(line("cup", 1))) // under lock
			})
		})
	}
}

// An untracked product does not change with its reservations, and is compared like any
// other.
func TestOptimisticBatchOfUntrackedProducts(t *testing.T) {
	for name, lines := range map[string][]models.RequestedLine{
		"alone": {line("song", 5)}, "in a cart": {line("cup", 1), line("song", 5)}, "beside several": {line("cup", 1), line("mug", 9), line("song", 5)},
	} {
		t.Run(name, func(t *testing.T) {
			onPostgres(t, func(t *testing.T, s *shop) {
				s.exec("INSERT INTO products (product_id, tracked) VALUES ('song', false)")
				s.ok(reserve(line("song", 1), line("cup", 1), line("mug", 1))) // caches the products
				b, next := s.optimistic(reserve(lines...)), s.optimistic(reserve(lines...))
				song := s.read("song")
				s.exec("DELETE FROM outbox")
				out, err := b.Commit(t.Context())
				require.NoError(t, err)
				require.Len(t, out.Stocks, len(lines)-1)
				require.Equal(t, song, s.read("song"))
				require.EqualValues(t, len(lines)-1, s.number("SELECT count(*) FROM outbox o JOIN products USING (product_id, version)"))
				s.settings("song", "title = 'Song'")
				s.commitRefused(next)
			})
		})
	}
}

// otherInstance opens the database as another instance does.
func (s *shop) otherInstance(t *testing.T) *database.Database {
	db := openOnly(t, s.url)
	_, err := db.ReadMeta(t.Context())
	require.NoError(t, err)
	return db
}

// A batch that is decided before the preceding one has committed counts on what that one
// leaves behind.
func TestOptimisticBatchOnTopOfAnother(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		first := s.optimistic(reserve(line("cup", 6)))
		s.notOptimistic(reserve(line("cup", 5)))
		second := s.optimistic(reserve(line("cup", 4)))
		_, err := second.Commit(t.Context())
		require.Error(t, err, "not before the first")
		_, err = first.Commit(t.Context())
		require.NoError(t, err)
		_, err = second.Commit(t.Context())
		require.NoError(t, err)
		require.Equal(t, models.Quantities{Reserved: 10}, s.level("cup", "north"))
		require.Equal(t, s.read("cup").Version, s.movements("cup")[0].Version+2)
	})
}

// An optimistic batch waits for uncommitted outside changes and then compares, with one
// level, which it compares and changes in one statement, and with several.
func TestOptimisticBatchWaitsForOthers(t *testing.T) {
	for name, lines := range map[string][]models.RequestedLine{
		"one level": {line("cup", 1)}, "two levels": {line("cup", 1), line("mug", 1)},
	} {
		for change, statement := range map[string]string{
			"settings":      "UPDATE products SET title = 'Cup' WHERE product_id = 'cup'",
			"a count":       "UPDATE stock_levels SET available = available + 1 WHERE product_id = 'cup'",
			"another state": "UPDATE stock_levels SET damaged = 1 WHERE product_id = 'cup'",
			"a new level":   "INSERT INTO stock_levels (product_id, location_id, available) VALUES ('cup', 'far', 1)",
		} {
			for _, done := range []string{"COMMIT", "ROLLBACK"} {
				t.Run(name+", "+change+", "+done, func(t *testing.T) {
					onPostgres(t, func(t *testing.T, s *shop) {
						conn, err := s.raw.Conn(t.Context())
						require.NoError(t, err)
						defer conn.Close()
						for _, query := range []string{"BEGIN", statement} {
							_, err = conn.ExecContext(t.Context(), query)
							require.NoError(t, err)
						}
						ended := make(chan error, 1)
						b := s.optimistic(reserve(lines...))
						go func() { _, err := b.Commit(context.Background()); ended <- err }()
						s.awaitBlocked(t)
						_, err = conn.ExecContext(t.Context(), done)
						require.NoError(t, err)
						if err = <-ended; done == "ROLLBACK" {
							require.NoError(t, err)
							require.Equal(t, int64(1), s.number("SELECT count(*) FROM reservations"))
							return
						}
						require.Error(t, err)
						require.Zero(t, s.number("SELECT count(*) FROM reservations"))
						require.Zero(t, s.number("SELECT count(*) FROM stock_movements WHERE reason = 'RESERVED'"))
					})
				})
			}
		}
	}
}

// A write of products that are not cached, a reservation that would not be granted
// whole, and a used key are left to be decided under lock. They do not change the
// snapshot cache.
func TestWritesThatAreNotOptimistic(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		w := reserve(line("cup", 3))
		b := s.optimistic(w)
		s.notOptimistic(w)
		s.notOptimistic(reserve(line("cup", 8)))
		s.notOptimistic(reserve(line("pen", 1)))
		s.notOptimistic(adjust(delta("cup", "north", models.Available, 1)))
		partial := reserve(line("cup", 8))
		partial.AllowPartial = true
		s.notOptimistic(partial)
		web := reserve(line("cup", 1))
		web.Channel = "web"
		s.notOptimistic(web)
		s.notOptimistic(reserve(line("cup", 1), pinned("cup", 1, "moon")))
		s.notOptimistic(reserve(line("cup", 1), line("pen", 1)))
		_, err := b.Commit(t.Context())
		require.NoError(t, err)
		s.replayed(w, models.WriteResult{Reservation: new(s.reservation(s.ReservationOf(w.IdempotencyKey)))})
		_, err = s.optimistic(reserve(line("cup", 7))).Commit(t.Context())
		require.NoError(t, err)
	})
}

// Channels and the locations that lines name are cached too.
func TestOptimisticBatchKnowsChannelsAndLocations(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		web := func() models.Reserve {
			w := reserve(line("mug", 1), pinned("mug", 2, "south"))
			w.Channel = "web"
			return w
		}
		s.ok(web())
		out, err := s.optimistic(web()).Commit(t.Context())
		require.NoError(t, err)
		require.Equal(t, []models.Allocation{{LocationID: "south", Quantity: 3}}, allocations(t, out.Results[0].Reservation))
		require.Equal(t, "web", s.reservation(out.Results[0].Reservation.ID).Channel)
	})
}

// A contended product of several levels is decided under lock for a while.
func TestOptimisticBatchAvoidsContendedProducts(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		b := s.optimistic(reserve(line("mug", 1)))
		s.settings("mug", "title = 'Mug'")
		_, err := b.Commit(t.Context())
		require.Error(t, err)
		b.Discard()
		s.ok(reserve(line("mug", 1)))
		s.notOptimistic(reserve(line("mug", 1)))
		s.optimistic(reserve(line("cup", 1))).Discard()
		require.Eventually(t, func() bool {
			s.ok(reserve(line("mug", 1)))
			b := s.NewOptimisticBatch()
			defer b.Discard()
			return b.Add(s.Prepare(reserve(line("mug", 1))))
		}, generous, database.ContendedFor/4)
	})
}

// Columns arrive unchanged in the binary format and as text.
func TestColumnsArrive(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		for _, mode := range []string{"cache_statement", "exec", "simple_protocol"} {
			s.stock("mug", "north", 20)
			db := openOnly(t, s.url+"&default_query_exec_mode="+mode)
			_, err := db.ReadMeta(t.Context())
			require.NoError(t, err)
			w := reserve(line("mug", 1))
			w.OwnerRef = `a "quoted" \ and {braced}, NULL`
			out, err := db.WriteUnderLock(t.Context(), []models.Write{w})
			require.NoError(t, err, mode)
			require.Equal(t, w.OwnerRef, s.reservation(out.Results[0].Reservation.ID).Owner, mode)
			b := db.NewOptimisticBatch()
			w.IdempotencyKey = newKey()
			require.True(t, b.Add(db.Prepare(w)), mode)
			for range database.ChunkMin {
				require.True(t, b.Add(db.Prepare(reserve(line("mug", 1)))), mode)
			}
			b.Close()
			out, err = b.Commit(t.Context())
			require.NoError(t, err, mode)
			require.Equal(t, w.OwnerRef, s.reservation(out.Results[0].Reservation.ID).Owner, mode)
		}
	})
}

// A version identifies a state only within one epoch. An optimistic batch compares
// quantities too, so that a reused version is noticed.
func TestOptimisticBatchComparesQuantities(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		updateWithoutTriggers := func(available int) {
			s.exec(fmt.Sprintf(`SET session_replication_role = replica;
				UPDATE stock_levels SET available = %d WHERE product_id = 'cup'; RESET session_replication_role`, available))
		}
		b := s.optimistic(reserve(line("cup", 1)))
		updateWithoutTriggers(1)
		_, err := b.Commit(t.Context())
		require.Error(t, err)
		require.Equal(t, models.Quantities{Available: 1}, s.level("cup", "north"))
		b.Discard()
		updateWithoutTriggers(10)
	})
}
