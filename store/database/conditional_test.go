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
	"onhand/store/database/optimistic"
)

// onContended runs a test with cups and pens of one level each, which another instance
// sells too.
func onContended(t *testing.T, test func(t *testing.T, s *shop, other *database.Database)) {
	t.Helper()
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("cup", "north", 1000)
		s.stock("pen", "south", 1000)
		other := s.otherInstance(t)
		_, err := other.WriteUnderLock(t.Context(), []models.Write{reserve(line("cup", 1), line("pen", 1))})
		require.NoError(t, err)
		s.LongContention()
		s.ExpectContention("cup", "pen")
		test(t, s, other)
	})
}

func reservationsOf(n int, lines ...models.RequestedLine) (writes []models.Write) {
	for range n {
		writes = append(writes, reserve(lines...))
	}
	return writes
}

// Another instance's changes of quantities do not refuse a conditional batch, and none
// is lost, whether movements are stored as rows or chunks. The returned stocks are those
// in the database.
func TestConditionalBatch(t *testing.T) {
	for name, is := range map[string]struct{ cups, pens int }{
		"rows":            {database.ChunkMin - 1, 1},
		"a chunk":         {database.ChunkMin, 0},
		"chunks":          {2*database.ChunkMax + 3, database.ChunkMax},
		"rows and chunks": {1, database.ChunkMax + 1},
	} {
		t.Run(name, func(t *testing.T) {
			onContended(t, func(t *testing.T, s *shop, other *database.Database) {
				writes := append(reservationsOf(is.cups, line("cup", 1)), reservationsOf(is.pens, line("pen", 1))...)
				if is.pens > 0 {
					writes = append(writes, reserve(line("pen", 3), line("cup", 2)))
				}
				b := s.optimistic(writes...)
				require.True(t, b.Conditional)
				_, err := other.WriteUnderLock(t.Context(), []models.Write{reserve(line("cup", 7)), adjust(delta("cup", "north", models.Damaged, 4))})
				require.NoError(t, err)
				next := s.NewOptimisticBatch() // decided before the first has committed
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
				require.True(t, next.Conditional)
				again, err := next.Commit(t.Context())
				require.NoError(t, err)
				require.Equal(t, s.read("cup"), timeless(again.Stocks[0]))
				cups = s.movements("cup")
				require.Equal(t, models.Quantities{Reserved: 5, Available: -5}, cups[len(cups)-1].Delta)
			})
		})
	}
}

