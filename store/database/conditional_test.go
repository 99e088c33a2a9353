package database_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// onContended runs a test with cups and pens of one level each that another copy
// sells too.
func onContended(t *testing.T, test func(t *testing.T, s *shop, other *database.Database)) {
	t.Helper()
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("cup", "north", 1000)
		s.stock("pen", "south", 1000)
		other := s.otherInstance(t)
		_, err := other.Write(t.Context(), []models.Write{reserve(line("cup", 1), line("pen", 1))})
		require.NoError(t, err)
		s.LongContention()
		s.ExpectContention("cup", "pen")
		test(t, s, other)
	})
}

func reservationsOf(n int, lines ...models.Line) (writes []models.Write) {
	for range n {
		writes = append(writes, reserve(lines...))
	}
	return writes
}

// What another copy took and brought meanwhile is no reason to refuse a plan, nor
// is it lost, however the movements are kept; what is told is what is there.
func TestConditionalBatch(t *testing.T) {
	for name, is := range map[string]struct{ cups, pens int }{
		"rows":           {database.ChunkMin - 1, 1},
		"a pack":         {database.ChunkMin, 0},
		"packs":          {2*database.ChunkMax + 3, database.ChunkMax},
		"rows and packs": {1, database.ChunkMax + 1},
	} {
		t.Run(name, func(t *testing.T) {
			onContended(t, func(t *testing.T, s *shop, other *database.Database) {
				writes := append(reservationsOf(is.cups, line("cup", 1)), reservationsOf(is.pens, line("pen", 1))...)
				if is.pens > 0 {
					writes = append(writes, reserve(line("pen", 3), line("cup", 2)))
				}
				b := s.optimistic(writes...)
				require.True(t, b.Contended())
				_, err := other.Write(t.Context(), []models.Write{reserve(line("cup", 7)), adjust(delta("cup", "north", models.Damaged, 4))})
				require.NoError(t, err)
				next := s.NewOptimisticBatch() // decided before the first is known to have happened
				w := reserve(line("cup", 5))
				require.True(t, next.Add(s.Prepare(w)))

				before := len(s.movements(""))
				out, err := b.Commit(t.Context())
				require.NoError(t, err)
				for _, stock := range out.Stocks {
					require.Equal(t, s.read(stock.ProductID), timeless(stock))
				}
				ledger := s.movements("")[before:]
				units := 0
				for _, m := range ledger {
					units += m.Delta.Reserved
				}
				wanted := is.cups + is.pens
				if is.pens > 0 {
					wanted += 5
				}
				require.Equal(t, wanted, units)
				cups := slices.DeleteFunc(s.movements("cup"), func(m models.StockMovement) bool { return m.Version < out.Stocks[0].Version })
				require.Equal(t, out.Results[0].Reservation.ID, cups[0].ReservationID, "in the order of decisions")
				require.Zero(t, s.number("SELECT count(*) FROM stock_movements m JOIN reservations r USING (reservation_id) WHERE m.created_at < r.created_at"))

				next.Close()
				require.True(t, next.Contended())
				again, err := next.Commit(t.Context())
				require.NoError(t, err)
				require.Equal(t, s.read("cup"), timeless(again.Stocks[0]))
				cups = s.movements("cup")
				require.Equal(t, models.Quantities{Reserved: 5, Available: -5}, cups[len(cups)-1].Delta)
			})
		})
	}
}

// What it does count on has it refused: enough stock, settings, which levels
// there are, where they lie, the history, and keys that nobody used.
func TestConditionalBatchIsRefused(t *testing.T) {
	for name, meddle := range map[string]func(s *shop, other *database.Database, w models.Reserve) error{
		"too little left": func(s *shop, other *database.Database, _ models.Reserve) error {
			_, err := other.Write(context.Background(), []models.Write{reserve(line("cup", 998))})
			return err
		},
		"settings": func(s *shop, _ *database.Database, _ models.Reserve) error {
			s.settings("cup", "max_per_reservation = 1")
			return nil
		},
		"a new level": func(s *shop, _ *database.Database, _ models.Reserve) error {
			s.exec("INSERT INTO stock_levels (product_id, location_id, available) VALUES ('cup', 'far', 1)")
			return nil
		},
		"another copy's new level": func(s *shop, other *database.Database, _ models.Reserve) error {
			_, err := other.Write(context.Background(), []models.Write{adjust(delta("cup", "far", models.Available, 1))})
			return err
		},
		"the level is gone": func(s *shop, _ *database.Database, _ models.Reserve) error {
			s.exec("DELETE FROM stock_levels WHERE product_id = 'cup'")
			return nil
		},
		"a location": func(s *shop, _ *database.Database, _ models.Reserve) error {
			s.exec("UPDATE locations SET active = false WHERE location_id = 'north'")
			return nil
		},
		"another history": func(s *shop, _ *database.Database, _ models.Reserve) error {
			s.exec("UPDATE onhand_meta SET epoch = 'restored'")
			return nil
		},
		"another copy's hold": func(_ *shop, other *database.Database, w models.Reserve) error {
			_, err := other.Write(context.Background(), []models.Write{w})
			return err
		},
		"an answer on record": func(_ *shop, other *database.Database, w models.Reserve) error {
			w.Lines = []models.Line{line("mug", 1)}
			_, err := other.Write(context.Background(), []models.Write{w})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			onContended(t, func(t *testing.T, s *shop, other *database.Database) {
				w := reserve(line("cup", 2))
				b := s.optimistic(reserve(line("pen", 1)), w)
				require.True(t, b.Contended())
				require.NoError(t, meddle(s, other, w))
				s.commitRefused(b)
				s.do(reserve(line("pen", 1))) // the ordinary way
			})
		})
	}
}

