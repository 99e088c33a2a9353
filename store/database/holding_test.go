package database_test

import (
	"context"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/holderlimits"
	"onhand/models/owner"
	"onhand/store/database"
)

var alice, bob = owner.OfSubject("alice"), owner.OfAddress("192.0.2.7")

// few are limits that are exact: every reservation is counted.
func few() holderlimits.Limits {
	return holderlimits.Limits{
		Reservations: 3, AddressReservations: 4, Units: 6, AddressUnits: 7, SharePercent: 100, ShareFloor: 1,
		Extensions: 2, KeepMax: time.Hour,
	}
}

// by is a reservation of a holder.
func by(h owner.Holder, lines ...models.RequestedLine) models.Reserve {
	w := reserve(lines...)
	w.Holder, w.Access = h, owner.Access{Orders: true}
	return w
}

func limited(code models.ErrorCode, limit int, product string, at ...any) models.UserError {
	return holderlimits.LimitError{Failure: path(at...), Cause: code, Limit: limit, ProductID: product}
}

func extend(id string, ttl time.Duration) models.ExtendReservation {
	return models.ExtendReservation{ID: id, TTL: ttl, Access: owner.Access{Orders: true}}
}

func letGo(id string) models.Resolve {
	w := release(id)
	w.Access.Orders = true
	return w
}

// checkHoldings requires that the holdings are those of the counted active reservations.
func (s *shop) checkHoldings() {
	s.t.Helper()
	want := map[string]int64{}
	rows, err := s.raw.Query("SELECT reservation_id, holder FROM reservations WHERE counted AND state = 'ACTIVE'")
	require.NoError(s.t, err)
	defer rows.Close()
	holders := map[string]string{}
	for rows.Next() {
		var key []byte
		var holder string
		require.NoError(s.t, rows.Scan(&key, &holder))
		holders["res_"+hex.EncodeToString(key)] = holder
	}
	require.NoError(s.t, rows.Err())
	for id, holder := range holders {
		want[holder+" "]++
		for _, l := range s.reservation(id).Lines {
			for _, a := range l.Allocations {
				want[holder+" "+l.ProductID] += int64(a.Quantity)
			}
		}
	}
	got := map[string]int64{}
	held, err := s.raw.Query("SELECT holder, product_id, units FROM holdings")
	require.NoError(s.t, err)
	defer held.Close()
	for held.Next() {
		var holder, product string
		var units int64
		require.NoError(s.t, held.Scan(&holder, &product, &units))
		got[holder+" "+product] = units
	}
	require.NoError(s.t, held.Err())
	require.Equal(s.t, want, got)
}

// A holder has as many active reservations as its class may. What has ended does not
// count, whether or not the sweeper has come by; the empty holder has no limits.
func TestReservationsOfAHolder(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.SetHolderLimits(few())
		s.stock("mug", "north", 1000)
		for h, most := range map[owner.Holder]int{alice: 3, bob: 4, owner.OfOwnerRef("alice"): 3} {
			var ids []string
			for range most {
				ids = append(ids, s.ok(by(h, line("mug", 1))).Reservation.ID)
			}
			full := limited(holderlimits.TooManyReservations, most, "", "lines")
			s.fails(s.do(by(h, line("mug", 1))), full)
			s.fails(s.do(by(h, line("mug", 1))), full)
			s.checkHoldings()
			s.ok(letGo(ids[0]))
			ids[0] = s.ok(by(h, line("mug", 1))).Reservation.ID
			s.fails(s.do(by(h, line("mug", 1))), full)
			s.overdue(ids[1])
			s.ok(by(h, line("mug", 1)))
			order := resolve(ids[2], models.ReservationCommitted)
			order.Access.Orders = true
			s.ok(order)
			s.ok(by(h, line("mug", 1)))
			s.fails(s.do(by(h, line("mug", 1))), full)
			s.checkHoldings()
		}
		for range 8 {
			s.ok(by("", line("mug", 9)))
		}
		s.allOverdue()
		s.sweep(100)
		s.checkHoldings()
		require.Zero(t, s.number("SELECT count(*) FROM holdings"))
	})
}

