package database_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/database/dialect"
)

// add adds writes to a batch, which takes all of them.
func (s *shop) add(b *database.Batch, writes ...models.Write) *database.Batch {
	s.t.Helper()
	size := b.Len() + len(writes)
	for i, w := range writes {
		require.True(s.t, b.Add(s.Prepare(w)), "write %d", i)
	}
	require.Equal(s.t, size, b.Len())
	return b
}

// begun returns an open batch of these writes.
func (s *shop) begun(writes ...models.Write) *database.Batch {
	s.t.Helper()
	return s.add(s.Begin(), writes...)
}

// commit commits a batch, whose writes all succeed.
func (s *shop) commit(b *database.Batch) database.BatchResult {
	s.t.Helper()
	r := b.Commit(s.t.(*testing.T).Context())
	require.Len(s.t, r.Results, b.Len())
	require.Nil(s.t, r.Blocked)
	for i, result := range r.Results {
		require.NoError(s.t, result.Fault, "write %d", i)
		require.Empty(s.t, result.Errors, "write %d", i)
	}
	return r
}

// requireEnds checks how many optimistic batches were committed, refused, failed and
// discarded since earlier.
func (s *shop) requireEnds(earlier database.OptimisticBatches, committed, refused, failed, discarded int64) {
	s.t.Helper()
	ends := s.OptimisticBatches()
	require.Equal(s.t, []int64{committed, refused, failed, discarded}, []int64{
		ends.Committed - earlier.Committed, ends.Refused - earlier.Refused, ends.Failed - earlier.Failed, ends.Discarded - earlier.Discarded,
	}, "committed, refused, failed, discarded")
}

// commitBlocked commits a batch that is blocked on a level of a product until release is
// called.
func (s *shop) commitBlocked(t *testing.T, b *database.Batch, product string) (release func() database.BatchResult) {
	t.Helper()
	unlock := s.lockLevels(t, product)
	done := make(chan database.BatchResult, 1)
	go func() { done <- b.Commit(t.Context()) }()
	s.awaitBlocked(t)
	return func() database.BatchResult {
		unlock()
		return <-done
	}
}

// A batch is either optimistic or decided under lock. A write that must be decided under
// lock is not added to an optimistic batch; a batch under lock takes any write.
func TestAddSeparatesKinds(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		b := s.begun(reserve(line("cup", 1)), reserve(line("mug", 12)))
		for _, w := range []models.Write{
			adjust(delta("cup", "north", models.Available, 1)),
			reserve(line("cup", 10)), // too many
			release("res_00000000000000000000000000000000"),
		} {
			require.False(t, b.Add(s.Prepare(w)))
		}
		before := s.OptimisticBatches()
		s.add(b, reserve(line("cup", 1)))
		require.Len(t, s.commit(b).Transactions, 1)
		s.requireEnds(before, 1, 0, 0, 0)

		before = s.OptimisticBatches()
		b = s.begun(adjust(delta("cup", "north", models.Available, 1)), reserve(line("cup", 1)))
		require.Len(t, s.commit(b).Transactions, 1)
		s.requireEnds(before, 0, 0, 0, 0)
	})
}

// While an optimistic batch commits, the next batch takes what can be decided on top of
// it, and nothing else.
func TestAddWhileAnOptimisticBatchCommits(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		release := s.commitBlocked(t, s.begun(reserve(line("cup", 6))), "cup")
		next := s.Begin()
		require.False(t, next.Add(s.Prepare(adjust(delta("mug", "north", models.Available, 1)))))
		require.False(t, next.Add(s.Prepare(reserve(line("cup", 5)))), "6 of 10 are taken")
		s.add(next, reserve(line("cup", 4)))
		require.Len(t, release().Transactions, 1)
		require.Len(t, s.commit(next).Transactions, 1)
		require.Equal(t, models.Quantities{Reserved: 10}, s.level("cup", "north"))
	})
}

