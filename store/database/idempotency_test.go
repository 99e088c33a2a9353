package database_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

// replayed requires the first answer again, with the stocks of now and without further
// effect.
func (s *shop) replayed(w models.Write, first models.WriteResult) {
	s.t.Helper()
	levels, ledger := s.levels(), len(s.movements(""))
	again := s.do(w)
	require.True(s.t, again.Replayed)
	require.Equal(s.t, first.Errors, again.Errors)
	require.Equal(s.t, first.Reservation == nil, again.Reservation == nil)
	if first.Reservation != nil {
		require.Equal(s.t, first.Reservation.ID, again.Reservation.ID)
	}
	require.Len(s.t, again.Stocks, len(first.Stocks))
	for i := range again.Stocks {
		require.Equal(s.t, s.read(first.Stocks[i].ProductID), timeless(again.Stocks[i]), "as it is now")
	}
	require.Equal(s.t, levels, s.levels())
	require.Len(s.t, s.movements(""), ledger)
}

// keyed returns one write of every kind that has a key, for a shop with 20 mugs and one
// cup.
func keyed(s *shop) map[string]models.Write {
	partial := reserve(line("cup", 1), line("mug", 1), line("cup", 2))
	partial.AllowPartial = true
	reserved := s.reserved(line("mug", 1)).ID
	return map[string]models.Write{
		"reserved":         reserve(line("mug", 1)),
		"reserved in part": partial,
		"refused":          reserve(line("mug", 99)),
		"not found":        reserve(line("ghost", 1)),
		"updated":          update(s.reserved(line("mug", 1)).ID, line("mug", 2)),
		"update refused":   update(reserved, line("mug", 99)),
		"committed":        resolve(reserved, models.ReservationCommitted),
		"too early":        resolve(s.reserved(line("mug", 1)).ID, models.ReservationFulfilled),
		"adjusted":         adjust(delta("mug", "north", models.Available, 3), delta("cup", "north", models.Damaged, 1)),
		"adjust refused":   adjust(delta("mug", "north", models.Available, -999)),
		"adjusted in part": models.Adjust{IdempotencyKey: newKey(), ErrorPolicy: models.RejectFailedRows, Rows: []models.AdjustRow{delta("mug", "north", models.Available, 1), delta("ghost", "north", models.Available, 1)}},
		"counted":          models.SetStock{IdempotencyKey: newKey(), Rows: []models.SetRow{{ProductID: "mug", LocationID: "north", State: models.Damaged, Quantity: 4}}},
	}
}

// The same key with the same input returns the first answer and has no effect, whatever
// the answer was, also in another instance and after a restart.
func TestSameKeySameInput(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 20)
		s.stock("cup", "north", 1)
		first, writes := map[string]models.WriteResult{}, keyed(s)
		for name, w := range writes {
			first[name] = s.do(w)
			require.False(t, first[name].Replayed, name)
			s.replayed(w, first[name])
		}
		require.Empty(t, first["reserved"].Errors)
		require.Len(t, first["reserved in part"].Errors, 1)
		require.Len(t, first["adjusted"].Stocks, 2)
		if s.kind == memory {
			return
		}
		again := s.with(t)
		again.Database = open(t, s.url)
		for name, w := range writes {
			again.replayed(w, first[name])
		}
	})
}

// The same key with another input, or for another kind of write, is refused and has no
// effect.
func TestSameKeyOtherInput(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 20)
		s.stock("cup", "north", 1)
		for name, w := range keyed(s) {
			first := s.do(w)
			levels := s.levels()
			for _, other := range others(w.Key()) {
				r := s.do(other)
				require.Equal(t, []models.UserError{mismatch()}, withoutMessages(t, r.Errors), "%s, then %T", name, other)
				require.Nil(t, r.Reservation)
				require.False(t, r.Replayed)
			}
			require.Equal(t, levels, s.levels())
			s.replayed(w, first)
		}
	})
}

func others(key string) []models.Write {
	reservation, moved := reserve(line("mug", 7)), adjust(delta("mug", "north", models.Available, 7))
	reservation.IdempotencyKey, moved.IdempotencyKey = key, key
	return []models.Write{
		reservation, moved,
		models.UpdateReservation{IdempotencyKey: key, ID: "res_00000000000000000000000000000000", Lines: reservation.Lines},
		models.Resolve{IdempotencyKey: key, ID: "res_00000000000000000000000000000000", To: models.ReservationCommitted},
		models.SetStock{IdempotencyKey: key, Rows: []models.SetRow{{ProductID: "mug", LocationID: "north", State: models.Available, Quantity: 7}}},
	}
}

