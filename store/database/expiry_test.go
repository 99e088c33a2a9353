package database_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// sweep runs the sweeper once and returns the reservations that it expired.
func (s *shop) sweep(limit int) (ended []*models.Reservation) {
	s.t.Helper()
	newest := map[string]*models.Stock{}
	for _, out := range s.sweeps(limit) {
		for _, stock := range out.Stocks {
			if before := newest[stock.ProductID]; before == nil || before.Version < stock.Version {
				newest[stock.ProductID] = stock
			}
		}
		ended = append(ended, out.Reservations...)
	}
	for id, stock := range newest {
		require.Equal(s.t, s.read(id), timeless(stock))
	}
	return ended
}

// sweeps runs the sweeper once and returns the outcomes of its transactions.
func (s *shop) sweeps(limit int) (all []models.Outcome) {
	s.t.Helper()
	for out, err := range s.ExpireDue(context.Background(), limit) {
		require.NoError(s.t, err)
		all = append(all, out)
	}
	return all
}

// A reservation expires by the database's clock without the sweeper: it reads as
// expired, and can no longer be committed, changed or extended.
func TestReservationEndsByItself(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		w := reserve(line("mug", 2))
		w.TTL = 30 * time.Millisecond
		r := s.ok(w).Reservation
		require.Eventually(t, func() bool { return s.reservation(r.ID).State == models.ReservationExpired }, generous, poll)
		s.fails(s.do(resolve(r.ID, models.ReservationCommitted)), notActive(models.ReservationExpired))
		require.Equal(t, models.Quantities{Available: 5}, s.level("mug", "north"), "the refused commit expired it")
		levels := s.levels()
		s.fails(s.do(release(r.ID)), notActive(models.ReservationExpired))
		s.fails(s.do(update(r.ID, line("mug", 1))), notActive(models.ReservationExpired))
		s.fails(s.do(models.ExtendReservation{ID: r.ID, TTL: time.Hour}), notActive(models.ReservationExpired))
		require.Equal(t, levels, s.levels())
		replay := s.do(w)
		s.fails(replay, models.ReservationNotActiveError{Failure: path("idempotencyKey"), State: models.ReservationExpired})
		require.True(t, replay.Replayed)
		require.Equal(t, models.ReservationExpired, replay.Reservation.State)
	})
}

// No reservation is refused because of an expired one: the same call releases the
// expired one with all its lines.
func TestBuyerGetsTheUnitsOfAnExpiredReservation(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 3)
		s.stock("cup", "north", 3)
		s.stock("pen", "north", 3)
		expired := s.reserved(line("cup", 2), line("mug", 3))
		other := s.reserved(line("pen", 3))
		s.overdue(expired.ID, other.ID)

		out, err := s.WriteUnderLock(t.Context(), []models.Write{reserve(line("mug", 2)), reserve(line("cup", 3))})
		require.NoError(t, err)
		require.Len(t, out.Results, 2, "the results are those of the writes")
		require.Empty(t, out.Results[0].Errors)
		require.Empty(t, out.Results[1].Errors)
		require.Len(t, out.Reservations, 3, "with the expired one")
		require.Equal(t, models.Quantities{Available: 1, Reserved: 2}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Reserved: 3}, s.level("cup", "north"))
		require.Equal(t, models.ReasonExpired, s.movements("mug")[2].Reason)
		require.Equal(t, models.Quantities{Reserved: 3}, s.level("pen", "north"), "no write asked for a pen")

		// The same is true of an update, and of a partial reservation.
		mine := s.reserved(line("mug", 1))
		s.ok(update(mine.ID, line("pen", 2)))
		s.allOverdue()
		partial := reserve(line("cup", 3), line("mug", 3))
		partial.AllowPartial = true
		require.Equal(t, []int{3, 3}, quantities(s.ok(partial).Reservation))
	})
}

// A refusal counts the units of expired reservations as available, and releases them.
func TestRefusalCountsExpiredReservations(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		expired := s.reserved(line("mug", 3))
		s.reserved(line("mug", 1))
		s.overdue(expired.ID)
		s.fails(s.do(reserve(line("mug", 5))), short(0, "mug", 5, 4))
		require.Equal(t, models.Quantities{Available: 4, Reserved: 1}, s.level("mug", "north"))
	})
}

