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

// keyed returns writes that take effect, whole or in part, of every kind that has a key,
// for a shop with 30 mugs and one cup.
func keyed(s *shop) map[string]models.Write {
	partial, updated := reserve(line("cup", 1), line("mug", 1), line("cup", 2)), update(s.reserved(line("mug", 1)).ID, line("mug", 1), line("cup", 9))
	partial.AllowPartial, updated.AllowPartial = true, true
	ordered := func() string {
		return s.ok(resolve(s.reserved(line("mug", 1)).ID, models.ReservationCommitted)).Reservation.ID
	}
	settings := products(models.ProductRow{ProductID: "mug", Title: given("Mug")}, models.ProductRow{ProductID: "a\x00"})
	settings.ErrorPolicy = models.RejectFailedRows
	return map[string]models.Write{
		"reserved":         reserve(line("mug", 1)),
		"reserved in part": partial,
		"updated":          update(s.reserved(line("mug", 1)).ID, line("mug", 2)),
		"updated in part":  updated,
		"committed":        resolve(s.reserved(line("mug", 1)).ID, models.ReservationCommitted),
		"fulfilled":        resolve(ordered(), models.ReservationFulfilled),
		"cancelled":        resolve(ordered(), models.ReservationCancelled),
		"adjusted":         adjust(delta("mug", "north", models.Available, 3), delta("cup", "north", models.Damaged, 1)),
		"adjusted in part": models.Adjust{IdempotencyKey: newKey(), ErrorPolicy: models.RejectFailedRows, Rows: []models.AdjustRow{delta("mug", "north", models.Available, 1), delta("ghost", "north", models.Available, 1)}},
		"counted":          models.SetStock{IdempotencyKey: newKey(), Rows: []models.SetRow{{ProductID: "mug", LocationID: "north", State: models.Damaged, Quantity: 4}}},
		"counted earlier":  models.SetStock{IdempotencyKey: newKey(), Rows: []models.SetRow{countedAt(s.moment(), row("mug", "north", models.SafetyStock, 2))}},
		"moved":            moveStock(moveRow("mug", 1, "north", models.Available, "south", models.Available)),
		"settings":         products(models.ProductRow{ProductID: "cup", LowStockThreshold: new(3)}),
		"settings in part": settings,
		"locations":        locations(models.LocationRow{LocationID: "far", Name: new("Far away")}),
		"channels":         channels(models.ChannelRow{ChannelID: "web", Name: new("Shop")}),
	}
}

// refusedWrites returns writes that change nothing, for the same shop.
func refusedWrites(s *shop) map[string]models.Write {
	reserved := s.reserved(line("mug", 1)).ID
	inPart, none := adjust(delta("ghost", "north", models.Available, 1)), reserve(line("gone", 2))
	inPart.ErrorPolicy, none.AllowPartial = models.RejectFailedRows, true
	settings := channels(models.ChannelRow{ChannelID: "web", LocationIDs: []string{"moon"}})
	settings.ErrorPolicy = models.RejectFailedRows
	return map[string]models.Write{
		"short":              reserve(line("mug", 99)),
		"nothing left":       none,
		"no product":         reserve(line("ghost", 1)),
		"update short":       update(reserved, line("mug", 99)),
		"update of nothing":  update("res_00000000000000000000000000000000", line("mug", 1)),
		"too early":          resolve(reserved, models.ReservationFulfilled),
		"too much":           resolvePart(reserved, models.ReservationCommitted, part("mug", 9)),
		"below zero":         adjust(delta("mug", "north", models.Available, -999)),
		"one row of two":     adjust(delta("mug", "north", models.Available, 1), delta("ghost", "north", models.Available, 1)),
		"every row":          inPart,
		"stale":              models.SetStock{IdempotencyKey: newKey(), Rows: []models.SetRow{from(row("mug", "north", models.Available, 4), 77)}},
		"nothing to move":    moveStock(moveRow("mug", 999, "north", models.Available, "south", models.Available)),
		"settings, no place": settings,
	}
}

// openKeyedShop stocks the shop of keyed and refusedWrites.
func (s *shop) openKeyedShop() {
	s.stock("mug", "north", 30)
	s.stock("cup", "north", 1)
	s.stock("gone", "north", 0)
}

// The same key with the same input returns the first answer and has no effect, also for a
// write that took effect in part, in another instance and after a restart.
func TestSameKeySameInput(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.openKeyedShop()
		first, writes := map[string]models.WriteResult{}, keyed(s)
		for name, w := range writes {
			first[name] = s.do(w)
			require.False(t, first[name].Replayed, name)
			s.replayed(w, first[name])
		}
		require.Empty(t, first["reserved"].Errors)
		for _, name := range []string{"reserved in part", "updated in part", "adjusted in part", "settings in part"} {
			require.Len(t, first[name].Errors, 1, name)
		}
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

// The same key with another input of the same kind of write is refused and has no effect.
func TestSameKeyOtherInput(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.openKeyedShop()
		for name, w := range keyed(s) {
			first := s.do(w)
			levels := s.levels()
			r := s.do(otherInput(t, w))
			require.Equal(t, []models.UserError{mismatch()}, withoutMessages(t, r.Errors), name)
			require.Nil(t, r.Reservation)
			require.False(t, r.Replayed)
			require.Equal(t, levels, s.levels())
			s.replayed(w, first)
		}
	})
}