// Every field of a reservation is part of its input: lines, channel, time to live,
// owner.
func TestEveryFieldIsPartOfTheInput(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 9)
		w := reserve(line("mug", 1), line("mug", 1))
		s.ok(w)
		for _, change := range []func(w *models.Reserve){
			func(w *models.Reserve) { w.TTL++ },
			func(w *models.Reserve) { w.Channel = "all" },
			func(w *models.Reserve) { w.AllowPartial = true },
			func(w *models.Reserve) { w.OwnerRef = "another cart" },
			func(w *models.Reserve) { w.Lines = []models.RequestedLine{line("mug", 2)} },
			func(w *models.Reserve) { w.Lines = []models.RequestedLine{line("mug", 1), pinned("mug", 1, "north")} },
		} {
			other := w
			change(&other)
			s.fails(s.do(other), mismatch())
		}
	})
}

// Many concurrent calls with one key, in two instances, have one effect and one answer.
func TestOneKeyManyCallers(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		const callers = 32
		s.stock("mug", "north", 100)
		second := s.Database
		if s.kind != memory {
			second = open(t, s.url)
		}
		for _, w := range []models.Write{reserve(line("mug", 3)), adjust(delta("mug", "north", models.Available, -3)), reserve(line("mug", 1000))} {
			results := make([]models.WriteResult, callers)
			var group sync.WaitGroup
			for i := range callers {
				group.Go(func() {
					db := s.Database
					if i%2 == 1 {
						db = second
					}
					out, err := db.WriteUnderLock(context.Background(), []models.Write{w})
					if assert.NoError(t, err) {
						results[i] = out.Results[0]
					}
				})
			}
			group.Wait()
			first := 0
			for _, r := range results {
				if !r.Replayed {
					first++
				}
				require.Equal(t, results[0].Errors, r.Errors)
				if r.Reservation != nil {
					require.Equal(t, results[0].Reservation.ID, r.Reservation.ID)
				}
			}
			require.Equal(t, 1, first, "%T", w)
		}
		require.Equal(t, models.Quantities{Available: 94, Reserved: 3}, s.level("mug", "north"))
	})
}

// A key that occurs twice in one batch has one effect.
func TestOneKeyInOneBatch(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		reservation, moved, refused := reserve(line("mug", 2)), adjust(delta("mug", "north", models.Available, 3)), reserve(line("mug", 99))
		other := reservation
		other.TTL++
		r := s.batch(reservation, moved, refused, reservation, moved, refused, other)
		for i := range 3 {
			require.False(t, r[i].Replayed)
			require.True(t, r[i+3].Replayed)
			require.Equal(t, r[i].Errors, r[i+3].Errors)
		}
		require.Equal(t, r[0].Reservation.ID, r[3].Reservation.ID)
		require.Equal(t, r[1].Stocks, r[4].Stocks)
		s.fails(r[6], mismatch())
		require.Equal(t, models.Quantities{Available: 11, Reserved: 2}, s.level("mug", "north"))
	})
}

// A key is stored for at least two days; after that it may be used again. The key of a
// reservation is never deleted.
func TestOldKeysAreDeleted(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		reservation, old, young := reserve(line("mug", 1)), adjust(delta("mug", "north", models.Available, 1)), adjust(delta("mug", "north", models.Available, 1))
		first := s.ok(reservation)
		s.ok(old)
		s.exec("UPDATE idempotency_keys SET created_at = " + s.clock(-49*3600))
		answer := s.ok(young)
		s.exec("UPDATE idempotency_keys SET created_at = " + s.clock(-47*3600) + " WHERE created_at > " + s.clock(-3600))
		require.NoError(t, s.DeleteOldKeys(t.Context()))
		s.replayed(young, answer)
		s.replayed(reservation, first)
		require.False(t, s.ok(old).Replayed)
	})
}

// The id of a reservation permits its release, so it cannot be computed from the key:
// each database makes another id of the same key.
func TestIDsAreNotGuessable(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		other := openShop(t, s.kind, emptyURL(t, s.kind))
		w := reserve(line("mug", 1))
		s.stock("mug", "north", 5)
		other.stock("mug", "north", 5)
		require.NotEqual(t, s.ok(w).Reservation.ID, other.ok(w).Reservation.ID)
	})
}