// A holder has as many units of a product as it may, over all its reservations, and all
// problems of a cart come at once.
func TestUnitsOfAHolder(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.SetHolderLimits(few())
		s.stock("mug", "north", 50)
		s.stock("cup", "north", 50)
		s.stock("jug", "north", 2)
		s.ok(by(alice, line("mug", 4), line("cup", 6)))
		s.fails(s.do(by(alice, line("jug", 3), line("mug", 3), line("cup", 1))),
			limited(holderlimits.TooManyUnits, 6, "mug", "lines", 1, "quantity"), limited(holderlimits.TooManyUnits, 6, "cup", "lines", 2, "quantity"),
			short(0, "jug", 3, 2))
		partial := by(alice, line("mug", 3))
		partial.AllowPartial = true
		s.fails(s.do(partial), limited(holderlimits.TooManyUnits, 6, "mug", "lines", 0, "quantity"))
		s.fails(s.do(by(alice, line("mug", 1), line("mug", 2))), limited(holderlimits.TooManyUnits, 6, "mug", "lines", 0, "quantity"))
		s.ok(by(alice, line("mug", 2)))
		s.ok(by(bob, line("mug", 7)))
		s.fails(s.do(by(bob, line("mug", 1))), limited(holderlimits.TooManyUnits, 7, "mug", "lines", 0, "quantity"))
		s.settings("mug", "tracked = "+map[string]string{postgres: "false"}[s.kind]+map[string]string{sqlite: "0", memory: "0"}[s.kind])
		s.ok(by(bob, line("mug", 99)))
		s.checkHoldings()
	})
}

// A holder has a share of a product's stock: of what is available, reserved and ordered.
func TestShareOfAHolder(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		limits := few()
		limits.Units, limits.AddressUnits, limits.SharePercent, limits.ShareFloor = 1000, 1000, 10, 2
		s.SetHolderLimits(limits)
		s.stock("mug", "north", 20, "south", 15)
		s.stock("cup", "north", 5)
		s.ok(resolve(s.ok(by("", line("mug", 10))).Reservation.ID, models.ReservationCommitted))
		s.ok(by(alice, line("mug", 3)))
		s.fails(s.do(by(alice, line("mug", 2))), limited(holderlimits.ShareTooLarge, 10, "mug", "lines", 0, "quantity"))
		s.ok(by(alice, line("mug", 1), line("cup", 2)))
		s.fails(s.do(by(bob, line("cup", 3))), limited(holderlimits.ShareTooLarge, 10, "cup", "lines", 0, "quantity"))
		s.checkHoldings()
	})
}

// What a reservation has already is never refused, also above a limit that was lowered.
func TestUpdateOfAHolder(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 50)
		s.stock("cup", "north", 50)
		change := func(id string, lines ...models.RequestedLine) models.WriteResult {
			w := update(id, lines...)
			w.Access.Orders = true
			return s.do(w)
		}
		before := s.ok(by(alice, line("mug", 9))).Reservation.ID // made without limits: not counted
		s.SetHolderLimits(few())
		s.fails(change(before, line("mug", 10)), limited(holderlimits.TooManyUnits, 6, "mug", "lines", 0, "quantity"))
		s.fails(change(before, line("mug", 9)))
		s.checkHoldings()
		s.fails(s.do(by(alice, line("mug", 1))), limited(holderlimits.TooManyUnits, 6, "mug", "lines", 0, "quantity"))
		s.fails(change(before, line("mug", 5), line("cup", 6)))
		s.fails(change(before, line("mug", 7), line("cup", 7)),
			limited(holderlimits.TooManyUnits, 6, "mug", "lines", 0, "quantity"), limited(holderlimits.TooManyUnits, 6, "cup", "lines", 1, "quantity"))
		s.ok(by(alice, line("mug", 1)))
		s.fails(change(before, line("mug", 6)), limited(holderlimits.TooManyUnits, 6, "mug", "lines", 0, "quantity"))
		s.fails(change(before, line("mug", 2)))
		s.checkHoldings()
	})
}