// A movement that is much later than its reservation would not be found by it: a
// plan that had to wait too long for its locks is refused.
func TestConditionalBatchIsNotMuchLater(t *testing.T) {
	onContended(t, func(t *testing.T, s *shop, _ *database.Database) {
		b := s.optimistic(reserve(line("cup", 1)))
		s.exec(`CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(` + strconv.FormatFloat(database.ChunkDelayMax.Seconds(), 'f', 1, 64) + `); RETURN NEW; END $$;
			CREATE TRIGGER dawdle BEFORE UPDATE ON products FOR EACH ROW EXECUTE FUNCTION dawdle()`)
		t.Cleanup(func() { s.exec("DROP FUNCTION dawdle CASCADE") }) // another test has this database next
		s.commitRefused(b)
	})
}

// A backorder goes down to the product's floor, and not below.
func TestConditionalBatchKeepsTheFloor(t *testing.T) {
	onContended(t, func(t *testing.T, s *shop, other *database.Database) {
		s.settings("cup", "inventory_policy = 'CONTINUE', backorder_limit = 10")
		s.ok(reserve(line("cup", 1)))
		s.ExpectContention("cup")
		fits, tooMuch := s.optimistic(reserve(line("cup", 1000))), s.optimistic(reserve(line("cup", 8)))
		_, err := other.Write(t.Context(), []models.Write{reserve(line("cup", 5))})
		require.NoError(t, err)
		_, err = fits.Commit(t.Context())
		require.NoError(t, err)
		require.Equal(t, -7, s.level("cup", "north").Available)
		_, err = tooMuch.Commit(t.Context())
		require.ErrorIs(t, err, database.ErrRefused)
	})
}

// A plan's stock is as of its locks, not of the wait for them: the ledger of a
// product is in the order of its times, however long somebody had it locked.
func TestOptimisticBatchReadsTheClockUnderItsLocks(t *testing.T) {
	for name, conditional := range map[string]bool{"compare-and-set": false, "conditional decrement": true} {
		t.Run(name, func(t *testing.T) {
			onPostgres(t, func(t *testing.T, s *shop) {
				if conditional {
					s.LongContention()
					s.ExpectContention("cup")
				}
				b := s.optimistic(reserve(line("cup", 1)))
				require.Equal(t, conditional, b.Contended())
				var unlocked time.Time
				out, err := s.whileLocked(t, b, "SELECT 1 FROM stock_levels WHERE product_id = 'cup' FOR UPDATE", func() {
					require.NoError(t, s.raw.QueryRow("SELECT clock_timestamp()").Scan(&unlocked))
				})
				require.NoError(t, err)
				require.False(t, out.Stocks[0].AsOf.Before(unlocked))
				require.Zero(t, s.number("SELECT count(*) FROM stock_movements WHERE reason = 'RESERVED' AND created_at < $1", unlocked))
			})
		})
	}
}

// A product stays contested for its time, however many plans were right meanwhile:
// a sweep that was announced may still wait for their locks.
func TestConditionalBatchOutlastsPlansThatAreRight(t *testing.T) {
	onContended(t, func(t *testing.T, s *shop, _ *database.Database) {
		for range 10 {
			b := s.optimistic(reserve(line("cup", 1)))
			require.True(t, b.Contended())
			_, err := b.Commit(t.Context())
			require.NoError(t, err)
		}
	})
}