// Releasing for one write of a batch may show that the next write is short of another
// product: both get the units of expired reservations.
func TestBuyersShortInTurn(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 1)
		s.stock("cup", "north", 2)
		mugs, cups := s.reserved(line("mug", 1)), s.reserved(line("cup", 1))
		s.overdue(mugs.ID, cups.ID)
		for _, r := range s.batch(reserve(line("mug", 1), line("cup", 1)), reserve(line("cup", 1))) {
			require.Empty(t, r.Errors)
		}
	})
}

// Any number of expired reservations of one product makes no reservation fail.
func TestManyExpiredReservationsOfOneProduct(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		if race && s.kind != postgres {
			t.Skip("one write would miss its deadline, and one goroutine has no races")
		}
		const reservations = 2*database.ExpireMax + 300
		s.stock("mug", "north", reservations)
		s.stock("cup", "north", 1)
		s.overdue(s.reserved(line("cup", 1)).ID)
		for made := 0; made < reservations; {
			var batch []models.Write
			for ; len(batch) < 500 && made < reservations; made++ {
				batch = append(batch, reserve(line("mug", 1)))
			}
			s.with(goroutineT{t}).mustWrite(batch...)
		}
		s.allOverdue()
		out, err := s.WriteUnderLock(t.Context(), []models.Write{reserve(line("mug", reservations), line("cup", 1))})
		require.NoError(t, err)
		require.Empty(t, out.Results[0].Errors)
		require.Len(t, out.Reservations, reservations+2, "all that ended, and the new one")
		require.Len(t, out.Stocks, 2)
		for _, stock := range out.Stocks {
			require.Equal(t, s.read(stock.ProductID), timeless(stock))
		}
		require.Equal(t, models.Quantities{Reserved: reservations}, s.level("mug", "north"))
	})
}

// A sweep expires what is overdue, oldest first, up to its limit, and nothing else.
func TestSweep(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 9)
		kept := s.reserved(line("mug", 1))
		done := s.reserved(line("mug", 1))
		s.ok(resolve(done.ID, models.ReservationCommitted))
		var due []string
		for range 3 {
			due = append(due, s.reserved(line("mug", 2)).ID)
		}
		for i, id := range due {
			s.exec("UPDATE reservations SET expires_at = "+s.clock(i-10)+" WHERE reservation_id = $1", keyOf(id))
		}
		s.exec("UPDATE reservations SET expires_at = "+s.clock(-60)+" WHERE reservation_id = $1", keyOf(done.ID))
		first := s.sweep(2)
		require.ElementsMatch(t, due[:2], ids(first))
		for _, r := range first {
			require.Equal(t, models.ReservationExpired, r.State)
			require.Equal(t, int64(2), r.Version)
		}
		require.Equal(t, due[2:], ids(s.sweep(2)))
		require.Empty(t, s.sweep(2))
		require.Equal(t, models.ReservationActive, s.reservation(kept.ID).State)
		require.Equal(t, models.ReservationCommitted, s.reservation(done.ID).State)
		require.Equal(t, models.Quantities{Available: 7, Reserved: 1, Committed: 1}, s.level("mug", "north"))
	})
}

func ids(list []*models.Reservation) []string {
	var out []string
	for _, r := range list {
		out = append(out, r.ID)
	}
	return out
}

// A reservation whose units an outside writer or a count took away expires with what is
// left. It cannot be committed, and it does not stop the sweeper.
func TestReservationThatWasEmptied(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.tampered = true
		s.stock("mug", "north", 10)
		s.stock("cup", "north", 5)
		swept, released := s.reserved(line("mug", 4)), s.reserved(line("mug", 3))
		gone, full := s.reserved(line("cup", 5)), s.reserved(line("mug", 3))
		s.ok(adjust(delta("mug", "north", models.Reserved, -5)))
		s.exec("DELETE FROM stock_levels WHERE product_id = 'cup'")
		s.overdue(swept.ID, gone.ID)
		require.Len(t, s.sweep(10), 2)
		require.Equal(t, models.Quantities{Available: 4, Reserved: 1}, s.level("mug", "north"))
		s.fails(s.do(resolve(full.ID, models.ReservationCommitted)), models.InsufficientStockError{
			Failure: path("id"), ProductID: "mug", Requested: 3, Available: 1})
		require.Equal(t, models.ReservationActive, s.reservation(full.ID).State)
		s.ok(release(released.ID))
		require.Equal(t, models.Quantities{Available: 5}, s.level("mug", "north"))
		// The level is full: released units are dropped.
		s.ok(adjust(delta("mug", "north", models.Reserved, 3), delta("mug", "north", models.Available, models.QuantityMax-5)))
		s.ok(release(full.ID))
		require.Equal(t, models.Quantities{Available: models.QuantityMax}, s.level("mug", "north"))
	})
}

