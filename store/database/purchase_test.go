package database_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/holderlimits"
	"onhand/models/owner"
	"onhand/store/database/postgres/holdersql"
)

// bought is the error of an owner who would have more of a product than a day allows.
func bought(product string, requested, limit int, at ...any) models.UserError {
	return models.QuantityLimitExceededError{Failure: path(at...), ProductID: product, Requested: requested, Limit: limit, PeriodSeconds: new(models.OwnerPeriodDefault)}
}

// forOrders is a write of an order service.
func forOrders(w models.Resolve) models.Resolve {
	w.Access = owner.Access{Subject: "orders", Orders: true}
	return w
}

// ordered turns a reservation into an order.
func (s *shop) ordered(id string) string {
	s.t.Helper()
	s.ok(forOrders(resolve(id, models.ReservationCommitted)))
	return id
}

// orderedAgo puts the time of an order into the past.
func (s *shop) orderedAgo(id string, seconds int) {
	s.t.Helper()
	s.exec("UPDATE reservations SET ordered_at = "+s.clock(-seconds)+" WHERE reservation_id = $1", keyOf(id))
}

func perOwner(n int) string { return fmt.Sprintf("max_per_owner = %d", n) }

// An owner gets as many units of a product in its period as the limit says, in active
// reservations and in orders, paid or not. What ends without an order, or is older, does
// not count. The limit of a product is independent of the limits of holders.
func TestPurchasesOfAnOwner(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 1000)
		s.stock("cup", "north", 1000)
		s.stock("jug", "north", 2)
		s.settings("mug", perOwner(5))
		for _, limits := range []holderlimits.Limits{{}, holderlimits.Default()} {
			s.SetHolderLimits(limits)
			run := fmt.Sprint(limits.On())
			for _, h := range []owner.Holder{owner.OfSubject(run), owner.OfAddress(run), owner.OfOwnerRef(run)} {
				order := s.ordered(s.ok(by(h, line("mug", 2))).Reservation.ID)
				s.ok(forOrders(resolvePart(order, models.ReservationFulfilled, part("mug", 1))))
				cart := s.ok(by(h, line("mug", 1), line("cup", 7), line("mug", 1))).Reservation.ID
				s.fails(s.do(by(h, line("jug", 3), line("mug", 1), line("mug", 1))), bought("mug", 2, 5, "lines", 1, "quantity"), short(0, "jug", 3, 2))
				partial := by(h, line("mug", 9))
				partial.AllowPartial = true
				s.fails(s.do(partial), bought("mug", 9, 5, "lines", 0, "quantity"))
				s.ok(by(h, line("cup", 9)))

				s.ok(letGo(cart))
				last := s.ok(by(h, line("mug", 3))).Reservation.ID
				s.fails(s.do(by(h, line("mug", 1))), bought("mug", 1, 5, "lines", 0, "quantity"))
				s.overdue(last)
				s.ok(by(h, line("mug", 2)))
				s.fails(s.do(by(h, line("mug", 2))), bought("mug", 2, 5, "lines", 0, "quantity"))
				s.ok(forOrders(resolvePart(order, models.ReservationCancelled, part("mug", 1))))
				s.ok(by(h, line("mug", 2)))
				s.fails(s.do(by(h, line("mug", 1))), bought("mug", 1, 5, "lines", 0, "quantity"))
				s.orderedAgo(order, models.OwnerPeriodDefault-60)
				s.fails(s.do(by(h, line("mug", 1))), bought("mug", 1, 5, "lines", 0, "quantity"))
				s.orderedAgo(order, models.OwnerPeriodDefault)
				s.ok(by(h, line("mug", 1)))
				s.fails(s.do(by(h, line("mug", 1))), bought("mug", 1, 5, "lines", 0, "quantity"))
			}
		}
		for range 3 {
			s.ok(by("", line("mug", 4)))
			service := by(owner.OfSubject("orders"), line("mug", 4))
			service.Access.Subject = "orders"
			s.ok(service)
		}
	})
}

