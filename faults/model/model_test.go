package model

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRules: each rule with an answer that fits and one that does not.
func TestRules(t *testing.T) {
	t.Parallel()
	reserve := func(n, units int, call, back int64, done bool, short map[string]int) Operation {
		return Operation{Kind: Reserve, Cart: n, Lines: map[string]int{"cup": units}, Call: call, Return: back, Done: done, Short: short}
	}
	end := func(kind Kind, n, units int, call, back int64, done bool, state string) Operation {
		return Operation{Kind: kind, Cart: n, Lines: map[string]int{"cup": units}, Call: call, Return: back, Done: done, State: state}
	}
	expire := func(call, back int64, carts ...int) Operation {
		return Operation{Kind: Expire, Ended: map[string][]int{"cup": carts}, Call: call, Return: back, Done: true}
	}
	read := func(available, reserved, committed int, call, back int64) Operation {
		return Operation{Kind: Read, Done: true, Seen: map[string]StateCounts{"cup": {available, reserved, committed}}, Call: call, Return: back}
	}
	for name, c := range map[string]struct {
		legal   bool
		history []Operation
	}{
		"reserved, committed, read":      {true, []Operation{reserve(1, 3, 1, 2, true, nil), end(Commit, 1, 3, 3, 4, true, ""), read(7, 0, 3, 5, 6)}},
		"a lost update":                  {false, []Operation{reserve(1, 3, 1, 4, true, nil), reserve(2, 2, 2, 3, true, nil), read(7, 3, 0, 5, 6)}},
		"sold twice":                     {false, []Operation{reserve(1, 6, 1, 4, true, nil), reserve(2, 6, 2, 3, true, nil)}},
		"short of what there is":         {true, []Operation{reserve(1, 6, 1, 2, true, nil), reserve(2, 6, 3, 4, false, map[string]int{"cup": 4})}},
		"short, and the number is old":   {false, []Operation{reserve(1, 6, 1, 2, true, nil), reserve(2, 6, 3, 4, false, map[string]int{"cup": 5})}},
		"refused although there is":      {false, []Operation{reserve(1, 6, 1, 2, false, map[string]int{"cup": 5})}},
		"refused for another product":    {true, []Operation{reserve(1, 6, 1, 2, false, map[string]int{"mug": 0}), read(10, 0, 0, 3, 4)}},
		"refused, but not for all":       {false, []Operation{reserve(1, 11, 1, 2, false, map[string]int{"mug": 0})}},
		"read before it was":             {false, []Operation{read(7, 3, 0, 1, 2), reserve(1, 3, 3, 4, true, nil)}},
		"read too late":                  {false, []Operation{reserve(1, 3, 1, 2, true, nil), read(10, 0, 0, 3, 4)}},
		"read meanwhile, either way":     {true, []Operation{reserve(1, 3, 1, 9, true, nil), read(10, 0, 0, 2, 3), read(7, 3, 0, 4, 5)}},
		"committed twice":                {false, []Operation{reserve(1, 3, 1, 2, true, nil), end(Commit, 1, 3, 3, 4, true, ""), end(Commit, 1, 3, 5, 6, true, "")}},
		"committed and expired":          {false, []Operation{reserve(1, 3, 1, 2, true, nil), end(Commit, 1, 3, 3, 4, true, ""), expire(3, 9, 1)}},
		"expired, and available again":   {true, []Operation{reserve(1, 10, 1, 2, true, nil), expire(3, 9, 1), reserve(2, 10, 4, 5, true, nil)}},
		"expired together":               {true, []Operation{reserve(1, 4, 1, 2, true, nil), reserve(2, 4, 1, 2, true, nil), expire(3, 4, 2, 1), read(10, 0, 0, 5, 6)}},
		"expired in part":                {false, []Operation{reserve(1, 4, 1, 2, true, nil), reserve(2, 4, 1, 2, true, nil), expire(3, 9, 2, 1), read(6, 4, 0, 5, 6)}},
		"commit refused, it has expired": {true, []Operation{reserve(1, 3, 1, 2, true, nil), end(Commit, 1, 3, 3, 4, false, StateExpired)}},
		"commit refused without cause":   {false, []Operation{reserve(1, 3, 1, 2, true, nil), end(Commit, 1, 3, 3, 4, false, StateReleased)}},
		"extended after its release":     {false, []Operation{reserve(1, 3, 1, 2, true, nil), end(Release, 1, 3, 3, 4, true, ""), end(Extend, 1, 3, 5, 6, true, "")}},
		"pending, and it happened":       {true, []Operation{reserve(1, 3, 1, Never, false, nil), read(7, 3, 0, 5, 6)}},
		"pending, and it did not":        {true, []Operation{reserve(1, 3, 1, Never, false, nil), read(10, 0, 0, 5, 6)}},
		"pending, there and gone again":  {false, []Operation{reserve(1, 3, 1, Never, false, nil), read(7, 3, 0, 5, 6), read(10, 0, 0, 7, 8)}},
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

// TestCartOf: an owner of other programs is no cart.
func TestCartOf(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 17, CartOf(Cart{Number: 17}.Owner()))
	for _, other := range []string{"", "17", "cart-", "cart-x", "shop-17"} {
		assert.Zero(t, CartOf(other), other)
	}
}

// TestHistoryIsTruncated: what came after a position is gone, and numbers of carts are not used again.
func TestHistoryIsTruncated(t *testing.T) {
	t.Parallel()
	h := NewHistory()
	h.Record(Operation{Cart: h.NewCart(nil).Number})
	at := h.Position()
	h.Record(Operation{Cart: h.NewCart(nil).Number})
	h.Acknowledge(Acknowledged{Answer: "a"})
	h.Truncate(at)
	assert.Len(t, h.Operations(), 1)
	assert.Empty(t, h.Acknowledged())
	assert.Equal(t, 3, h.NewCart(nil).Number)
	h.Truncate(Position{})
	assert.Empty(t, h.Operations())
}