// While a batch is decided under lock, the next batch takes nothing: the snapshot cache
// is about to change.
func TestAddWhileABatchIsDecidedUnderLock(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		release := s.commitBlocked(t, s.begun(adjust(delta("cup", "north", models.Available, 1))), "cup")
		next := s.Begin()
		require.False(t, next.Add(s.Prepare(reserve(line("mug", 1)))))
		require.False(t, next.Add(s.Prepare(adjust(delta("mug", "north", models.Available, 1)))))
		release()
		before := s.OptimisticBatches()
		s.add(next, reserve(line("cup", 11)))
		s.commit(next)
		s.requireEnds(before, 1, 0, 0, 0)
	})
}

// A batch takes nothing while another one is open.
func TestAddToTheSecondOpenBatch(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		first, second := s.begun(reserve(line("mug", 1))), s.Begin()
		w := reserve(line("mug", 1))
		require.False(t, second.Add(s.Prepare(w)))
		s.commit(first)
		s.commit(s.add(second, w))
		third := s.begun(reserve(line("mug", 1)))
		third.Discard()
		s.commit(s.begun(w))
	})
}

// A batch under lock has a bound of writes and a bound of levels. A larger write has a
// batch of its own.
func TestBatchBounds(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		one := adjust(delta("mug", "north", models.Available, 1))
		of := func(levels int) models.Write { return adjust(make([]models.AdjustRow, levels)...) }
		for name, is := range map[string]struct {
			writes  []models.Write
			refused models.Write
		}{
			"writes":       {slicesOf(database.BatchWritesMax, one), one},
			"levels":       {[]models.Write{of(database.BatchLevelsMax - 1), one}, one},
			"a large one":  {[]models.Write{of(database.BatchLevelsMax + 1)}, one},
			"before it":    {[]models.Write{one}, of(database.BatchLevelsMax)},
			"moves":        {[]models.Write{models.MoveStock{Rows: make([]models.MoveRow, database.BatchLevelsMax/2)}}, one},
			"of an update": {[]models.Write{models.UpdateReservation{Lines: make([]models.RequestedLine, database.BatchLevelsMax/2)}}, one},
		} {
			b := s.begun(is.writes...)
			require.False(t, b.Add(s.Prepare(is.refused)), name)
			b.Discard()
		}
	})
}

func slicesOf(n int, w models.Write) (writes []models.Write) {
	for range n {
		writes = append(writes, w)
	}
	return writes
}

// An optimistic batch has a larger bound of writes, and the same bound of levels.
func TestOptimisticBatchBounds(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		s.stock("pen", "south", 100_000)
		s.ok(reserve(line("pen", 1)))
		pens := func(lines int) models.Reserve {
			w := reserve()
			for range lines {
				w.Lines = append(w.Lines, line("pen", 1))
			}
			return w
		}
		before := s.OptimisticBatches()
		for i, writes := range [][]models.Write{
			reservationsOf(database.OptimisticWritesMax, line("pen", 1)),
			{pens(database.BatchLevelsMax - 1), pens(1)},
			{pens(database.BatchLevelsMax + 1)},
		} {
			b := s.begun(writes...)
			require.False(t, b.Add(s.Prepare(pens(1))), i)
			s.commit(b)
		}
		s.requireEnds(before, 3, 0, 0, 0)
	})
}

// Writes that change settings are alone in their batch.
func TestSettingsAreAloneInTheirBatch(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		settings := models.UpsertProducts{IdempotencyKey: newKey(), Rows: []models.ProductRow{{ProductID: "mug"}}}
		b := s.begun(adjust(delta("mug", "north", models.Available, 1)))
		require.False(t, b.Add(s.Prepare(settings)))
		s.commit(b)
		b = s.begun(settings)
		require.False(t, b.Add(s.Prepare(adjust(delta("mug", "north", models.Available, 1)))))
		require.False(t, b.Add(s.Prepare(models.UpsertChannels{})))
		s.commit(b)
	})
}