// The limit counts for products that are not tracked, and for what was ordered since it was
// set: also what had been reserved before.
func TestPurchasesFromNowOn(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 100)
		s.exec("INSERT INTO products (product_id, tracked, max_per_owner, owner_period) VALUES ('card', false, 2, 3600)")
		card := models.QuantityLimitExceededError{Failure: path("lines", 0, "quantity"), ProductID: "card", Requested: 1, Limit: 2, PeriodSeconds: new(3600)}
		order := s.ordered(s.ok(by(alice, line("card", 2))).Reservation.ID)
		s.fails(s.do(by(alice, line("card", 1))), card)
		s.orderedAgo(order, 3600)
		s.ok(by(alice, line("card", 1)))

		before, ordered := s.ok(by(alice, line("mug", 4))).Reservation.ID, s.ok(by(alice, line("mug", 4))).Reservation.ID
		s.ordered(ordered)
		s.settings("mug", perOwner(5))
		s.ok(by(alice, line("mug", 1)))
		s.ordered(before)
		s.fails(s.do(by(alice, line("mug", 1))), bought("mug", 1, 5, "lines", 0, "quantity"))
		s.settings("mug", "max_per_owner = NULL")
		s.ok(by(alice, line("mug", 50)))
	})
}

// What a reservation has already is never refused, also above a limit that was lowered.
func TestUpdateOfPurchases(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 100)
		s.stock("cup", "north", 100)
		change := func(id string, lines ...models.RequestedLine) models.WriteResult {
			w := update(id, lines...)
			w.Access.Orders = true
			return s.do(w)
		}
		cart := s.ok(by(alice, line("mug", 4))).Reservation.ID
		s.settings("mug", perOwner(6))
		s.fails(change(cart, line("mug", 7)), bought("mug", 7, 6, "lines", 0, "quantity"))
		s.fails(change(cart, line("mug", 5), line("cup", 9)))
		s.fails(s.do(by(alice, line("mug", 2))), bought("mug", 2, 6, "lines", 0, "quantity"))
		other := s.ok(by(alice, line("mug", 1))).Reservation.ID
		s.fails(change(cart, line("cup", 9), line("mug", 6)), bought("mug", 6, 6, "lines", 1, "quantity"))
		s.settings("mug", perOwner(3))
		s.fails(change(cart, line("mug", 5)))
		s.fails(change(cart, line("mug", 4)))
		s.fails(change(other, line("mug", 2)), bought("mug", 2, 3, "lines", 0, "quantity"))
		s.ok(extend(cart, time.Hour))
		s.ordered(cart)
		s.fails(s.do(by(alice, line("mug", 1))), bought("mug", 1, 3, "lines", 0, "quantity"))
	})
}

// An order that takes its units again after the expiry is within the limit, and reports it
// beside the shortages.
func TestReacquiredPurchases(t *testing.T) {
	eachExpiry(t, func(t *testing.T, s *shop, swept bool) {
		s.stock("mug", "north", 100)
		s.stock("cup", "north", 1)
		s.settings("mug", perOwner(5))
		cart := s.ok(by(alice, line("cup", 1), line("mug", 3))).Reservation.ID
		s.expired(swept, cart)
		other := s.ok(by(alice, line("mug", 3), line("cup", 1))).Reservation.ID
		s.fails(s.do(forOrders(reacquire(cart))), bought("mug", 3, 5, "id"), missing("cup", 1, 0, "id"))
		s.fails(s.do(forOrders(reacquire(cart, part("mug", 3)))), bought("mug", 3, 5, "lines", 0, "quantity"))
		s.ok(forOrders(reacquire(cart, part("mug", 2))))
		s.fails(s.do(by(alice, line("mug", 1))), bought("mug", 1, 5, "lines", 0, "quantity"))
		s.ok(letGo(other))
		s.ok(by(alice, line("mug", 3)))
		s.fails(s.do(by(alice, line("mug", 1))), bought("mug", 1, 5, "lines", 0, "quantity"))
	})
}