// A reservation may be extended so often, and keep its stock for so long.
func TestTimeOfAHolder(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.SetHolderLimits(few())
		s.stock("mug", "north", 50)
		id := s.ok(by(alice, line("mug", 1))).Reservation.ID
		tooLong := limited(holderlimits.ReservedTooLong, 3600, "", "ttlSeconds")
		s.fails(s.do(extend(id, time.Hour)), tooLong)
		w := update(id, line("mug", 2))
		w.TTL, w.Access.Orders = time.Hour, true
		s.fails(s.do(w), tooLong)
		require.Equal(t, 1, s.reservation(id).Lines[0].Quantity)
		s.ok(extend(id, 20*time.Minute))
		w.TTL = 30 * time.Minute
		s.ok(w)
		s.fails(s.do(extend(id, 40*time.Minute)), limited(holderlimits.TooManyExtensions, 2, "", "ttlSeconds"))
		s.fails(s.do(extend(id, 0)), limited(holderlimits.TooManyExtensions, 2, "", "id"))
		s.fails(s.do(extend(id, time.Hour)), limited(holderlimits.TooManyExtensions, 2, "", "ttlSeconds"), tooLong)
		s.ok(extend(id, time.Minute)) // takes nothing more
		free := s.ok(by("", line("mug", 1))).Reservation.ID
		for range 4 {
			s.ok(extend(free, 2*time.Hour))
		}
		s.checkHoldings()
	})
}

// A claimed reservation counts for the subject, and no longer for the address. A claim above
// the subject's limits is refused: else it could claim all that its address can reserve.
func TestClaimOfAHolder(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.SetHolderLimits(few())
		s.stock("mug", "north", 50)
		s.stock("cup", "north", 50)
		claim := func(id string) models.WriteResult {
			return s.do(models.ClaimReservation{ID: id, Access: owner.Access{Subject: "alice"}})
		}
		s.fails(claim(s.ok(by(bob, line("mug", 4))).Reservation.ID))
		large := s.ok(by(bob, line("cup", 1), line("mug", 3))).Reservation.ID
		s.fails(claim(large), limited(holderlimits.TooManyUnits, 6, "mug", "id"))
		require.Equal(t, bob, s.reservation(large).Holder)
		for range 2 {
			s.fails(claim(s.ok(by(bob, line("mug", 1))).Reservation.ID))
		}
		more := s.ok(by(bob, line("cup", 1))).Reservation.ID
		s.fails(claim(more), limited(holderlimits.TooManyReservations, 3, "", "id"))
		s.fails(s.do(resolve(more, models.ReservationCommitted)))
		s.fails(claim(more)) // an order keeps nothing
		s.ok(by(bob, line("mug", 4)))
		s.fails(s.do(by(alice, line("cup", 1))), limited(holderlimits.TooManyReservations, 3, "", "lines"))
		s.checkHoldings()
	})
}

// Callers of one holder, on two instances, in group commit's own batches: the holder never
// has more than its limit, and gets that much.
func TestHolderOnTwoInstances(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		for _, limits := range []holderlimits.Limits{few(), withUncounted()} {
			s.stock("mug", "north", 100_000)
			most := limits.Reservations
			databases := instances(t, s)
			turns := make([]sync.Mutex, len(databases)) // one batch at a time is open, as in group commit
			for _, db := range databases {
				db.SetHolderLimits(limits)
				require.NoError(t, db.Preload(t.Context()))
			}
			held, asked, granted := new(atomic.Int64), new(atomic.Int64), new(atomic.Int64)
			var group sync.WaitGroup
			for caller := range 12 {
				db := caller % len(databases)
				write := func(w models.Write) (models.WriteResult, error) {
					turns[db].Lock()
					defer turns[db].Unlock()
					return commitOne(databases[db], w)
				}
				group.Go(func() { reserveAndRelease(t, write, int64(most), held, asked, granted) })
			}
			group.Wait()
			require.Greater(t, granted.Load(), int64(most))
			s.checkHoldings()
			s.allOverdue()
			s.sweep(10_000)
		}
	})
}

// withUncounted are limits that leave room for uncounted reservations.
func withUncounted() holderlimits.Limits {
	limits := few()
	limits.Reservations, limits.Units, limits.SharePercent = 80, 100_000, 100
	return limits
}