// A write of products that the snapshot cache lacks is not added before MissingOnce has
// returned them, once. With the products fetched it is decided optimistically, without
// them under lock.
func TestAddAfterMissing(t *testing.T) {
	for name, fetched := range map[string]bool{"fetched": true, "not fetched": false} {
		t.Run(name, func(t *testing.T) {
			onPostgres(t, func(t *testing.T, s *shop) {
				far := s.with(t)
				far.Database = s.otherInstance(t)
				w := far.Prepare(reserve(line("mug", 12), line("cup", 1)))
				b := far.Begin()
				require.False(t, b.Add(w))
				require.Equal(t, []string{"mug", "cup"}, far.MissingOnce(w))
				require.Empty(t, far.MissingOnce(w))
				if fetched {
					require.NoError(t, far.Fetch(t.Context(), []string{"mug", "cup"}))
				}
				require.True(t, b.Add(w))
				committed := int64(0)
				if fetched {
					committed = 1
				}
				far.commit(b)
				far.requireEnds(database.OptimisticBatches{}, committed, 0, 0, 0)
			})
		})
	}
}

// SQLite decides every write under lock: MissingOnce returns nothing, and Fetch reads
// nothing.
func TestNothingIsMissingUnderLock(t *testing.T) {
	on(t, []string{sqlite}, func(t *testing.T, s *shop) {
		w := s.Prepare(reserve(line("mug", 1)))
		require.Empty(t, s.MissingOnce(w))
		require.NoError(t, s.Fetch(t.Context(), []string{"mug"}))
		require.Equal(t, []dialect.RowRef{{Product: "mug"}}, w.Rows())
	})
}

// The writes of a discarded batch have no effect and may be added to another batch.
// Later batches do not count on its decisions.
func TestDiscard(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("cup", "north", 10)
		before := s.OptimisticBatches()
		w := reserve(line("cup", 9))
		s.begun(w).Discard()
		discarded := int64(0)
		if s.kind == postgres {
			discarded = 1
		}
		require.Len(t, s.commit(s.begun(reserve(line("cup", 1)))).Transactions, 1)
		s.requireEnds(before, 0, 0, 0, discarded)
		s.commit(s.begun(w))
		require.Equal(t, models.Quantities{Reserved: 10}, s.level("cup", "north"))
		s.Begin().Discard()
	})
}

// A write whose optimistic decision panics is decided under lock, in its place, and so
// is the rest of its batch. The log has the panic and its stack.
func TestPanicInAdd(t *testing.T) {
	for name, added := range map[string]int{"first": 0, "after others": 3} {
		t.Run(name, func(t *testing.T) {
			onPostgres(t, func(t *testing.T, s *shop) {
				log := s.logs()
				s.BreakEngine().Product = "mug"
				s.ok(reserve(line("cup", 1), line("mug", 1)))
				b := s.begun(reservationsOf(added, line("cup", 1))...)
				s.add(b, reserve(line("mug", 12)), reserve(line("cup", 1)))
				s.requireEnds(database.OptimisticBatches{}, 0, 0, 0, 1)
				require.Equal(t, []int{added + 2}, sizes(s.commit(b)))
				s.requireEnds(database.OptimisticBatches{}, 0, 0, 0, 1)
				require.Equal(t, 1, strings.Count(log.String(), "panicked"))
				require.Contains(t, log.String(), `"panic":"broken rows","stack":"goroutine`)
				require.Contains(t, log.String(), "brokenRows.Add", "where")
			})
		})
	}
}

// logs collects the log of the database from now on.
func (s *shop) logs() *strings.Builder {
	var log strings.Builder
	s.SetLog(slog.New(slog.NewJSONHandler(&log, nil)))
	return &log
}

// A panic while products are read into the snapshot cache is logged; Fetch returns
// INTERNAL.
func TestPanicInFetch(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		log := s.logs()
		s.BreakEngine().Fetches = true
		require.Equal(t, models.CodeInternal, models.CodeOf(s.Fetch(t.Context(), []string{"mug"})))
		require.Equal(t, 1, strings.Count(log.String(), "panicked"))
		require.Contains(t, log.String(), "BrokenEngine).FetchProducts", "where")
	})
}