// Carts that also ask for products of several levels are not decided ahead while
// others change what is in them: versions would have to be right.
func TestConditionalBatchNeedsSingleLevels(t *testing.T) {
	onContended(t, func(t *testing.T, s *shop, _ *database.Database) {
		s.stock("mug", "north", 10, "south", 10)
		s.notOptimistic(reserve(line("cup", 1), line("mug", 1)))
		b := s.NewOptimisticBatch()
		require.True(t, b.Add(s.Prepare(reserve(line("mug", 1)))))
		require.False(t, b.Add(s.Prepare(reserve(line("cup", 1)))))
		b.Close()
		require.False(t, b.Contended())
		_, err := b.Commit(t.Context())
		require.NoError(t, err)
	})
}

// A plan that cannot go by stock is not sent where the one before it found other
// quantities than it had left: its movements would tell of what was not there.
func TestOptimisticBatchAfterOneThatFoundOthers(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("cup", "north", 1000)
		s.stock("pen", "south", 1000)
		s.stock("mug", "north", 10, "south", 10)
		other := s.otherInstance(t)
		s.LongContention()
		s.ExpectContention("cup")
		b := s.optimistic(reserve(line("cup", 1)), reserve(line("pen", 1)))
		require.True(t, b.Contended())
		_, err := other.Write(t.Context(), []models.Write{reserve(line("pen", 7))})
		require.NoError(t, err)
		w := reserve(line("pen", 1), line("mug", 1))
		next := s.NewOptimisticBatch() // while pens are not known to be contested
		require.True(t, next.Add(s.Prepare(w)))
		_, err = b.Commit(t.Context())
		require.NoError(t, err)
		next.Close()
		require.False(t, next.Contended())
		_, err = next.Commit(t.Context())
		require.ErrorIs(t, err, database.ErrRefused)
		next.Discard()
		s.ok(w)
		require.Equal(t, models.Quantities{Available: 991, Reserved: 9}, s.movements("pen")[3].After)
	})
}

// Once nobody else changes a product any more, plans go by version again.
func TestConditionalBatchEnds(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("cup", "north", 1000)
		s.ExpectContention("cup")
		require.Eventually(t, func() bool {
			b := s.NewOptimisticBatch()
			decided := b.Add(s.Prepare(reserve(line("cup", 1))))
			b.Close()
			if _, err := b.Commit(t.Context()); !decided || err != nil {
				b.Discard()
				s.ok(reserve(line("cup", 1)))
				return false
			}
			return !b.Contended()
		}, generous, database.ContendedFor/10)
	})
}

// Copies that serve one rush sell what there is, each unit once.
func TestInstancesShareARush(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("cup", "north", 2000)
		copies := []*database.Database{s.Database, s.otherInstance(t), s.otherInstance(t)}
		var group sync.WaitGroup
		sold := make([]int, len(copies))
		for i, db := range copies {
			group.Go(func() {
				one := s.with(t)
				one.Database = db
				for round, none := 0, 0; none < 5; round++ {
					var writes []models.Write
					for n := range 1 + rand.N(60) {
						w := reserve(line("cup", 1+rand.N(2)))
						w.IdempotencyKey = strconv.Itoa(i) + "-" + strconv.Itoa(round) + "-" + strconv.Itoa(n)
						writes = append(writes, w)
					}
					out, err := one.decide(t.Context(), writes)
					if !assert.NoError(t, err) {
						return
					}
					before := sold[i]
					for _, r := range out.Results {
						if r.Reservation != nil {
							sold[i] += r.Reservation.Lines[0].Quantity
						}
					}
					if none++; sold[i] > before {
						none = 0
					}
				}
			})
		}
		group.Wait()
		require.Equal(t, 2000, sold[0]+sold[1]+sold[2])
		require.Equal(t, models.Quantities{Reserved: 2000}, s.level("cup", "north"))
	})
}

// Holds that end meanwhile are no reason to refuse a plan either; products of
// several levels are decided ahead as before.
func TestOptimisticBatchBesideASweep(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		s.LongContention()
		s.overdue(s.reserved(line("cup", 4)).ID, s.reserved(line("mug", 4)).ID)
		b := s.NewOptimisticBatch()
		require.True(t, b.Add(s.Prepare(reserve(line("cup", 6)))))
		require.Len(t, s.sweep(10), 2)
		b.Close()
		require.True(t, b.Contended())
		out, err := b.Commit(t.Context())
		require.NoError(t, err)
		require.Equal(t, models.Quantities{Available: 4, Reserved: 6}, s.level("cup", "north"))
		require.Equal(t, s.read("cup"), timeless(out.Stocks[0]))
		_, err = s.optimistic(reserve(line("mug", 1))).Commit(t.Context())
		require.NoError(t, err)
	})
}