// reserveAndRelease makes reservations of one holder and releases them. held is at most
// what the holder has.
func reserveAndRelease(t *testing.T, write func(models.Write) (models.WriteResult, error), most int64, held, asked, granted *atomic.Int64) {
	var mine []string
	for i := range 60 {
		asked.Add(1)
		out, err := write(by(alice, line("mug", 1)))
		if !assert.NoError(t, err) || !assert.NoError(t, out.Fault) {
			return
		}
		if len(out.Errors) == 0 {
			mine = append(mine, out.Reservation.ID)
			granted.Add(1)
			if !assert.LessOrEqual(t, held.Add(1), most) {
				return
			}
		} else if !assert.Equal(t, holderlimits.TooManyReservations, out.Errors[0].Code()) ||
			!assert.GreaterOrEqual(t, asked.Load(), int64(holderlimits.CountedReservations(int(most)))) {
			return
		}
		if len(mine) > 0 && (i%3 > 0 || len(out.Errors) > 0) {
			held.Add(-1)
			_, err := write(letGo(mine[0]))
			if !assert.NoError(t, err) {
				return
			}
			mine = mine[1:]
		}
	}
}

// commitOne writes one write in a batch of its own, optimistically where it can.
func commitOne(db *database.Database, w models.Write) (models.WriteResult, error) {
	ctx := context.Background()
	if b := db.NewOptimisticBatch(); b != nil {
		if b.Add(db.Prepare(w)) {
			b.Close()
			if out, err := b.Commit(ctx); err == nil {
				return out.Results[0], nil
			}
		}
		b.Discard()
	}
	out, err := db.WriteUnderLock(ctx, []models.Write{w})
	if err != nil {
		return models.WriteResult{}, err
	}
	return out.Results[0], nil
}

// An uncounted reservation costs no row: it is granted once for a holder and instance, and
// counted when it is extended. An instance that starts knows those of the one before.
func TestUncountedReservations(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.SetHolderLimits(withUncounted())
		s.stock("mug", "north", 5000)
		counted := func(r models.WriteResult) bool {
			return s.number("SELECT count(*) FROM reservations WHERE counted AND reservation_id = $1", keyOf(r.Reservation.ID)) == 1
		}
		require.True(t, counted(s.ok(by(alice, line("mug", 1)))), "not ready yet")
		require.NoError(t, s.Preload(t.Context()))
		first := s.ok(by(alice, line("mug", 5)))
		require.False(t, counted(first))
		require.True(t, counted(s.ok(by(alice, line("mug", 1)))))
		large, long := by(bob, line("mug", 6)), by(bob, line("mug", 1))
		long.TTL = 2 * time.Hour
		require.True(t, counted(s.ok(large)))
		require.True(t, counted(s.ok(long)))
		require.False(t, counted(s.ok(by(owner.OfOwnerRef("carol"), line("mug", 1)))))
		require.False(t, counted(s.ok(by("", line("mug", 1)))))
		s.checkHoldings()
		s.ok(extend(first.Reservation.ID, 0))
		require.True(t, counted(first))
		s.checkHoldings()

		later := &shop{Database: open(t, s.url), t: t, kind: s.kind, url: s.url, raw: s.raw}
		later.SetHolderLimits(withUncounted())
		require.NoError(t, later.Preload(t.Context()))
		require.True(t, counted(later.ok(by(owner.OfOwnerRef("carol"), line("mug", 1)))))
		require.False(t, counted(later.ok(by(owner.OfOwnerRef("dave"), line("mug", 1)))))
		s.checkHoldings()
	})
}

// A holder at its limit does not have the optimistic batches of others refused again and
// again: for a moment it is decided under lock.
func TestFullHolderIsDecidedUnderLock(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.SetHolderLimits(few())
		s.stock("mug", "north", 5000)
		other := &shop{Database: open(t, s.url), t: t, kind: s.kind, url: s.url, raw: s.raw}
		other.SetHolderLimits(few())
		for range 3 {
			other.ok(by(alice, line("mug", 1)))
		}
		s.ok(by(bob, line("mug", 1)))
		s.commitRefused(s.optimistic(by(alice, line("mug", 1))))
		s.ok(by(bob, line("mug", 1))) // under lock: what was refused made the product stale
		s.fails(s.do(by(alice, line("mug", 1))), limited(holderlimits.TooManyReservations, 3, "", "lines"))
		s.notOptimistic(by(alice, line("mug", 1)))
		b := s.optimistic(by(bob, line("mug", 1)))
		_, err := b.Commit(t.Context())
		require.NoError(t, err)
		s.checkHoldings()
	})
}