// A claimed reservation or order counts for the subject, and no longer for the address. A
// claim above the limit is refused.
func TestClaimOfPurchases(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 100)
		s.settings("mug", perOwner(5))
		claim := func(id string) models.WriteResult {
			return s.do(models.ClaimReservation{ID: id, Access: owner.Access{Subject: "alice"}})
		}
		cart, order := s.ok(by(bob, line("mug", 2))).Reservation.ID, s.ordered(s.ok(by(bob, line("mug", 2))).Reservation.ID)
		s.fails(s.do(by(bob, line("mug", 2))), bought("mug", 2, 5, "lines", 0, "quantity"))
		s.fails(claim(cart))
		s.fails(claim(order))
		s.fails(s.do(by(alice, line("mug", 2))), bought("mug", 2, 5, "lines", 0, "quantity"))
		large, later := s.ok(by(bob, line("mug", 2))).Reservation.ID, s.ordered(s.ok(by(bob, line("mug", 3))).Reservation.ID)
		s.fails(s.do(by(bob, line("mug", 1))), bought("mug", 1, 5, "lines", 0, "quantity"))
		s.fails(claim(large), bought("mug", 2, 5, "id"))
		s.fails(claim(later), bought("mug", 3, 5, "id"))
		require.Equal(t, bob, s.reservation(later).Holder)
		s.orderedAgo(later, models.OwnerPeriodDefault)
		s.fails(claim(later))
		local := s.ok(by("", line("mug", 2))).Reservation.ID
		s.fails(claim(local), bought("mug", 2, 5, "id"))
		s.ok(letGo(cart))
		s.fails(claim(local))
		s.fails(s.do(by(alice, line("mug", 2))), bought("mug", 2, 5, "lines", 0, "quantity"))
	})
}

// Writes of one batch see the purchases of those before them.
func TestPurchasesOfOneBatch(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 100)
		s.settings("mug", perOwner(5))
		cart := s.ok(by(alice, line("mug", 2))).Reservation.ID
		over := s.ok(by(alice, line("mug", 2))).Reservation.ID
		s.overdue(over)
		more := update(cart, line("mug", 4))
		more.Access.Orders = true
		out, err := s.WriteUnderLock(t.Context(), []models.Write{
			by(alice, line("mug", 3)), by(alice, line("mug", 1)), letGo(cart), by(alice, line("mug", 2)), by(alice, line("mug", 1)), more,
		})
		require.NoError(t, err)
		full := bought("mug", 1, 5, "lines", 0, "quantity")
		for i, want := range [][]models.UserError{nil, {full}, nil, nil, {full}, {notActive(models.ReservationReleased)}} {
			s.fails(out.Results[i], want...)
		}
		require.Equal(t, models.ReservationExpired, s.reservation(over).State)
	})
}

// The statements over purchases look up the reservations of the holders, and read no others.
func TestPurchasesUseTheirIndex(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		if s.kind != postgres {
			text := s.explained(s.raw, `EXPLAIN QUERY PLAN SELECT lines FROM reservations r WHERE r.in_purchases AND r.state IN ('ACTIVE', 'COMMITTED', 'FULFILLED')
				AND r.holder = 's:alice' AND coalesce(r.ordered_at, 9223372036854775807) > 3`)
			require.Contains(t, text, "reservations_in_purchases (holder=? AND <expr>>?)")
			return
		}
		s.exec(`INSERT INTO reservations (reservation_id, state, lines, holder, fingerprint, expires_at, in_purchases)
			SELECT decode(md5(i::text), 'hex'), 'ACTIVE', '[{"productId": "mug", "requested": 1, "quantity": 1}]', 's:' || i, '', now() + interval '1 hour', true
			FROM generate_series(1, 5000) i`)
		defer s.exec("DELETE FROM reservations")
		session, err := s.raw.Conn(t.Context())
		require.NoError(t, err)
		defer session.Close()
		run := func(query string) {
			_, err := session.ExecContext(t.Context(), query)
			require.NoError(t, err, query)
		}
		run("SET plan_cache_mode = force_generic_plan")
		for _, analyzed := range []bool{false, true} {
			if analyzed {
				s.exec("ANALYZE reservations")
			}
			for types, statement := range map[string]string{
				"(text[], text[], int[], int[])":                                       holdersql.PurchasesWithinSQL,
				"(text[], text[], bytea[], text[], bytea[], text[], bytea[], bytea[])": holdersql.PurchasesSQL,
			} {
				nulls := strings.TrimSuffix(strings.Repeat("NULL, ", strings.Count(types, "[]")), ", ")
				run("PREPARE checked " + types + " AS " + statement)
				text := s.explained(session, "EXPLAIN EXECUTE checked("+nulls+")")
				run("DEALLOCATE checked")
				_, scan, found := strings.Cut(text, "reservations_in_purchases ")
				require.True(t, found, text)
				require.Contains(t, scan, "Index Cond: (holder = ", text)
			}
		}
	})
}

