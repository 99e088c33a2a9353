package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"onhand/models"
	"onhand/store/stockfile"
)

const (
	// queuePerCustomer is how many invoices may wait for each customer: enough to keep all busy, few enough that the order
	// of the file is nearly kept.
	queuePerCustomer = 2
	// unknownMax is after how many invoices without an outcome the run ends: the server does not come back.
	unknownMax = 100
	// progressEvery is how often a line of progress is printed.
	progressEvery = time.Second
)

var (
	errLimit  = errors.New("the limit is reached")
	errGiveUp = fmt.Errorf("more than %d invoices have no outcome; is the server gone?", unknownMax)
)

// Replay reads the file, sends its invoices, and audits the result. It always returns what it counted; the error says
// why the run is not a success. Cancelling ctx ends the run early: what is in flight is finished, then audited.
func Replay(ctx context.Context, config Config, out io.Writer) (Report, error) {
	rows, summary, err := readOpening(config)
	if err != nil {
		return Report{}, err
	}
	if config.Run == "" {
		config.Run = strings.ToLower(rand.Text()[:12])
	}
	t, expected := newTally(), newExpectedStock(rows)
	c := newRetryingClient(config.URL, config.Token, config.Customers, config.RetryFor, t.retries)
	defer c.close()
	if err := c.query(ctx, `{ __typename }`, nil, &struct{}{}, nil); err != nil {
		return Report{}, fmt.Errorf("%s does not answer: %w", config.URL, err)
	}
	_, _ = fmt.Fprintf(out, "run %s: %d lines, %d products, opening stock %d units (%s)\n",
		config.Run, summary.Lines, summary.Products, summary.OpeningUnits, config.Opening)
	started := time.Now()
	s := &sender{client: c, run: config.Run, location: config.Location, expected: expected, tally: t}
	stop := startProgress(out, t, started)
	sendErr := sendAll(ctx, config, s)
	stop()
	report := newReport(config, s, started, time.Since(started))
	// The audit also runs after Ctrl-C: it has bounds of its own.
	report.Audit, err = audit(context.WithoutCancel(ctx), config, c, expected)
	if sendErr == nil && ctx.Err() != nil {
		sendErr = errors.New("interrupted")
	}
	return report, errors.Join(sendErr, err, report.verdict())
}

// readOpening computes the stock there must have been at the start, and so finds a broken file before the first call.
func readOpening(config Config) ([]models.OpeningRow, stockfile.Summary, error) {
	f, err := os.Open(config.File)
	if err != nil {
		return nil, stockfile.Summary{}, err
	}
	defer func() { _ = f.Close() }() // only read
	rows, summary, err := stockfile.ReadOnlineRetail(f, config.Opening)
	if err != nil {
		return nil, summary, fmt.Errorf("%s: %w", config.File, err)
	}
	return rows, summary, nil
}

// sendAll gives the invoices, in the order of time, to customers that work concurrently, and waits for all of them.
func sendAll(ctx context.Context, config Config, s *sender) error {
	f, err := os.Open(config.File)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	queue := make(chan stockfile.Invoice, queuePerCustomer*config.Customers)
	var customers sync.WaitGroup
	for range config.Customers {
		customers.Go(func() {
			for invoice := range queue {
				start := time.Now()
				// What is in flight is finished whatever happens: without its outcome nothing could be audited.
				outcome := s.invoice(context.WithoutCancel(ctx), invoice)
				s.tally.finish(invoice, outcome, time.Since(start))
				if s.tally.unknown.Load() > unknownMax {
					giveUp(errGiveUp)
				}
			}
		})
	}
	err = dispatch(ctx, config, f, queue, s.tally)
	close(queue)
	customers.Wait()
	if errors.Is(context.Cause(ctx), errGiveUp) {
		return errGiveUp
	}
	if errors.Is(err, context.Canceled) {
		return nil // the caller cancelled it
	}
	return err
}

// dispatch reads the file into the queue: as fast as the customers take it, or by the file's own clock, accelerated.
func dispatch(ctx context.Context, config Config, file io.Reader, queue chan<- stockfile.Invoice, t *tally) error {
	sent, start := 0, time.Now()
	var first time.Time
	err := stockfile.ReadInvoices(file, func(invoice stockfile.Invoice) error {
		if config.Limit > 0 && sent == config.Limit {
			return errLimit
		}
		if sent == 0 {
			first = invoice.Time
		}
		sent++
		if config.Speed > 0 {
			due := start.Add(time.Duration(float64(invoice.Time.Sub(first)) / config.Speed))
			if err := waitUntil(ctx, due); err != nil {
				return err
			}
			defer func() { t.lagged(time.Since(due)) }()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case queue <- invoice:
			return nil
		}
	})
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

// waitUntil waits for a moment, or for the end of the run.
func waitUntil(ctx context.Context, due time.Time) error {
	wait := time.NewTimer(time.Until(due))
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
		return nil
	}
}