// Sweepers of two instances and commits race for the same reservations: each reservation
// ends once.
func TestSweepersAndCommitsRace(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		const reservations = 120
		ctx := context.Background()
		s.stock("mug", "north", reservations)
		s.stock("cup", "north", reservations)
		var made []string
		for range reservations {
			made = append(made, s.reserved(line("mug", 1), line("cup", 1)).ID)
		}
		for i, id := range made { // half are overdue, the others soon
			microseconds := (i - reservations/2) * 4000
			at := fmt.Sprintf("cast(unixepoch('subsec') * 1000000 AS INTEGER) + %d", microseconds)
			if s.kind == postgres {
				at = fmt.Sprintf("clock_timestamp() + make_interval(secs => %d / 1000000.0)", microseconds)
			}
			s.exec("UPDATE reservations SET expires_at = "+at+" WHERE reservation_id = $1", keyOf(id))
		}
		second := s.Database
		if s.kind != memory {
			second = open(t, s.url)
		}
		var group sync.WaitGroup
		for _, db := range []*database.Database{s.Database, second} {
			group.Go(func() {
				for s.with(goroutineT{t}).number("SELECT count(*) FROM reservations WHERE state = 'ACTIVE'") > 0 {
					for _, err := range db.ExpireDue(ctx, 7) {
						if !assert.NoError(t, err) {
							return
						}
					}
				}
			})
		}
		committed := make([]bool, reservations)
		for worker := range 4 {
			group.Go(func() {
				for _, i := range rand.Perm(reservations) {
					if i%4 != worker {
						continue
					}
					out, err := second.WriteUnderLock(ctx, []models.Write{resolve(made[i], models.ReservationCommitted)})
					if assert.NoError(t, err) {
						committed[i] = len(out.Results[0].Errors) == 0
					}
				}
			})
		}
		group.Wait()
		for i, id := range made {
			want := models.ReservationExpired
			if committed[i] {
				want = models.ReservationCommitted
			}
			require.Equal(t, want, s.reservation(id).State)
		}
		require.Len(t, s.movements("mug"), 1+2*reservations, "counted once, and each reservation made and ended once")
	})
}

// A write that finds a reservation expired expires it for good, even when the database's
// clock goes back.
func TestSeenExpiredStaysExpired(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 9)
		for _, write := range []func(id string) models.Write{
			func(id string) models.Write { return resolve(id, models.ReservationCommitted) },
			func(id string) models.Write { return resolve(id, models.ReservationReleased) },
			func(id string) models.Write { return models.ExtendReservation{ID: id, TTL: time.Hour} },
			func(id string) models.Write { return update(id, line("mug", 1)) },
		} {
			r := s.reserved(line("mug", 3))
			s.overdue(r.ID)
			require.NotEmpty(t, s.do(write(r.ID)).Errors)
			s.exec("UPDATE reservations SET expires_at = "+s.clock(600)+" WHERE reservation_id = $1", keyOf(r.ID))
			require.Equal(t, models.ReservationExpired, s.do(resolve(r.ID, models.ReservationReleased)).Reservation.State)
			require.Equal(t, models.Quantities{Available: 9}, s.level("mug", "north"))
		}
	})
}

// A stale count reports the version of the quantity that it names, also when its own
// transaction first ends overdue reservations at two levels of the product.
func TestStaleCountAfterExpiries(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5, "south", 5)
		s.overdue(s.reserved(pinned("mug", 2, "north"), pinned("mug", 1, "south")).ID)
		wrong := 1
		result := s.do(models.SetStock{IdempotencyKey: newKey(), Reason: models.ReasonCycleCount, Rows: []models.SetRow{
			{ProductID: "mug", LocationID: "north", State: models.Available, Quantity: 4, ChangeFromQuantity: &wrong},
		}})
		require.Len(t, result.Errors, 1)
		stale, ok := result.Errors[0].(models.StaleQuantityError)
		require.True(t, ok, "%#v", result.Errors[0])
		require.Equal(t, 5, stale.Actual)
		require.Equal(t, s.read("mug").Version, stale.Version)
	})
}