// A conditional batch is refused when what it assumed has changed: enough stock,
// settings, the list of levels and their locations, the epoch, unused keys.
func TestConditionalBatchIsRefused(t *testing.T) {
	for name, change := range map[string]func(s *shop, other *database.Database, w models.Reserve) error{
		"too little left": func(s *shop, other *database.Database, _ models.Reserve) error {
			_, err := other.WriteUnderLock(context.Background(), []models.Write{reserve(line("cup", 998))})
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
		"another instance's new level": func(s *shop, other *database.Database, _ models.Reserve) error {
			_, err := other.WriteUnderLock(context.Background(), []models.Write{adjust(delta("cup", "far", models.Available, 1))})
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
		"another epoch": func(s *shop, _ *database.Database, _ models.Reserve) error {
			s.exec("UPDATE onhand_meta SET epoch = 'restored'")
			return nil
		},
		"another instance's reservation": func(_ *shop, other *database.Database, w models.Reserve) error {
			_, err := other.WriteUnderLock(context.Background(), []models.Write{w})
			return err
		},
		"a key that has reserved a part": func(s *shop, other *database.Database, w models.Reserve) error {
			s.stock("tea", "north", 1)
			w.Lines, w.AllowPartial = []models.RequestedLine{line("tea", 2)}, true
			_, err := other.WriteUnderLock(context.Background(), []models.Write{w})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			onContended(t, func(t *testing.T, s *shop, other *database.Database) {
				w := reserve(line("cup", 2))
				b := s.optimistic(reserve(line("pen", 1)), w)
				require.True(t, b.Conditional)
				require.NoError(t, change(s, other, w))
				s.commitRefused(b)
				s.do(reserve(line("pen", 1))) // under lock
			})
		})
	}
}

// A conditional batch that waited too long for its locks is refused: its movements would
// be too late to be found by their reservation.
func TestConditionalBatchIsNotMuchLater(t *testing.T) {
	onContended(t, func(t *testing.T, s *shop, _ *database.Database) {
		b := s.optimistic(reserve(line("cup", 1)))
		s.exec(`CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(` + strconv.FormatFloat(database.ChunkDelayMax.Seconds(), 'f', 1, 64) + `); RETURN NEW; END $$;
			CREATE TRIGGER dawdle BEFORE UPDATE ON products FOR EACH ROW EXECUTE FUNCTION dawdle()`)
		t.Cleanup(func() { s.exec("DROP FUNCTION dawdle CASCADE") }) // another test uses this database next
		s.commitRefused(b)
	})
}

// A conditional batch takes backorders down to the product's floor, and no lower.
func TestConditionalBatchKeepsTheFloor(t *testing.T) {
	onContended(t, func(t *testing.T, s *shop, other *database.Database) {
		s.settings("cup", "inventory_policy = 'CONTINUE', backorder_limit = 10")
		s.ok(reserve(line("cup", 1)))
		s.ExpectContention("cup")
		fits, tooMuch := s.optimistic(reserve(line("cup", 1000))), s.optimistic(reserve(line("cup", 8)))
		_, err := other.WriteUnderLock(t.Context(), []models.Write{reserve(line("cup", 5))})
		require.NoError(t, err)
		_, err = fits.Commit(t.Context())
		require.NoError(t, err)
		require.Equal(t, -7, s.level("cup", "north").Available)
		_, err = tooMuch.Commit(t.Context())
		require.ErrorIs(t, err, optimistic.ErrRefused)
	})
}

// The times of an optimistic batch are those under its locks, not those before its wait:
// the ledger of a product is in the order of its times.
func TestOptimisticBatchReadsTheClockUnderItsLocks(t *testing.T) {
	for name, conditional := range map[string]bool{"compare-and-set": false, "conditional decrement": true} {
		t.Run(name, func(t *testing.T) {
			onPostgres(t, func(t *testing.T, s *shop) {
				if conditional {
					s.LongContention()
					s.ExpectContention("cup")
				}
				b := s.optimistic(reserve(line("cup", 1)))
				require.Equal(t, conditional, b.Conditional)
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

// A product stays contended for its time, however many batches commit meanwhile: an
// announced sweep may still wait for their locks.
func TestContentionOutlastsCommittedBatches(t *testing.T) {
	onContended(t, func(t *testing.T, s *shop, _ *database.Database) {
		for range 10 {
			b := s.optimistic(reserve(line("cup", 1)))
			require.True(t, b.Conditional)
			_, err := b.Commit(t.Context())
			require.NoError(t, err)
		}
	})
}

// A cart with a contended product and a product of several levels is not decided
// optimistically: it would need exact versions.
func TestConditionalBatchNeedsSingleLevels(t *testing.T) {
	onContended(t, func(t *testing.T, s *shop, _ *database.Database) {
		s.stock("mug", "north", 10, "south", 10)
		s.notOptimistic(reserve(line("cup", 1), line("mug", 1)))
		b := s.NewOptimisticBatch()
		require.True(t, b.Add(s.Prepare(reserve(line("mug", 1)))))
		require.False(t, b.Add(s.Prepare(reserve(line("cup", 1)))))
		b.Close()
		require.False(t, b.Conditional)
		_, err := b.Commit(t.Context())
		require.NoError(t, err)
	})
}

// A batch that cannot go by conditional decrement is not sent when the preceding batch
// found another instance's changes: its movements would have wrong quantities.
func TestOptimisticBatchAfterAnOvertakenOne(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("cup", "north", 1000)
		s.stock("pen", "south", 1000)
		s.stock("mug", "north", 10, "south", 10)
		other := s.otherInstance(t)
		s.LongContention()
		s.ExpectContention("cup")
		b := s.optimistic(reserve(line("cup", 1)), reserve(line("pen", 1)))
		require.True(t, b.Conditional)
		_, err := other.WriteUnderLock(t.Context(), []models.Write{reserve(line("pen", 7))})
		require.NoError(t, err)
		w := reserve(line("pen", 1), line("mug", 1))
		next := s.NewOptimisticBatch() // decided before pens are known to be contended
		require.True(t, next.Add(s.Prepare(w)))
		_, err = b.Commit(t.Context())
		require.NoError(t, err)
		next.Close()
		require.False(t, next.Conditional)
		_, err = next.Commit(t.Context())
		require.ErrorIs(t, err, optimistic.ErrRefused)
		next.Discard()
		s.ok(w)
		require.Equal(t, models.Quantities{Available: 991, Reserved: 9}, s.movements("pen")[3].After)
	})
}

// When no other instance changes a product any more, batches go by compare-and-set
// again.
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
			return !b.Conditional
		}, generous, database.ContendedFor/10)
	})
}

// Instances that sell one product together sell every unit once.
func TestInstancesShareARush(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("cup", "north", 2000)
		databases := []*database.Database{s.Database, s.otherInstance(t), s.otherInstance(t)}
		var group sync.WaitGroup
		sold := make([]int, len(databases))
		for i, db := range databases {
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

// Reservations that expire meanwhile do not refuse a batch. Products of several levels
// go by compare-and-set as before.
func TestOptimisticBatchBesideASweep(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		s.LongContention()
		s.overdue(s.reserved(line("cup", 4)).ID, s.reserved(line("mug", 4)).ID)
		b := s.NewOptimisticBatch()
		require.True(t, b.Add(s.Prepare(reserve(line("cup", 6)))))
		require.Len(t, s.sweep(10), 2)
		b.Close()
		require.True(t, b.Conditional)
		out, err := b.Commit(t.Context())
		require.NoError(t, err)
		require.Equal(t, models.Quantities{Available: 4, Reserved: 6}, s.level("cup", "north"))
		require.Equal(t, s.read("cup"), timeless(out.Stocks[0]))
		_, err = s.optimistic(reserve(line("mug", 1))).Commit(t.Context())
		require.NoError(t, err)
	})
}