// otherInput returns a write of the same kind and key that asks for something else.
func otherInput(t *testing.T, w models.Write) models.Write {
	t.Helper()
	switch w := w.(type) {
	case models.Reserve:
		w.Lines = []models.RequestedLine{line("mug", 7)}
		return w
	case models.UpdateReservation:
		w.Lines = []models.RequestedLine{line("mug", 7)}
		return w
	case models.Resolve:
		w.ID = "res_00000000000000000000000000000000"
		return w
	case models.Adjust:
		w.Note = "another"
		return w
	case models.SetStock:
		w.Note = "another"
		return w
	case models.MoveStock:
		w.Note = "another"
		return w
	case models.UpsertProducts:
		w.Rows = w.Rows[:1:1]
		w.Rows = append(w.Rows, models.ProductRow{ProductID: "new"})
		return w
	case models.UpsertLocations:
		w.Rows = []models.LocationRow{{LocationID: "new"}}
		return w
	case models.UpsertChannels:
		w.Rows = []models.ChannelRow{{ChannelID: "new"}}
		return w
	}
	require.Fail(t, "no other input", "%T", w)
	return nil
}

// A refusal leaves nothing on record and its key free: the same input is decided again,
// and another input takes effect. Only then is the key bound.
func TestRefusedKeyIsFree(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.openKeyedShop()
		free := freeKeyTwins(s)
		answers := s.number("SELECT count(*) FROM idempotency_keys")
		for name, w := range refusedWrites(s) {
			levels := s.levels()
			first := s.do(w)
			require.NotEmpty(t, first.Errors, name)
			again := s.do(w)
			require.False(t, first.Replayed || again.Replayed, name)
			require.Equal(t, withoutMessages(t, first.Errors), withoutMessages(t, again.Errors), name)
			require.Equal(t, levels, s.levels(), name)
			require.Equal(t, answers, s.number("SELECT count(*) FROM idempotency_keys"), name)

			twin := free(w)
			r := s.ok(twin)
			require.False(t, r.Replayed, name)
			s.replayed(twin, r)
			s.fails(s.do(w), mismatch())
			answers = s.number("SELECT count(*) FROM idempotency_keys")
		}
	})
}

// freeKeyTwins returns, for a write that was refused, one of its kind and key that takes
// effect.
func freeKeyTwins(s *shop) func(w models.Write) models.Write {
	reserved, ordered := s.reserved(line("mug", 1)).ID, s.ok(resolve(s.reserved(line("mug", 1)).ID, models.ReservationCommitted)).Reservation.ID
	return func(w models.Write) models.Write {
		key := w.Key()
		switch w := w.(type) {
		case models.Reserve:
			return models.Reserve{IdempotencyKey: key, Lines: []models.RequestedLine{line("mug", 1)}, TTL: reservationTTL}
		case models.UpdateReservation:
			return models.UpdateReservation{IdempotencyKey: key, ID: reserved, Lines: []models.RequestedLine{line("mug", 1)}}
		case models.Resolve:
			if w.To == models.ReservationFulfilled {
				return models.Resolve{IdempotencyKey: key, ID: ordered, To: w.To}
			}
			return models.Resolve{IdempotencyKey: key, ID: s.reserved(line("mug", 1)).ID, To: w.To}
		case models.Adjust:
			return models.Adjust{IdempotencyKey: key, Rows: []models.AdjustRow{delta("mug", "north", models.Available, 1)}}
		case models.SetStock:
			return models.SetStock{IdempotencyKey: key, Rows: []models.SetRow{row("mug", "north", models.Damaged, 3)}}
		case models.MoveStock:
			return models.MoveStock{IdempotencyKey: key, Rows: []models.MoveRow{moveRow("mug", 1, "north", models.Available, "south", models.Available)}}
		}
		return models.UpsertChannels{IdempotencyKey: key, Rows: []models.ChannelRow{{ChannelID: "web"}}}
	}
}

// Many concurrent calls with one key, in two instances, have one effect and one answer. A
// refusal is decided for each of them.
func TestOneKeyManyCallers(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		const callers = 32
		s.stock("mug", "north", 100)
		second := s.Database
		if s.kind != memory {
			second = open(t, s.url)
		}
		for i, w := range []models.Write{reserve(line("mug", 3)), adjust(delta("mug", "north", models.Available, -3)), reserve(line("mug", 1000))} {
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
			require.Equal(t, []int{1, 1, callers}[i], first, "%T", w)
		}
		require.Equal(t, models.Quantities{Available: 94, Reserved: 3}, s.level("mug", "north"))
	})
}

// A key that occurs twice in one batch has one effect. Where the first write is refused,
// the second one executes, and the third is its replay.
func TestOneKeyInOneBatch(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		reservation, moved, refused := reserve(line("mug", 2)), adjust(delta("mug", "north", models.Available, 3)), reserve(line("mug", 99))
		other, fewer := reservation, refused
		other.TTL++
		fewer.Lines = []models.RequestedLine{line("mug", 5)}
		r := s.batch(reservation, moved, refused, reservation, moved, fewer, other, fewer, refused)
		for i, replayed := range []bool{false, false, false, true, true, false, false, true, false} {
			require.Equal(t, replayed, r[i].Replayed, "write %d", i)
		}
		require.Equal(t, r[0].Reservation.ID, r[3].Reservation.ID)
		require.Equal(t, r[1].Stocks, r[4].Stocks)
		s.fails(r[2], short(0, "mug", 99, 11))
		s.fails(r[6], mismatch())
		require.Equal(t, s.ReservationOf(refused.IdempotencyKey), r[5].Reservation.ID)
		require.Equal(t, r[5].Reservation.ID, r[7].Reservation.ID)
		s.fails(r[8], mismatch())
		require.Equal(t, models.Quantities{Available: 6, Reserved: 7}, s.level("mug", "north"))
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
