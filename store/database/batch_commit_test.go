package database_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/database/dialect"
	"onhand/store/database/optimistic"
)

// sizes returns how many writes each transaction of a result had.
func sizes(r database.BatchResult) (all []int) {
	for _, a := range r.Transactions {
		all = append(all, a.Writes)
	}
	return all
}

// poison makes every change of one product's stock fail.
func (s *shop) poison(t *testing.T) {
	t.Helper()
	s.stock("poison", "north", 10)
	if s.kind != postgres {
		s.exec("CREATE TRIGGER poison BEFORE UPDATE ON stock_levels WHEN NEW.product_id = 'poison' BEGIN SELECT RAISE(ABORT, 'poison'); END")
		t.Cleanup(func() { s.exec("DROP TRIGGER poison") })
		return
	}
	s.exec(`CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF NEW.product_id = 'poison' THEN RAISE EXCEPTION 'poison'; END IF; RETURN NEW; END $$;
		CREATE TRIGGER poison BEFORE UPDATE ON stock_levels FOR EACH ROW EXECUTE FUNCTION poison()`)
	t.Cleanup(func() { s.exec("DROP FUNCTION poison CASCADE") })
}

// A batch executes its writes in order, in one transaction, whatever their results.
func TestCommit(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.stock("cup", "north", 5)
		b := s.begun(adjust(delta("mug", "north", models.Available, -2)), reserve(line("mug", 3)), reserve(line("mug", 1)), reserve(line("cup", 5)))
		r := b.Commit(t.Context())
		require.Equal(t, []int{4}, sizes(r))
		require.NoError(t, r.Transactions[0].Err)
		require.Positive(t, r.Transactions[0].Took)
		s.fails(r.Results[2], short(0, "mug", 1, 0))
		require.Equal(t, models.Quantities{Reserved: 3}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Reserved: 5}, s.level("cup", "north"))
		require.Len(t, r.Stocks, 2)
		require.Len(t, r.Reservations, 2)
		require.False(t, r.Contended)
		require.Empty(t, s.Begin().Commit(t.Context()).Results)
	})
}

// An optimistic batch reports that another instance changes its products too.
func TestCommitReportsContention(t *testing.T) {
	onContended(t, func(t *testing.T, s *shop, _ *database.Database) {
		require.True(t, s.commit(s.begun(reserve(line("cup", 1)))).Contended)
		s.stock("mug", "north", 5)
		s.ok(reserve(line("mug", 1)))
		require.False(t, s.commit(s.begun(reserve(line("mug", 1)))).Contended)
	})
}

// When the database refuses an optimistic batch, the same Commit decides its writes
// under lock. The results do not show it.
func TestCommitDecidesARefusedBatchUnderLock(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		before := s.OptimisticBatches()
		first := s.begun(reserve(line("cup", 3)), reserve(line("cup", 1)))
		unlock := s.lockLevels(t, "cup")
		done := make(chan database.BatchResult, 1)
		go func() { done <- first.Commit(t.Context()) }()
		s.awaitBlocked(t)
		next := s.begun(reserve(line("cup", 4)), reserve(line("cup", 2)))
		unlock()
		require.Len(t, (<-done).Transactions, 1, "nothing had changed")

		s.settings("cup", "title = 'Cup'")
		r := next.Commit(t.Context())
		require.Equal(t, []int{2, 2}, sizes(r))
		require.ErrorIs(t, r.Transactions[0].Err, optimistic.ErrRefused)
		require.NoError(t, r.Transactions[1].Err)
		require.Len(t, r.Reservations, 2)
		s.requireEnds(before, 1, 1, 0, 0)
		require.Equal(t, models.Quantities{Reserved: 10}, s.level("cup", "north"))
	})
}

// A batch that was decided on top of a refused batch is decided under lock, and takes
// more such writes.
func TestCommitAfterARefusedBatch(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		before := s.OptimisticBatches()
		first := s.begun(reserve(line("cup", 6)))
		tx, err := s.raw.Begin()
		require.NoError(t, err)
		_, err = tx.Exec("UPDATE stock_levels SET available = available - 5 WHERE product_id = 'cup'")
		require.NoError(t, err)
		done := make(chan database.BatchResult, 1)
		go func() { done <- first.Commit(t.Context()) }()
		s.awaitBlocked(t)
		next := s.begun(reserve(line("cup", 4)), reserve(line("mug", 1)))
		require.NoError(t, tx.Commit())
		s.fails((<-done).Results[0], short(0, "cup", 6, 5))
		s.requireEnds(before, 0, 1, 0, 1)
		s.add(next, adjust(delta("mug", "north", models.Available, 1)), reserve(line("cup", 1)))
		require.Equal(t, []int{4}, sizes(s.commit(next)))
		require.Equal(t, models.Quantities{Reserved: 5}, s.level("cup", "north"))
		s.requireEnds(before, 0, 1, 0, 1)
		s.commit(s.begun(reserve(line("mug", 1))))
		s.requireEnds(before, 1, 1, 0, 1)
	})
}

