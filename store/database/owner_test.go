package database_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/owner"
)

// reservedBy makes a reservation of a mug for a holder, by a caller of this name.
func (s *shop) reservedBy(holder owner.Holder, caller string) (models.Reserve, *models.Reservation) {
	s.t.Helper()
	w := reserve(line("mug", 1))
	w.Holder, w.Caller, w.Access = holder, caller, owner.Access{Subject: caller}
	return w, s.ok(w).Reservation
}

// actions are the writes that a caller may send for a reservation without a scope.
func actions(id string, access owner.Access) map[string]models.Write {
	to := update(id, line("mug", 2))
	to.Access = access
	return map[string]models.Write{
		"update":  to,
		"extend":  models.ExtendReservation{ID: id, Access: access},
		"claim":   models.ClaimReservation{ID: id, Access: access},
		"release": models.Resolve{ID: id, To: models.ReservationReleased, Access: access},
	}
}

// A reservation exists for its owner and for the order service. For every other caller it
// does not: the answer is that to an unknown id, and nothing changes.
func TestReservationOfAnOwner(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 99)
		const unknown = "res_00000000000000000000000000000000"
		for _, holder := range []owner.Holder{owner.OfSubject("alice"), owner.OfOwnerRef("alice")} {
			_, r := s.reservedBy(holder, "alice")
			for _, stranger := range []owner.Access{{}, {Subject: "bob"}, {Subject: "s:alice"}} {
				for name, w := range actions(r.ID, stranger) {
					refused, none := s.do(w), s.do(actions(unknown, stranger)[name])
					require.Equal(t, none, refused, "%s by %+v of what is %q", name, stranger, holder)
					require.Nil(t, refused.Reservation)
				}
			}
			now := s.reservation(r.ID)
			now.ServerTime = r.ServerTime
			require.Equal(t, *r, now)
		}
		for _, mine := range []owner.Access{{Subject: "alice"}, {Subject: "shop", Orders: true}, {Orders: true}} {
			for name := range actions("", mine) {
				_, r := s.reservedBy(owner.OfSubject("alice"), "alice")
				result := s.do(actions(r.ID, mine)[name])
				require.NotNil(t, result.Reservation, "%s by %+v", name, mine)
				require.Equal(t, owner.OfSubject("alice"), result.Reservation.Holder)
			}
		}
	})
}

// The sweeper ends every reservation.
func TestExpiryOfAnOwnersReservation(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 1)
		_, r := s.reservedBy(owner.OfSubject("alice"), "alice")
		s.overdue(r.ID)
		s.reservedBy("", "") // the last mug: the expired reservation is ended for it
		require.Equal(t, models.ReservationExpired, s.reservation(r.ID).State)
	})
}

// A subject claims a reservation that has no owner. From then on it exists for this
// subject only, and the key that made it no longer tells its id.
func TestClaimReservation(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 99)
		alice, bob := owner.Access{Subject: "alice"}, owner.Access{Subject: "bob"}
		unknown := models.NotFoundError{Failure: models.Failure{Path: models.InputPath("id")}}
		for _, holder := range []owner.Holder{"", owner.OfAddress("203.0.113.7")} {
			made, r := s.reservedBy(holder, "")
			s.ok(models.ExtendReservation{ID: r.ID, Access: bob}) // the id is a capability, for a subject too
			before := s.reservation(r.ID)
			claimed := s.ok(models.ClaimReservation{ID: r.ID, Access: alice})
			require.False(t, claimed.Replayed)
			require.Equal(t, owner.OfSubject("alice"), claimed.Reservation.Holder)
			require.Equal(t, before.Version+2, claimed.Reservation.Version)
			stored := s.reservation(r.ID)
			stored.ServerTime = claimed.Reservation.ServerTime
			require.Equal(t, *claimed.Reservation, stored)

			again := s.ok(models.ClaimReservation{ID: r.ID, Access: alice})
			require.True(t, again.Replayed)
			require.Equal(t, claimed.Reservation.Version, again.Reservation.Version)
			s.fails(s.do(models.ClaimReservation{ID: r.ID, Access: bob}), unknown)
			s.fails(s.do(models.ExtendReservation{ID: r.ID}), unknown)

			replay := s.do(made)
			require.Nil(t, replay.Reservation)
			require.Equal(t, models.InputPath("idempotencyKey"), replay.Errors[0].(models.NotFoundError).Path)
			s.ok(releaseAs(r.ID, alice))
		}
	})
}

func releaseAs(id string, access owner.Access) models.Resolve {
	w := release(id)
	w.Access = access
	return w
}

// An order may be claimed. What has ended, and what has another owner, may not.
func TestClaimReservationByState(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 99)
		alice := owner.Access{Subject: "alice"}
		_, order := s.reservedBy("", "")
		s.ok(models.Resolve{IdempotencyKey: newKey(), ID: order.ID, To: models.ReservationCommitted, Access: owner.Access{Orders: true}})
		require.Equal(t, models.ReservationCommitted, s.ok(models.ClaimReservation{ID: order.ID, Access: alice}).Reservation.State)

		_, released := s.reservedBy("", "")
		s.ok(release(released.ID))
		require.IsType(t, models.ReservationNotActiveError{}, s.do(models.ClaimReservation{ID: released.ID, Access: alice}).Errors[0])

		_, overdue := s.reservedBy("", "")
		s.overdue(overdue.ID)
		require.Equal(t, models.ReservationExpired, s.do(models.ClaimReservation{ID: overdue.ID, Access: alice}).Errors[0].(models.ReservationNotActiveError).State)

		_, owned := s.reservedBy(owner.OfSubject("bob"), "bob")
		result := s.do(models.ClaimReservation{ID: owned.ID, Access: owner.Access{Subject: "shop", Orders: true}})
		require.IsType(t, models.InvalidInputError{}, result.Errors[0])
		require.Equal(t, owner.OfSubject("bob"), s.reservation(owned.ID).Holder)
	})
}

// The replay of an update whose reservation was claimed meanwhile tells nothing of it.
func TestReplayAfterClaim(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 99)
		_, r := s.reservedBy("", "")
		w := update(r.ID, line("mug", 2))
		w.TTL = time.Minute
		s.ok(w)
		require.True(t, s.ok(w).Replayed)
		s.ok(models.ClaimReservation{ID: r.ID, Access: owner.Access{Subject: "alice"}})
		require.Equal(t, s.do(models.ExtendReservation{ID: r.ID}), s.do(w))
	})
}
