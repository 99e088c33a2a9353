package database_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/owner"
)

// holderInput is a call of a holder: it reserves units, or ends a reservation of so many.
type holderInput struct {
	holder owner.Holder
	to     models.ReservationState
	units  int
}

// holderState is what a holder has: active reservations with their units, and ordered units.
type holderState struct{ reservations, units, ordered int }

// The limits of the linearizability test: few() and maxPerOwner.
const linearLimit = 9

// linearHolders is the sequential behaviour of the limits of holders.
var linearHolders = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		byHolder := map[owner.Holder][]porcupine.Operation{}
		for _, o := range history {
			h := o.Input.(holderInput).holder
			byHolder[h] = append(byHolder[h], o)
		}
		for _, part := range byHolder {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return holderState{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, granted := state.(holderState), input.(holderInput), output.(bool)
		switch in.to {
		case models.ReservationActive:
			limits := few()
			most, _ := limits.UnitsOf(in.holder, -1)
			within := s.reservations < limits.ReservationsOf(in.holder) && s.units+in.units <= most && s.units+s.ordered+in.units <= linearLimit
			if granted {
				s.reservations, s.units = s.reservations+1, s.units+in.units
			}
			return granted == within, s
		case models.ReservationCommitted:
			s.ordered += in.units
		case models.ReservationCancelled:
			s.ordered -= in.units
			return granted, s
		}
		s.reservations, s.units = s.reservations-1, s.units-in.units
		return granted, s
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprint(input, output) },
}

// linearSearch bounds the search for an order of the calls.
const linearSearch = time.Minute

// Concurrent callers of a few holders, on two instances: there is an order of all calls in
// which each answer is right. So no reservation is granted above a limit, and none is
// refused below it.
func TestHoldersAreLinearizable(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 100_000)
		s.settings("mug", perOwner(linearLimit))
		databases := instances(t, s)
		turns := make([]sync.Mutex, len(databases)) // one batch at a time is open, as in group commit
		for _, db := range databases {
			db.SetHolderLimits(few())
			require.NoError(t, db.Preload(t.Context()))
		}
		holders := []owner.Holder{alice, bob, owner.OfOwnerRef("carol")}
		var mu sync.Mutex
		var history []porcupine.Operation
		began := time.Now()
		var group sync.WaitGroup
		for client := range 12 {
			db := client % len(databases)
			call := func(in holderInput, w models.Write) (out models.WriteResult, ok bool) {
				start := time.Since(began)
				turns[db].Lock()
				out, err := commitOne(databases[db], w)
				turns[db].Unlock()
				ended := time.Since(began)
				if !assert.NoError(t, err) || !assert.NoError(t, out.Fault) {
					return out, false
				}
				mu.Lock()
				defer mu.Unlock()
				history = append(history, porcupine.Operation{ClientId: client, Input: in, Call: int64(start), Output: len(out.Errors) == 0, Return: int64(ended)})
				return out, true
			}
			group.Go(func() { holderCalls(call, holders[client/2%len(holders)]) })
		}
		group.Wait()
		require.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(linearHolders, history, linearSearch))
		s.checkHoldings()
	})
}

// holderCalls reserves, releases, orders and cancels as one client of a holder.
func holderCalls(call func(holderInput, models.Write) (models.WriteResult, bool), h owner.Holder) {
	type mine struct {
		id    string
		units int
		state models.ReservationState
	}
	var list []mine
	for range 30 {
		if len(list) == 0 || rand.IntN(2) == 0 {
			n := 1 + rand.IntN(3)
			out, ok := call(holderInput{h, models.ReservationActive, n}, by(h, line("mug", n)))
			if !ok {
				return
			}
			if len(out.Errors) == 0 {
				list = append(list, mine{out.Reservation.ID, n, models.ReservationActive})
			}
			continue
		}
		i := rand.IntN(len(list))
		r, to := &list[i], models.ReservationReleased
		switch {
		case r.state == models.ReservationCommitted:
			to = models.ReservationCancelled
		case rand.IntN(2) == 0:
			to = models.ReservationCommitted
		}
		w := resolve(r.id, to)
		w.Access.Orders = true
		if _, ok := call(holderInput{h, to, r.units}, w); !ok {
			return
		}
		if r.state = to; to != models.ReservationCommitted {
			list = append(list[:i], list[i+1:]...)
		}
	}
}