// A refused batch is decided in transactions within the bounds of a batch under lock.
func TestCommitOfALargeRefusedBatch(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		s.stock("pen", "south", 10_000)
		s.ok(reserve(line("pen", 1)))
		b := s.begun(reservationsOf(database.BatchWritesMax+1, line("pen", 1), line("cup", 0))...)
		s.settings("pen", "title = 'Pen'")
		r := s.commit(b)
		require.Equal(t, []int{database.BatchWritesMax + 1, database.BatchWritesMax, 1}, sizes(r))
		require.Len(t, r.Reservations, database.BatchWritesMax+1)
		i := slices.IndexFunc(r.Stocks, func(stock *models.Stock) bool { return stock.ProductID == "pen" })
		require.Equal(t, s.read("pen"), timeless(r.Stocks[i]), "the last of two")
		require.Len(t, r.Stocks, 1)
	})
}

// An optimistic batch without an answer in time may have committed: Commit does not
// retry it, and discards what was decided on top of it.
func TestCommitWithoutAnAnswer(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		before := s.OptimisticBatches()
		s.SetWriteLimit(300 * time.Millisecond)
		w := reserve(line("cup", 1))
		b := s.begun(w)
		unlock := s.lockLevels(t, "cup")
		done := make(chan database.BatchResult, 1)
		go func() { done <- b.Commit(t.Context()) }()
		s.awaitBlocked(t)
		next := s.begun(reserve(line("mug", 2)))
		r := <-done
		require.Equal(t, []int{1}, sizes(r))
		require.Equal(t, models.CodeUnavailable, models.CodeOf(r.Results[0].Fault))
		require.ErrorIs(t, r.Results[0].Fault, context.DeadlineExceeded)
		require.Empty(t, r.Stocks)
		unlock()
		s.SetWriteLimit(generous)
		s.commit(next)
		require.Equal(t, []int{1}, sizes(s.commit(s.begun(reserve(line("cup", 2))))))
		s.requireEnds(before, 0, 0, 1, 1)
		s.commit(s.begun(w)) // its key prevents a second effect
		require.Equal(t, models.Quantities{Available: 7, Reserved: 3}, s.level("cup", "north"))
	})
}

// Commit returns the locked rows of blocked writes and executes the rest of the batch.
// When the rows are free, the writes can be added again.
func TestCommitReportsBlockedWrites(t *testing.T) {
	for name, first := range map[string]func(s *shop) models.Write{
		"optimistic": func(*shop) models.Write { return reserve(line("cup", 1)) },
		"under lock": func(*shop) models.Write { return adjust(delta("cup", "north", models.Available, -1)) },
	} {
		t.Run(name, func(t *testing.T) {
			onPostgres(t, func(t *testing.T, s *shop) {
				s.SetLockWait(brief)
				unlock := s.lockLevels(t, "mug")
				blocked := []models.Write{reserve(line("mug", 1)), reserve(line("cup", 1), line("mug", 1))}
				r := s.begun(first(s), blocked[0], reserve(line("cup", 2)), blocked[1], reserve(line("cup", 3))).Commit(t.Context())
				mug := []dialect.RowRef{{Product: "mug"}}
				require.Equal(t, [][]dialect.RowRef{nil, mug, nil, mug, nil}, r.Blocked)
				for i, result := range r.Results {
					require.NoError(t, result.Fault, i)
					require.Empty(t, result.Errors, i)
				}
				require.Equal(t, 3, r.Transactions[len(r.Transactions)-1].Writes)
				require.Equal(t, 4, s.level("cup", "north").Available)
				require.Nil(t, r.Results[1].Reservation)
				require.NotNil(t, r.Results[4].Reservation)
				unlock()
				s.commit(s.begun(blocked...))
				require.Equal(t, 3, s.level("cup", "north").Available)
				require.Equal(t, 8, s.level("mug", "north").Available)
			})
		})
	}
}

