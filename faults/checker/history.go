package checker

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/faults/model"
)

// expiryCommit is how long after the moment in the ledger the transaction of an expiry may commit.
const expiryCommit = time.Second

// CheckHistory is I1: the history is linearizable.
func (c *Checker) CheckHistory() {
	c.T.Helper()
	operations, err := c.Operations()
	c.must(err)
	began := time.Now()
	illegal, err := model.Linearizable(c.Opening, operations)
	if err != nil {
		c.T.Errorf("I1: %v", err)
	}
	for _, product := range slices.Sorted(maps.Keys(illegal)) {
		c.T.Errorf("I1: no order explains the answers about %s; open %s in a browser", product, illegal[product])
	}
	pending := 0
	for _, o := range operations {
		if o.Pending() {
			pending++
		}
	}
	c.T.Logf("history: %d operations, %d of them pending, checked in %s", len(operations), pending, time.Since(began).Round(time.Millisecond))
	if len(operations) == 0 {
		c.T.Error("I1: an empty history proves nothing")
	}
}

// Operations are those of the history that may have taken effect or were refused, and the expiries that the ledger has:
// those of one transaction together, at the moment that the ledger names, or a little later, when it committed.
func (c *Checker) Operations() ([]model.Operation, error) {
	ctx, cancel := reading()
	defer cancel()
	operations, err := c.withoutEffectless(ctx, c.Target.History.Operations())
	if err != nil {
		return nil, err
	}
	rows, err := c.Database.Query(ctx, selectExpiries)
	if err != nil {
		return nil, err
	}
	history, last := c.Target.History, int64(0)
	var ended *model.Operation
	var transaction int64
	var product, owner string
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&transaction, &product, &owner, &at}, func() error {
		cart := model.CartOf(owner)
		if cart == 0 {
			return nil
		}
		if ended == nil || transaction != last {
			resolved := c.onOurClock(at)
			o := model.Operation{Kind: model.Expire, Ended: map[string][]int{}, Done: true, Call: history.At(resolved)}
			o.Return = o.Call + c.Outages.late(resolved, expiryCommit).Nanoseconds()
			operations, last = append(operations, o), transaction
			ended = &operations[len(operations)-1]
		}
		ended.Ended[product] = append(ended.Ended[product], cart)
		return nil
	})
	return operations, err
}

// withoutEffectless leaves out pending reservations that the database does not have: they never took effect, and each
// would double the orders to search. No attempt is on its way any more, and no reservation is ever deleted.
func (c *Checker) withoutEffectless(ctx context.Context, operations []model.Operation) ([]model.Operation, error) {
	owners, err := texts(ctx, c.Database, selectOwners)
	if err != nil {
		return nil, err
	}
	made := map[int]bool{}
	for _, owner := range owners {
		made[model.CartOf(owner)] = true
	}
	return slices.DeleteFunc(operations, func(o model.Operation) bool {
		return o.Kind == model.Reserve && o.Pending() && !made[o.Cart]
	}), nil
}

// onOurClock is a moment of the database on our clock: with the offset that puts it into the scenario.
func (c *Checker) onOurClock(moment time.Time) time.Time {
	for _, offset := range c.Tolerance.ClockOffsets {
		if at := moment.Add(-offset); at.After(c.Target.History.Began()) && at.Before(time.Now()) {
			return at
		}
	}
	return moment
}
