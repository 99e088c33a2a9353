package checker

import (
	"context"
	"time"
)

// CheckDatabase is I2, I4, I5, I11 and the part of I6 that the tables alone show. The tables of a long run take longer.
func (c *Checker) CheckDatabase(limit time.Duration) {
	c.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c.Report("the database", c.DatabaseFaults(ctx, c.Database))
	totals, err := c.EndTotals(ctx, c.Database)
	c.must(err)
	c.Report("I5: on hand = opening + ledger", totals)
}

// DatabaseFaults lists what is wrong in the tables, each with its invariant.
func (c *Checker) DatabaseFaults(ctx context.Context, q Querier) (found []string) {
	for _, check := range []struct{ invariant, statement string }{
		{"I2", belowFloor}, {"I4", reservedByReservations}, {"I5", brokenChain}, {"I5", levelOffLedger},
		{"I6", resolvedTwice}, {"I6", reservedInPart}, {"I11", aboveOwnerLimit},
	} {
		if c.Tolerance.ClockMoved && check.statement == aboveOwnerLimit {
			continue // a reservation may be over at once, and end later
		}
		wrong, err := texts(ctx, q, check.statement)
		if err != nil {
			wrong = append(wrong, err.Error())
		}
		for _, line := range wrong {
			found = append(found, check.invariant+": "+line)
		}
	}
	return found
}

// EndTotals compares what is on hand with the opening stock and the ledger: the obvious check, which a lost update passes.
func (c *Checker) EndTotals(ctx context.Context, q Querier) ([]string, error) {
	openings := make([]int, len(c.Target.Products))
	for i, product := range c.Target.Products {
		openings[i] = c.Opening[product]
	}
	return texts(ctx, q, onHand, c.Target.Products, openings)
}