// A batch of blocked writes only executes none.
func TestCommitOfBlockedWritesOnly(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		s.SetLockWait(brief)
		unlock := s.lockLevels(t, "mug")
		r := s.begun(adjust(delta("mug", "north", models.Available, 1)), reserve(line("mug", 1))).Commit(t.Context())
		require.Len(t, r.Transactions, 1)
		require.Len(t, r.Blocked, 2)
		require.Empty(t, r.Stocks)
		unlock()
	})
}

// A write that fails its transaction fails alone. Bisection finds it in few
// transactions.
func TestCommitFindsPoisonByBisection(t *testing.T) {
	for name, change := range map[string]func(product string) models.Write{
		"reservations": func(product string) models.Write { return reserve(line(product, 1)) },
		"adjustments":  func(product string) models.Write { return adjust(delta(product, "north", models.Available, -1)) },
	} {
		t.Run(name, func(t *testing.T) {
			onEvery(t, func(t *testing.T, s *shop) {
				s.stock("cup", "north", 100)
				s.poison(t)
				b := s.Begin()
				for i := range 64 {
					product := "cup"
					if i == 37 {
						product = "poison"
					}
					w := s.Prepare(change(product))
					s.MissingOnce(w)
					require.True(t, b.Add(w), i)
				}
				r := b.Commit(t.Context())
				for i, result := range r.Results {
					require.Equal(t, i == 37, result.Fault != nil, i)
				}
				require.Equal(t, models.CodeInternal, models.CodeOf(r.Results[37].Fault))
				require.LessOrEqual(t, len(r.Transactions), 1+1+2*6, "halves, not one by one")
				require.Equal(t, 100-63, s.level("cup", "north").Available)
				require.Equal(t, 10, s.level("poison", "north").Available)
				require.Len(t, r.Stocks, 1)
				require.Equal(t, s.read("cup"), timeless(r.Stocks[0]))
			})
		})
	}
}

// A batch that is too large for a transaction is executed in parts, in order.
func TestCommitOfABatchThatIsTooLarge(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		s.stock("cup", "north", 10)
		var writes []models.Write
		for range 4 {
			r := s.reserved(line("mug", 1), line("cup", 1))
			writes = append(writes, resolve(r.ID, models.ReservationReleased))
		}
		s.SetLines(1000, 4)
		r := s.commit(s.begun(writes...))
		require.Equal(t, []int{4, 2, 2}, sizes(r))
		require.ErrorIs(t, r.Transactions[0].Err, dialect.ErrTooLarge)
		require.Len(t, r.Reservations, 4)
		for i, result := range r.Results {
			require.Equal(t, writes[i].(models.Resolve).ID, result.Reservation.ID)
		}
	})
}

// When the database is UNAVAILABLE, Commit tries one transaction and fails all writes.
func TestCommitWhileTheDatabaseIsUnavailable(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		b := s.begun(adjust(delta("mug", "north", models.Available, 1)), adjust(delta("mug", "north", models.Available, 1)))
		s.SetWriteLimit(time.Nanosecond)
		r := b.Commit(t.Context())
		require.Equal(t, []int{2}, sizes(r))
		for _, result := range r.Results {
			require.Equal(t, models.CodeUnavailable, models.CodeOf(result.Fault))
		}
		s.SetWriteLimit(generous)
		s.commit(s.begun(reserve(line("mug", 10))))
	})
}

// undecided returns a batch of more writes than a transaction has under lock: it was
// optimistic when they were added.
func (s *shop) undecided(writes ...models.Write) *database.Batch {
	s.t.Helper()
	broken := s.BreakEngine()
	s.stock("pen", "south", 10_000)
	s.stock("broken", "north", 10)
	s.ok(reserve(line("pen", 1), line("cup", 1), line("broken", 1)))
	writes = append(writes, reservationsOf(database.BatchWritesMax-len(writes)+1, line("pen", 1))...)
	b := s.begun(writes...)
	broken.Product = "broken"
	require.False(s.t, b.Add(s.Prepare(reserve(line("broken", 1)))))
	return b
}

// When the database is UNAVAILABLE, Commit does not try the second part of a large batch
// either.
func TestCommitOfALargeBatchWhileTheDatabaseIsUnavailable(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		b := s.undecided()
		s.SetWriteLimit(time.Nanosecond)
		r := b.Commit(t.Context())
		require.Equal(t, []int{database.BatchWritesMax}, sizes(r))
		require.Len(t, r.Results, database.BatchWritesMax+1)
		for _, result := range r.Results {
			require.Equal(t, models.CodeUnavailable, models.CodeOf(result.Fault))
		}
	})
}