// explained returns the text of an EXPLAIN.
func (s *shop) explained(session interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, query string) (text string) {
	s.t.Helper()
	rows, err := session.QueryContext(context.Background(), query)
	require.NoError(s.t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(s.t, err)
	for rows.Next() {
		cells := make([]any, len(columns))
		for i := range cells {
			cells[i] = new(any)
		}
		require.NoError(s.t, rows.Scan(cells...))
		text += fmt.Sprintln(*cells[len(cells)-1].(*any))
	}
	require.NoError(s.t, rows.Err())
	return text
}

// An optimistic batch that would bring an owner above a limit is refused, whichever way it
// is checked. The owner is then decided under lock for a moment.
func TestOptimisticPurchases(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, first *shop) {
		first.stock("mug", "north", 1000)
		first.settings("mug", perOwner(3))
		first.stock("cup", "north", 1000)
		for _, conditional := range []bool{false, true} {
			h := owner.OfSubject(fmt.Sprint("owner ", conditional))
			s := &shop{Database: open(t, first.url), t: t, kind: first.kind, url: first.url, raw: first.raw} // knows of no contention
			s.ordered(s.ok(by(h, line("mug", 2), line("cup", 1))).Reservation.ID)
			batch := func(n int) error {
				if conditional {
					s.ExpectContention("mug")
				}
				b := s.optimistic(by(h, line("mug", n)), by(bob, line("cup", 1)), by("", line("mug", 1)))
				require.True(t, n == 1 || b.Conditional == conditional) // a refusal may count as contention
				_, err := b.Commit(t.Context())
				if err != nil {
					b.Discard()
				}
				return err
			}
			require.Error(t, batch(2))
			s.ok(by("", line("mug", 1), line("cup", 1)))
			require.NoError(t, batch(1))
			s.fails(s.do(by(h, line("mug", 1))), bought("mug", 1, 3, "lines", 0, "quantity"))
			s.notOptimistic(by(h, line("mug", 1)))
			s.notOptimistic(by(owner.OfSubject("new"), line("mug", 4)))
			require.EqualValues(t, 2, s.number("SELECT count(*) FROM reservations WHERE in_purchases AND holder = $1", string(h)))
		}
	})
}

// Callers of one owner, on two instances: never more than the limit, and that much is
// granted.
func TestPurchasesOnTwoInstances(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		const limit = 7
		s.stock("mug", "north", 100_000)
		s.settings("mug", perOwner(limit))
		databases := instances(t, s)
		turns := make([]sync.Mutex, len(databases))
		for _, db := range databases {
			require.NoError(t, db.Preload(t.Context()))
		}
		var granted, refused atomic.Int64
		var group sync.WaitGroup
		for caller := range 16 {
			db, h := caller%len(databases), []owner.Holder{alice, bob}[caller/2%2]
			write := func(w models.Write) (models.WriteResult, error) {
				turns[db].Lock()
				defer turns[db].Unlock()
				return commitOne(databases[db], w)
			}
			group.Go(func() {
				for range 6 {
					out, err := write(by(h, line("mug", 1)))
					if !assert.NoError(t, err) || !assert.NoError(t, out.Fault) {
						return
					}
					if len(out.Errors) > 0 {
						refused.Add(1)
						continue
					}
					granted.Add(1)
					_, err = write(forOrders(resolve(out.Reservation.ID, models.ReservationCommitted)))
					assert.NoError(t, err)
				}
			})
		}
		group.Wait()
		require.EqualValues(t, 2*limit, granted.Load())
		require.EqualValues(t, 16*6-2*limit, refused.Load())
	})
}
