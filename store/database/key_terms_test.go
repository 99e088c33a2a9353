package database_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// A key belongs to one kind of write: the same text is another key for each of them.
func TestKeysBelongToOneKindOfWrite(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.openKeyedShop()
		key := newKey()
		id := s.reserved(line("mug", 1)).ID
		results := map[int]models.WriteResult{}
		writes := []models.Write{
			models.Reserve{IdempotencyKey: key, Lines: []models.RequestedLine{line("mug", 1)}, TTL: reservationTTL},
			models.UpdateReservation{IdempotencyKey: key, ID: id, Lines: []models.RequestedLine{line("mug", 2)}},
			models.Resolve{IdempotencyKey: key, ID: id, To: models.ReservationCommitted},
			resolveWithKey(key, id, models.ReservationFulfilled, part("mug", 1)),
			resolveWithKey(key, id, models.ReservationCancelled, part("mug", 1)),
			models.Adjust{IdempotencyKey: key, Rows: []models.AdjustRow{delta("mug", "north", models.Available, 1)}},
			models.SetStock{IdempotencyKey: key, Rows: []models.SetRow{row("cup", "north", models.Damaged, 1)}},
			models.MoveStock{IdempotencyKey: key, Rows: []models.MoveRow{moveRow("mug", 1, "north", models.Available, "south", models.Available)}},
			models.UpsertProducts{IdempotencyKey: key, Rows: []models.ProductRow{{ProductID: "mug"}}},
			models.UpsertLocations{IdempotencyKey: key, Rows: []models.LocationRow{{LocationID: "far"}}},
			models.UpsertChannels{IdempotencyKey: key, Rows: []models.ChannelRow{{ChannelID: "web"}}},
		}
		for i, w := range writes {
			results[i] = s.ok(w)
			require.False(t, results[i].Replayed, "%T", w)
		}
		for i, w := range writes {
			s.replayed(w, results[i])
		}
	})
}

func resolveWithKey(key, id string, to models.ReservationState, parts ...models.LinePart) models.Resolve {
	return models.Resolve{IdempotencyKey: key, ID: id, To: to, Lines: parts}
}

// A key belongs to one caller: the same key and input of another caller makes another
// reservation, and never gives the first one's.
func TestKeysBelongToOneCaller(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		w, moved := reserve(line("mug", 1)), adjust(delta("mug", "north", models.Available, 1))
		ids := map[string]bool{}
		// The last three have the same bytes when caller and key are put side by side.
		for _, caller := range []string{"", "ann", "bob", "an", "annn"} {
			w.Caller, moved.Caller = caller, caller
			first, second := s.ok(w), s.ok(moved)
			require.False(t, first.Replayed || second.Replayed, caller)
			require.False(t, ids[first.Reservation.ID], caller)
			ids[first.Reservation.ID] = true
			s.replayed(w, first)
			s.replayed(moved, second)
		}
		require.Equal(t, models.Quantities{Available: 10, Reserved: 5}, s.level("mug", "north"))
		w.Caller, w.IdempotencyKey = "a", "nn"
		one := s.ok(w)
		w.Caller, w.IdempotencyKey = "an", "n"
		require.NotEqual(t, one.Reservation.ID, s.ok(w).Reservation.ID)
	})
}

// Past its NotAfter, by the database's clock, a key that is not bound is refused, and one
// that is bound is replayed. NotAfter is no part of the input.
func TestNotAfter(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.openKeyedShop()
		tooLate := models.IdempotencyError{Failure: path("notAfter"), Cause: models.ErrorNotAfterPassed}
		past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		all := keyed(s)
		for name, w := range refusedWrites(s) {
			all["refused: "+name] = w
		}
		for name, w := range all {
			levels := s.levels()
			r := s.do(notAfter(w, past))
			require.Equal(t, []models.UserError{tooLate}, withoutMessages(t, r.Errors), name)
			require.Nil(t, r.Reservation, name)
			require.False(t, r.Replayed, name)
			require.Equal(t, levels, s.levels(), name)
		}
		for name, w := range keyed(s) {
			first := s.do(notAfter(w, future))
			require.False(t, first.Replayed, name)
			s.replayed(notAfter(w, past), first)
			s.replayed(w, first)
			s.fails(s.do(notAfter(otherInput(t, w), past)), mismatch())
		}
		w := reserve(line("mug", 99))
		s.fails(s.do(notAfter(w, future)), short(0, "mug", 99, s.level("mug", "north").Available+s.level("mug", "south").Available))
		s.fails(s.do(notAfter(w, past)), tooLate)
	})
}

// notAfter returns a write with a bound for its key.
func notAfter(w models.Write, at time.Time) models.Write {
	switch w := w.(type) {
	case models.Reserve:
		w.NotAfter = &at
		return w
	case models.UpdateReservation:
		w.NotAfter = &at
		return w
	case models.Resolve:
		w.NotAfter = &at
		return w
	case models.Adjust:
		w.NotAfter = &at
		return w
	case models.SetStock:
		w.NotAfter = &at
		return w
	case models.MoveStock:
		w.NotAfter = &at
		return w
	case models.UpsertProducts:
		w.NotAfter = &at
		return w
	case models.UpsertLocations:
		w.NotAfter = &at
		return w
	case models.UpsertChannels:
		w.NotAfter = &at
		return w
	}
	return w
}