// Commit retries the unblocked writes of one part of a large batch before the next part.
func TestCommitOfALargeBatchWithBlockedWrites(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		b := s.undecided(reserve(line("cup", 1)))
		s.SetLockWait(brief)
		unlock := s.lockLevels(t, "cup")
		r := b.Commit(t.Context())
		unlock()
		require.Equal(t, []int{database.BatchWritesMax, database.BatchWritesMax - 1, 1}, sizes(r))
		for i, rows := range r.Blocked {
			require.Equal(t, i == 0, len(rows) > 0, i)
			require.Equal(t, i > 0, r.Results[i].Reservation != nil, i)
		}
	})
}

// An optimistic batch whose commit panics is decided under lock. No caller sees the
// panic; the log has it.
func TestPanicInAnOptimisticCommit(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		log := s.logs()
		s.BreakEngine().Commits = true
		s.ok(reserve(line("cup", 1), line("mug", 1)))
		b := s.begun(reserve(line("mug", 1)), reserve(line("cup", 1)))
		require.Equal(t, []int{2, 2}, sizes(s.commit(b)))
		s.requireEnds(database.OptimisticBatches{}, 0, 0, 1, 0)
		require.Equal(t, 1, strings.Count(log.String(), "panicked"))
		require.Contains(t, log.String(), "BrokenEngine).CommitBatch", "where")
		s.commit(s.begun(reserve(line("mug", 1))))
	})
}

// panicking is a write whose decision panics.
type panicking struct{ models.Adjust }

// Key panics.
func (panicking) Key() string { panic("a write without a key") }

// A write that panics under lock fails alone. Its fault has the stack for the log.
func TestPanicUnderLock(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		r := s.begun(adjust(delta("mug", "north", models.Available, 1)), panicking{}, reserve(line("mug", 6))).Commit(t.Context())
		require.NoError(t, r.Results[0].Fault)
		require.NoError(t, r.Results[2].Fault)
		require.NotNil(t, r.Results[2].Reservation)
		fault := r.Results[1].Fault
		require.Equal(t, models.CodeInternal, models.CodeOf(fault))
		require.NotContains(t, fault.(*models.Fault).Message, "panic")
		require.ErrorContains(t, fault.(*models.Fault).Cause, "panic: a write without a key\n")
		require.ErrorContains(t, fault.(*models.Fault).Cause, "panicking.Key", "where")
	})
}

// Batches that commit while the next one takes writes sell every unit once.
func TestBatchesAreAddedToWhileOthersCommit(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		const units = 600
		s.stock("cup", "north", units/2, "south", units/2)
		s.stock("mug", "north", units)
		var (
			waiting []*database.PreparedWrite
			sold    int
			done    = make(chan database.BatchResult, 1)
		)
		fill := func(b *database.Batch) {
			for len(waiting) > 0 {
				if s.MissingOnce(waiting[0]); !b.Add(waiting[0]) {
					return
				}
				waiting = waiting[1:]
			}
		}
		done <- database.BatchResult{}
		for round := range 80 {
			for range rand.N(40) {
				waiting = append(waiting, s.Prepare(reserve(line([]string{"cup", "mug"}[rand.N(2)], 1+rand.N(2)))))
			}
			if round%8 == 0 {
				waiting = append(waiting, s.Prepare(adjust(delta("cup", "south", models.Damaged, 1))))
			}
			if round%20 == 10 {
				s.settings("cup", fmt.Sprintf("title = 'Cup %d'", round))
			}
			b := s.Begin()
			fill(b) // while the preceding batch commits
			for _, result := range (<-done).Results {
				require.NoError(t, result.Fault)
				if result.Reservation != nil {
					sold += result.Reservation.Lines[0].Quantity
				}
			}
			fill(b)
			go func() { done <- b.Commit(context.Background()) }()
		}
		for _, result := range (<-done).Results {
			if result.Reservation != nil {
				sold += result.Reservation.Lines[0].Quantity
			}
		}
		require.Equal(t, sold, s.level("cup", "north").Reserved+s.level("cup", "south").Reserved+s.level("mug", "north").Reserved)
		require.Equal(t, 2*units, sold+s.level("cup", "north").Available+s.level("cup", "south").Available+s.level("mug", "north").Available)
		if s.kind == postgres {
			require.Positive(t, s.OptimisticBatches().Committed)
		}
	})
}
