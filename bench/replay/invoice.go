package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"onhand/models"
	"onhand/store/stockfile"
)

// customer sends invoices to the server and keeps the books of what was acknowledged. One serves all goroutines.
type customer struct {
	client   *client
	run      string // prefix of every idempotency key
	location string // where returns and write-offs happen
	books    *books
	tally    *tally
}

// invoice makes one invoice happen. One with more lines than a call may have goes in parts, each by itself; the
// invoice then ends as its worst part.
func (c *customer) invoice(ctx context.Context, invoice stockfile.Invoice) outcome {
	send, linesMax := c.sell, models.ReservationLinesMax
	if invoice.Kind != stockfile.Sale {
		send, linesMax = c.adjust, models.StockRowsMax
	}
	if len(invoice.Lines) > linesMax {
		c.tally.split.Add(1)
	}
	worst, part := settled, 0
	for lines := range slices.Chunk(invoice.Lines, linesMax) {
		part++
		how := send(ctx, invoice, fmt.Sprintf("%s/%s/%d", c.run, invoice.Number, part), lines)
		if how == settled {
			c.books.post(invoice.Kind, lines)
		}
		worst = max(worst, how)
	}
	return worst
}

// sell holds the lines and commits the hold.
func (c *customer) sell(ctx context.Context, invoice stockfile.Invoice, key string, lines []stockfile.InvoiceLine) outcome {
	wanted := make([]map[string]any, len(lines))
	for i, line := range lines {
		wanted[i] = map[string]any{"productId": line.ProductID, "quantity": line.Units}
	}
	held, err := c.mutate(ctx, &c.tally.reserve, reserveDocument, map[string]any{
		"idempotencyKey": key + "/reserve", "lines": wanted, "ownerRef": invoice.CustomerID,
	})
	if how := c.judge("reserve", held, err); how != settled {
		return how
	}
	if held.Reservation == nil {
		return c.strange("reserve", "no reservation and no error")
	}
	ordered, err := c.mutate(ctx, &c.tally.commit, commitDocument, map[string]any{
		"idempotencyKey": key + "/commit", "id": held.Reservation.ID, "orderRef": invoice.Number,
	})
	if how := c.judge("commit", ordered, err); how != settled {
		return how
	}
	if ordered.Reservation == nil || ordered.Reservation.State != string(models.ReservationCommitted) {
		return c.strange("commit", "the reservation is not committed")
	}
	return settled
}

// adjust puts returned units back, or takes what was written off away.
func (c *customer) adjust(ctx context.Context, invoice stockfile.Invoice, key string, lines []stockfile.InvoiceLine) outcome {
	sign, reason := 1, models.ReasonReturned
	if invoice.Kind == stockfile.Adjustment {
		sign, reason = -1, models.ReasonShrinkage
	}
	rows := make([]map[string]any, len(lines))
	for i, line := range lines {
		rows[i] = map[string]any{
			"productId": line.ProductID, "locationId": c.location, "state": models.Available, "delta": sign * line.Units,
		}
	}
	done, err := c.mutate(ctx, &c.tally.adjust, adjustDocument, map[string]any{
		"idempotencyKey": key + "/adjust", "rows": rows, "reason": reason, "referenceDocumentUri": invoice.Number,
	})
	return c.judge("adjust", done, err)
}

// mutate is one timed write. The time is the customer's: from the first attempt to the answer.
func (c *customer) mutate(ctx context.Context, h *histogram, document string, input map[string]any) (answer, error) {
	start := time.Now()
	got, err := c.client.mutate(ctx, document, input)
	took := time.Since(start)
	h.add(took)
	c.tally.lately.add(took)
	if got.Replayed {
		c.tally.replayed.Add(1)
	}
	return got, err
}

// judge tells how a call ended, and counts what went wrong. Shortages are no error: they are half of the point.
func (c *customer) judge(call string, got answer, err error) outcome {
	if err != nil {
		var failed *callError
		if !errors.As(err, &failed) {
			failed = &callError{kind: "program"}
		}
		c.tally.errors.add(call+": "+failed.kind, 1)
		if failed.refused {
			return refused
		}
		return unsettled
	}
	how := settled
	for _, f := range got.Errors {
		switch {
		case f.Type == "InsufficientStockError":
			how = max(how, short)
		case f.Type == "IdempotencyError":
			c.tally.errors.add(call+": "+f.Code, 1)
			how = max(how, unsettled)
		default:
			c.tally.errors.add(call+": "+f.Type, 1)
			how = max(how, refused)
		}
	}
	return how
}

// strange is an answer that the schema allows and sense does not.
func (c *customer) strange(call, what string) outcome {
	c.tally.errors.add(call+": "+what, 1)
	return unsettled
}
