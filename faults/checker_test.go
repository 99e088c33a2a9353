package faults

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPlantedRaceIsFound tests the checkers themselves: two copies of a server that reads levels without locking them
// lose updates. What is on hand still adds up at the end; the history tells.
func TestPlantedRaceIsFound(t *testing.T) {
	s := Open(t, Plan{Short: true, Variant: PlantedRace, Opening: map[string]int{"cup": 500}, Shoppers: -1, Subscribers: -1})
	load := s.Load()
	load.More(400)
	load.Stop()
	assert.Empty(t, s.EndTotals(), "end totals are expected to miss the race")
	operations, err := s.Explained()
	require.NoError(t, err)
	illegal, err := Linearizable(s.plan.Opening, operations)
	require.NoError(t, err)
	require.Contains(t, illegal, "cup", "the race was not found in %d operations", len(operations))
	shown, err := os.ReadFile(illegal["cup"])
	require.NoError(t, err)
	assert.Contains(t, string(shown), "customer", "the file that shows the history")
	require.NoError(t, os.Remove(illegal["cup"]))
}

// TestModel: the rules of the history check, each with an answer that fits and one that does not.
func TestModel(t *testing.T) {
	t.Parallel()
	hold := func(n, units int, call, back int64, done bool, short map[string]int) Operation {
		return Operation{Kind: Hold, Hold: n, Lines: map[string]int{"cup": units}, Call: call, Return: back, Done: done, Short: short}
	}
	end := func(kind Kind, n, units int, call, back int64, done bool, state string) Operation {
		return Operation{Kind: kind, Hold: n, Lines: map[string]int{"cup": units}, Call: call, Return: back, Done: done, State: state}
	}
	expire := func(call, back int64, holds ...int) Operation {
		return Operation{Kind: Expire, Ended: map[string][]int{"cup": holds}, Call: call, Return: back, Done: true}
	}
	read := func(available, reserved, committed int, call, back int64) Operation {
		return Operation{Kind: Read, Done: true, Seen: map[string]Shelf{"cup": {available, reserved, committed}}, Call: call, Return: back}
	}
	for name, c := range map[string]struct {
		legal   bool
		history []Operation
	}{
		"hold, order, read":             {true, []Operation{hold(1, 3, 1, 2, true, nil), end(Commit, 1, 3, 3, 4, true, ""), read(7, 0, 3, 5, 6)}},
		"a lost update":                 {false, []Operation{hold(1, 3, 1, 4, true, nil), hold(2, 2, 2, 3, true, nil), read(7, 3, 0, 5, 6)}},
		"sold twice":                    {false, []Operation{hold(1, 6, 1, 4, true, nil), hold(2, 6, 2, 3, true, nil)}},
		"short of what there is":        {true, []Operation{hold(1, 6, 1, 2, true, nil), hold(2, 6, 3, 4, false, map[string]int{"cup": 4})}},
		"short, and the number is old":  {false, []Operation{hold(1, 6, 1, 2, true, nil), hold(2, 6, 3, 4, false, map[string]int{"cup": 5})}},
		"refused although there is":     {false, []Operation{hold(1, 6, 1, 2, false, map[string]int{"cup": 5})}},
		"refused for another product":   {true, []Operation{hold(1, 6, 1, 2, false, map[string]int{"mug": 0}), read(10, 0, 0, 3, 4)}},
		"refused, but not all told":     {false, []Operation{hold(1, 11, 1, 2, false, map[string]int{"mug": 0})}},
		"read before it was":            {false, []Operation{read(7, 3, 0, 1, 2), hold(1, 3, 3, 4, true, nil)}},
		"read too late":                 {false, []Operation{hold(1, 3, 1, 2, true, nil), read(10, 0, 0, 3, 4)}},
		"read meanwhile, either way":    {true, []Operation{hold(1, 3, 1, 9, true, nil), read(10, 0, 0, 2, 3), read(7, 3, 0, 4, 5)}},
		"ordered twice":                 {false, []Operation{hold(1, 3, 1, 2, true, nil), end(Commit, 1, 3, 3, 4, true, ""), end(Commit, 1, 3, 5, 6, true, "")}},
		"ordered and expired":           {false, []Operation{hold(1, 3, 1, 2, true, nil), end(Commit, 1, 3, 3, 4, true, ""), expire(3, 9, 1)}},
		"expired, and free again":       {true, []Operation{hold(1, 10, 1, 2, true, nil), expire(3, 9, 1), hold(2, 10, 4, 5, true, nil)}},
		"expired together":              {true, []Operation{hold(1, 4, 1, 2, true, nil), hold(2, 4, 1, 2, true, nil), expire(3, 4, 2, 1), read(10, 0, 0, 5, 6)}},
		"expired in part":               {false, []Operation{hold(1, 4, 1, 2, true, nil), hold(2, 4, 1, 2, true, nil), expire(3, 9, 2, 1), read(6, 4, 0, 5, 6)}},
		"order refused, for it expired": {true, []Operation{hold(1, 3, 1, 2, true, nil), end(Commit, 1, 3, 3, 4, false, stateExpired)}},
		"order refused without cause":   {false, []Operation{hold(1, 3, 1, 2, true, nil), end(Commit, 1, 3, 3, 4, false, stateReleased)}},
		"extended after its release":    {false, []Operation{hold(1, 3, 1, 2, true, nil), end(Release, 1, 3, 3, 4, true, ""), end(Extend, 1, 3, 5, 6, true, "")}},
		"pending, and it happened":      {true, []Operation{hold(1, 3, 1, never, false, nil), read(7, 3, 0, 5, 6)}},
		"pending, and it did not":       {true, []Operation{hold(1, 3, 1, never, false, nil), read(10, 0, 0, 5, 6)}},
		"pending, there and gone again": {false, []Operation{hold(1, 3, 1, never, false, nil), read(7, 3, 0, 5, 6), read(10, 0, 0, 7, 8)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			illegal, err := Linearizable(map[string]int{"cup": 10}, c.history)
			require.NoError(t, err)
			assert.Equal(t, c.legal, len(illegal) == 0)
			for _, file := range illegal {
				assert.NoError(t, os.Remove(file))
			}
		})
	}
}

// TestOrderOfEvents: the validator of subscribers' promise, with streams that keep and break it.
func TestOrderOfEvents(t *testing.T) {
	t.Parallel()
	event := func(session int, version int64) Event {
		return Event{Session: session, ProductID: "cup", Version: version}
	}
	for name, c := range map[string]struct {
		right  bool
		events []Event
	}{
		"ever newer":                            {true, []Event{event(1, 1), event(1, 2), event(1, 5)}},
		"the same twice":                        {false, []Event{event(1, 2), event(1, 2)}},
		"backwards":                             {false, []Event{event(1, 2), event(1, 1)}},
		"the same again after connecting again": {true, []Event{event(1, 2), event(2, 2), event(2, 3)}},
		"older after connecting again":          {false, []Event{event(1, 2), event(2, 1)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.right, len((&Subscriber{events: c.events}).order()) == 0)
		})
	}
}
