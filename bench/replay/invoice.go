package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"onhand/bench/loadgen"
	"onhand/models"
	"onhand/store/stockfile"
)

// sender sends invoices to the server and adds up what was acknowledged. All goroutines share one.
type sender struct {
	client   *retryingClient
	run      string // prefix of every idempotency key
	location string // where returns and write-offs happen
	expected *expectedStock
	tally    *tally
}

// invoice sends one invoice. One with more lines than a call may have goes in parts, each with a key of its own; the
// invoice then ends as its worst part.
func (s *sender) invoice(ctx context.Context, invoice stockfile.Invoice) invoiceOutcome {
	send, linesMax := s.sell, models.ReservationLinesMax
	if invoice.Kind != stockfile.Sale {
		send, linesMax = s.adjust, models.StockRowsMax
	}
	if len(invoice.Lines) > linesMax {
		s.tally.split.Add(1)
	}
	worst, part := done, 0
	for lines := range slices.Chunk(invoice.Lines, linesMax) {
		part++
		outcome := send(ctx, invoice, fmt.Sprintf("%s/%s/%d", s.run, invoice.Number, part), lines)
		if outcome == done {
			s.expected.add(invoice.Kind, lines)
		}
		worst = max(worst, outcome)
	}
	return worst
}

// sell reserves the lines and commits the reservation.
func (s *sender) sell(ctx context.Context, invoice stockfile.Invoice, key string, lines []stockfile.InvoiceLine) invoiceOutcome {
	wanted := make([]map[string]any, len(lines))
	for i, line := range lines {
		wanted[i] = map[string]any{"productId": line.ProductID, "quantity": line.Units}
	}
	reserved, err := s.mutate(ctx, &s.tally.reserve, reserveDocument, map[string]any{
		"idempotencyKey": key + "/reserve", "lines": wanted, "ownerRef": invoice.CustomerID,
	})
	if outcome := s.judge("reserve", reserved, err); outcome != done {
		return outcome
	}
	if reserved.Reservation == nil {
		return s.contradiction("reserve", "no reservation and no error")
	}
	committed, err := s.mutate(ctx, &s.tally.commit, commitDocument, map[string]any{
		"idempotencyKey": key + "/commit", "id": reserved.Reservation.ID, "orderRef": invoice.Number,
	})
	if outcome := s.judge("commit", committed, err); outcome != done {
		return outcome
	}
	if committed.Reservation == nil || committed.Reservation.State != string(models.ReservationCommitted) {
		return s.contradiction("commit", "the reservation is not committed")
	}
	return done
}

// adjust puts returned units back, or takes away what was written off.
func (s *sender) adjust(ctx context.Context, invoice stockfile.Invoice, key string, lines []stockfile.InvoiceLine) invoiceOutcome {
	sign, reason := 1, models.ReasonReturned
	if invoice.Kind == stockfile.Adjustment {
		sign, reason = -1, models.ReasonShrinkage
	}
	rows := make([]map[string]any, len(lines))
	for i, line := range lines {
		rows[i] = map[string]any{
			"productId": line.ProductID, "locationId": s.location, "state": models.Available, "delta": sign * line.Units,
		}
	}
	adjusted, err := s.mutate(ctx, &s.tally.adjust, adjustDocument, map[string]any{
		"idempotencyKey": key + "/adjust", "rows": rows, "reason": reason, "referenceDocumentUri": invoice.Number,
	})
	return s.judge("adjust", adjusted, err)
}

// mutate is one timed write. The time is that of a customer: from the first attempt to the answer.
func (s *sender) mutate(ctx context.Context, h *loadgen.Histogram, document string, input map[string]any) (mutationAnswer, error) {
	start := time.Now()
	got, err := s.client.mutate(ctx, document, input)
	took := time.Since(start)
	h.Add(took)
	s.tally.recent.Add(took)
	if got.Replayed {
		s.tally.replayed.Add(1)
	}
	return got, err
}

// judge reports how a call ended, and counts what went wrong. A shortage is no error: the file has some.
func (s *sender) judge(call string, got mutationAnswer, err error) invoiceOutcome {
	if err != nil {
		var failed *callError
		if !errors.As(err, &failed) {
			failed = &callError{kind: "program"}
		}
		s.tally.errors.add(call+": "+failed.kind, 1)
		if failed.refused {
			return refused
		}
		return unknown
	}
	outcome := done
	for _, f := range got.Errors {
		switch {
		case f.Type == "InsufficientStockError":
			outcome = max(outcome, short)
		case f.Type == "IdempotencyError":
			s.tally.errors.add(call+": "+f.Code, 1)
			outcome = max(outcome, unknown)
		default:
			s.tally.errors.add(call+": "+f.Type, 1)
			outcome = max(outcome, refused)
		}
	}
	return outcome
}

// contradiction counts an answer that the schema allows and that makes no sense.
func (s *sender) contradiction(call, what string) invoiceOutcome {
	s.tally.errors.add(call+": "+what, 1)
	return unknown
}
