package database_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// goroutineT is a tester for goroutines that run beside the test.
type goroutineT struct{ *testing.T }

// FailNow only marks the failure: FailNow of *testing.T may end only the goroutine of
// the test.
func (g goroutineT) FailNow() { g.Fail() }

// mustWrite writes and checks only that there were no errors.
func (s *shop) mustWrite(writes ...models.Write) models.Outcome {
	s.t.Helper()
	out, err := s.WriteUnderLock(context.Background(), writes)
	require.NoError(s.t, err)
	for _, r := range out.Results {
		require.Empty(s.t, r.Errors)
	}
	return out
}

// The writes of a batch are decided in order, each on the effects of those before it. A
// write that fails fails alone. The results are in the order of the writes.
func TestBatchInOrder(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.stock("cup", "north", 5)
		r := s.batch(
			reserve(line("mug", 3)),
			reserve(line("mug", 3)),
			reserve(line("mug", 2), line("cup", 1)),
			adjust(delta("mug", "north", models.Available, 4)),
			release("res_00000000000000000000000000000000"),
			reserve(line("mug", 4)),
			counted(row("cup", "north", models.Available, 0)),
			reserve(line("cup", 1)),
		)
		require.Empty(t, r[0].Errors)
		s.fails(r[1], short(0, "mug", 3, 2))
		require.Empty(t, r[2].Errors)
		require.Empty(t, r[3].Errors)
		s.fails(r[4], notFound("id"))
		require.Empty(t, r[5].Errors)
		s.fails(r[7], short(0, "cup", 1, 0))
		require.Equal(t, models.Quantities{Reserved: 9}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Reserved: 1}, s.level("cup", "north"))
		require.Equal(t, s.read("mug"), timeless(r[3].Stocks[0]), "stocks are those of the commit, not of the step")
	})
}

// All steps of a reservation may be in one batch, whether the batch created the
// reservation or an earlier one did.
func TestBatchOfOneReservation(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5, "south", 5)
		s.stock("cup", "north", 5)
		made := reserve(line("mug", 6))
		made.Channel = "all"
		id := s.ReservationOf(made.IdempotencyKey)
		out, err := s.WriteUnderLock(t.Context(), []models.Write{
			resolve(id, models.ReservationCommitted), // not yet
			made,
			update(id, line("mug", 7), line("cup", 2)),
			models.ExtendReservation{ID: id, TTL: time.Hour},
			resolve(id, models.ReservationCommitted),
			release(id), // too late
			resolve(id, models.ReservationFulfilled),
		})
		require.NoError(t, err)
		s.fails(out.Results[0], notFound("id"))
		s.fails(out.Results[5], notActive(models.ReservationCommitted))
		for i, state := range map[int]models.ReservationState{1: models.ReservationActive, 3: models.ReservationActive, 4: models.ReservationCommitted, 6: models.ReservationFulfilled} {
			require.Empty(t, out.Results[i].Errors, i)
			require.Equal(t, state, out.Results[i].Reservation.State, i)
			require.Equal(t, id, out.Results[i].Reservation.ID)
		}
		require.Len(t, out.Reservations, 1, "once, as committed")
		require.Equal(t, int64(8), s.reservation(id).Version, "the versions after the three of the active reservation are free for its expiry")
		require.Equal(t, models.ReservationFulfilled, s.reservation(id).State)
		require.Equal(t, models.Quantities{Available: 3}, s.level("mug", "south"))
		require.Equal(t, models.Quantities{}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Available: 3}, s.level("cup", "north"))

		old := s.reserved(line("cup", 1))
		for _, r := range s.batch(update(old.ID, line("mug", 3)), resolve(old.ID, models.ReservationCommitted), resolve(old.ID, models.ReservationCancelled)) {
			require.Empty(t, r.Errors)
		}
	})
}

// A batch is one transaction: a product gets one new version, and its ledger rows have
// the version that was committed.
func TestBatchIsOneTransaction(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 100)
		before := s.read("mug").Version
		var writes []models.Write
		for range 50 {
			writes = append(writes, reserve(line("mug", 1)))
		}
		s.batch(writes...)
		after := s.read("mug").Version
		require.Equal(t, before+1, after)
		for _, m := range s.movements("mug")[1:] {
			require.Equal(t, after, m.Version)
		}
		require.Equal(t, int64(1), s.number("SELECT count(*) FROM outbox WHERE product_id = 'mug' AND version = $1", after))
	})
}

// An empty batch is done at once.
func TestBatchOfNothing(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		require.Empty(t, s.batch())
	})
}

// A batch goes on when the context of its caller ends.
func TestBatchOutlivesItsCaller(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		out, err := s.WriteUnderLock(ctx, []models.Write{reserve(line("mug", 1))})
		require.NoError(t, err)
		require.Empty(t, out.Results[0].Errors)
	})
}