// The replay of a reservation that reserves nothing any more says so, beside the errors
// of the first answer. The replay of an order that was shipped does not.
func TestReplayOfAReservationThatHasEnded(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 100)
		s.stock("cup", "north", 1)
		for state, end := range map[models.ReservationState]func(id string){
			models.ReservationActive:    func(string) {},
			models.ReservationExpired:   func(id string) { s.overdue(id) },
			models.ReservationReleased:  func(id string) { s.ok(release(id)) },
			models.ReservationCommitted: func(id string) { s.ok(resolve(id, models.ReservationCommitted)) },
			models.ReservationFulfilled: func(id string) {
				s.ok(resolve(id, models.ReservationCommitted))
				s.ok(resolve(id, models.ReservationFulfilled))
			},
			models.ReservationCancelled: func(id string) {
				s.ok(resolve(id, models.ReservationCommitted))
				s.ok(resolve(id, models.ReservationCancelled))
			},
		} {
			whole, partial := reserve(line("mug", 1)), reserve(line("mug", 1), line("cup", 9))
			partial.AllowPartial = true
			for i, w := range []models.Reserve{whole, partial} {
				first := s.do(w)
				id := first.Reservation.ID
				changed := update(id, line("mug", 2), line("cup", 7))
				changed.AllowPartial = true
				second := s.do(changed)
				require.Len(t, first.Errors, i)
				require.Len(t, second.Errors, 1)
				end(id)
				for kind, wanted := range map[string]struct {
					write models.Write
					first models.WriteResult
					path  models.Failure
				}{"reserve": {w, first, path("idempotencyKey")}, "update": {changed, second, path("id")}} {
					want := withoutMessages(t, wanted.first.Errors)
					switch state {
					case models.ReservationExpired, models.ReservationReleased, models.ReservationCancelled:
						want = append(want, models.ReservationNotActiveError{Failure: wanted.path, State: state})
					}
					again := s.do(wanted.write)
					require.True(t, again.Replayed, "%s %s", kind, state)
					require.Equal(t, id, again.Reservation.ID)
					require.Equal(t, state, again.Reservation.State)
					require.ElementsMatch(t, want, withoutMessages(t, again.Errors), "%s %s", kind, state)
				}
				s.do(release(id)) // the cup is free for the next one
			}
		}
		commit := resolve(s.reserved(line("mug", 1)).ID, models.ReservationCommitted)
		s.ok(commit)
		s.ok(resolve(commit.ID, models.ReservationCancelled))
		again := s.ok(commit)
		require.True(t, again.Replayed)
		require.Equal(t, models.ReservationCancelled, again.Reservation.State)
	})
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

// NotAfter does not keep a reservation from being decided optimistically, unless it is
// about to pass. The database refuses a batch with a key that may not be used any more,
// and only that key is refused under lock.
func TestOptimisticBatchWithNotAfter(t *testing.T) {
	for name, contended := range map[string]bool{"compare-and-set": false, "conditional decrement": true} {
		t.Run(name, func(t *testing.T) {
			onPostgres(t, func(t *testing.T, s *shop) {
				if contended {
					s.LongContention()
					s.ExpectContention("cup")
				}
				soon := time.Now().Add(500 * time.Millisecond)
				s.notOptimistic(notAfter(reserve(line("cup", 1)), soon))
				s.notOptimistic(notAfter(reserve(line("cup", 1)), soon.Add(-time.Hour)))
				_, err := s.optimistic(notAfter(reserve(line("cup", 1)), time.Now().Add(time.Hour)), reserve(line("cup", 1)),
					notAfter(reserve(line("cup", 1)), time.Now().Add(time.Minute))).Commit(t.Context())
				require.NoError(t, err)

				// The clock of the instance is behind that of the database: the batch has a key whose time is over there.
				late := s.NewOptimisticBatch()
				require.True(t, late.Add(s.Prepare(reserve(line("cup", 1)))))
				late.NotAfter = new(time.Now().Add(-time.Hour))
				late.Close()
				s.commitRefused(late)
				require.Equal(t, models.Quantities{Available: 7, Reserved: 3}, s.level("cup", "north"))
			})
		})
	}
}

// A batch that the database refuses because one key may not be used any more is decided
// under lock: that write is refused, the others succeed.
func TestOneWriteOfABatchIsTooLate(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("cup", "north", 10)
		s.ok(reserve(line("cup", 1)))
		late := notAfter(reserve(line("cup", 1)), time.Now().Add(-time.Second))
		b := s.Begin()
		for _, w := range []models.Write{reserve(line("cup", 1)), late, reserve(line("cup", 1))} {
			if !b.Add(s.Prepare(w)) { // an optimistic batch does not take the late one: it has the next batch
				s.commit(b)
				b = s.begun(w)
			}
		}
		refused := 0
		for _, r := range b.Commit(t.Context()).Results {
			if len(r.Errors) > 0 {
				s.fails(r, models.IdempotencyError{Failure: path("notAfter"), Cause: models.ErrorNotAfterPassed})
				refused++
			}
		}
		require.Equal(t, 1, refused)
		require.Equal(t, models.Quantities{Available: 7, Reserved: 3}, s.level("cup", "north"))
	})
}
