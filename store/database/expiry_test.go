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

// sweep ends what is due and returns what it ended.
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

// sweeps ends what is due and returns what its transactions came to.
func (s *shop) sweeps(limit int) (all []models.Outcome) {
	s.t.Helper()
	for out, err := range s.ExpireDue(context.Background(), limit) {
		require.NoError(s.t, err)
		all = append(all, out)
	}
	return all
}

// A hold ends by the database's clock, though nobody sweeps it: it reads as
// expired, and can no longer be committed, changed or extended.
func TestReservationEndsByItself(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		w := reserve(line("mug", 2))
		w.TTL = 30 * time.Millisecond
		r := s.ok(w).Reservation
		require.Eventually(t, func() bool { return s.reservation(r.ID).State == models.ReservationExpired }, generous, poll)
		s.fails(s.do(resolve(r.ID, models.ReservationCommitted)), notActive(models.ReservationExpired))
		require.Equal(t, models.Quantities{Available: 5}, s.level("mug", "north"), "whoever is told ends it")
		levels := s.levels()
		s.fails(s.do(release(r.ID)), notActive(models.ReservationExpired))
		s.fails(s.do(update(r.ID, line("mug", 1))), notActive(models.ReservationExpired))
		s.fails(s.do(models.ExtendReservation{ID: r.ID, TTL: time.Hour}), notActive(models.ReservationExpired))
		require.Equal(t, levels, s.levels())
		replay := s.ok(w)
		require.True(t, replay.Replayed)
		require.Equal(t, models.ReservationExpired, replay.Reservation.State)
	})
}

// A buyer is never refused for a hold that is over: it is given back in the
// same call, with everything else that it held.
func TestBuyerGetsWhatAnExpiredReservationReservations(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 3)
		s.stock("cup", "north", 3)
		s.stock("pen", "north", 3)
		expired := s.reserved(line("cup", 2), line("mug", 3))
		other := s.reserved(line("pen", 3))
		s.overdue(expired.ID, other.ID)

		out, err := s.Write(t.Context(), []models.Write{reserve(line("mug", 2)), reserve(line("cup", 3))})
		require.NoError(t, err)
		require.Len(t, out.Results, 2, "the results are those of the writes")
		require.Empty(t, out.Results[0].Errors)
		require.Empty(t, out.Results[1].Errors)
		require.Len(t, out.Reservations, 3, "with the hold that was ended")
		require.Equal(t, models.Quantities{Available: 1, Reserved: 2}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Reserved: 3}, s.level("cup", "north"))
		require.Equal(t, models.ReasonExpired, s.movements("mug")[2].Reason)
		require.Equal(t, models.Quantities{Reserved: 3}, s.level("pen", "north"), "nobody wanted a pen")

		// Neither for an update, nor for a hold that takes what there is.
		mine := s.reserved(line("mug", 1))
		s.ok(update(mine.ID, line("pen", 2)))
		s.allOverdue()
		partial := reserve(line("cup", 3), line("mug", 3))
		partial.AllowPartial = true
		require.Equal(t, []int{3, 3}, quantities(s.ok(partial).Reservation))
	})
}

// A buyer who is short all the same is told of all that could be had, expired
// holds included; those are given back with the refusal.
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

// What is given back for one buyer of a batch may be what makes the next one
// short of something else: both get what expired holds hold.
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

// Any number of expired holds of one product stands in nobody's way.
func TestManyExpiredReservationsOfOneProduct(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		if race && s.kind != postgres {
			t.Skip("too slow for the deadline of one write, and one goroutine has no races")
		}
		const holds = 2*database.ExpireMax + 300
		s.stock("mug", "north", holds)
		s.stock("cup", "north", 1)
		s.overdue(s.reserved(line("cup", 1)).ID)
		for made := 0; made < holds; {
			var batch []models.Write
			for ; len(batch) < 500 && made < holds; made++ {
				batch = append(batch, reserve(line("mug", 1)))
			}
			s.with(goroutineT{t}).mustWrite(batch...)
		}
		s.allOverdue()
		out, err := s.Write(t.Context(), []models.Write{reserve(line("mug", holds), line("cup", 1))})
		require.NoError(t, err)
		require.Empty(t, out.Results[0].Errors)
		require.Len(t, out.Reservations, holds+2, "all that ended, and the new one")
		require.Len(t, out.Stocks, 2)
		for _, stock := range out.Stocks {
			require.Equal(t, s.read(stock.ProductID), timeless(stock))
		}
		require.Equal(t, models.Quantities{Reserved: holds}, s.level("mug", "north"))
	})
}

// Sweeping ends what is over, oldest first and no more than asked, and leaves
// the rest alone.
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

// A hold whose units somebody counted away ends all the same, with what is
// left of it; it cannot be committed. No hold can stop the sweeper.
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
		// No room to give back to.
		s.ok(adjust(delta("mug", "north", models.Reserved, 3), delta("mug", "north", models.Available, models.QuantityMax-5)))
		s.ok(release(full.ID))
		require.Equal(t, models.Quantities{Available: models.QuantityMax}, s.level("mug", "north"))
	})
}

// Sweepers and orders racing for the same holds, in two instances: each hold
// ends once, one way or the other.
func TestSweepersAndCommitsRace(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		const holds = 120
		ctx := context.Background()
		s.stock("mug", "north", holds)
		s.stock("cup", "north", holds)
		var made []string
		for range holds {
			made = append(made, s.reserved(line("mug", 1), line("cup", 1)).ID)
		}
		for i, id := range made { // half are over, and the others soon will be
			microseconds := (i - holds/2) * 4000
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
		committed := make([]bool, holds)
		for worker := range 4 {
			group.Go(func() {
				for _, i := range rand.Perm(holds) {
					if i%4 != worker {
						continue
					}
					out, err := second.Write(ctx, []models.Write{resolve(made[i], models.ReservationCommitted)})
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
		require.Len(t, s.movements("mug"), 1+2*holds, "counted once, and each hold made and ended once")
	})
}

// Whoever is told that a hold's time is over has ended it: it stays over, even
// when the database's clock goes back.
func TestSeenExpiredStaysExpired(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 9)
		for _, write := range []func(id string) models.Write{
			func(id string) models.Write { return resolve(id, models.ReservationCommitted) },
			func(id string) models.Write { return resolve(id, models.ReservationReleased) },
			func(id string) models.Write { return models.ExtendReservation{ID: id, TTL: time.Hour} },
			func(id string) models.Write { return update(id, line("mug", 1)) },
		} {
			held := s.reserved(line("mug", 3))
			s.overdue(held.ID)
			require.NotEmpty(t, s.do(write(held.ID)).Errors)
			s.exec("UPDATE reservations SET expires_at = "+s.clock(600)+" WHERE reservation_id = $1", keyOf(held.ID))
			require.Equal(t, models.ReservationExpired, s.do(resolve(held.ID, models.ReservationReleased)).Reservation.State)
			require.Equal(t, models.Quantities{Available: 9}, s.level("mug", "north"))
		}
	})
}
