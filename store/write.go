package store

import (
	"context"

	"onhand/models"
	"onhand/store/readthrough"
	"onhand/tracing"
)

// Write decides one write and answers after its commit. Failures that a person
// can act on are in the result; the error is a fault.
//
// Errors: UNAVAILABLE when the database does not answer in time. The same
// idempotency key may then be sent again: it takes effect once.
func (s *Store) Write(ctx context.Context, write models.Write) (result models.WriteResult, err error) {
	defer func() { s.metrics.wrote(write, result, err) }()
	ctx, span := tracing.Start(ctx, "write")
	if span.Recorded() {
		span.Text("onhand.write", writeName(write))
		defer span.End()
	}
	if w, ok := write.(models.Reserve); ok {
		w.DefaultTTL = s.config.ReservationTTL
		write = w
	}
	if errs := write.Check(s.config.ReservationTTLMax); len(errs) > 0 {
		return models.WriteResult{Errors: errs}, nil
	}
	before := s.directory.Directory()
	result, err = s.writes.Submit(ctx, write)
	if err != nil {
		return models.WriteResult{}, err
	}
	if len(result.Locations)+len(result.Channels) > 0 {
		s.directoryChanged(context.WithoutCancel(ctx), before)
	}
	err = s.fillReplayed(ctx, &result)
	result.Stocks = s.placed(result.Stocks)
	return result, err
}

// directoryChanged brings changed locations and channels to this instance, because the
// client that wrote them must find them, and tells the others. An instance that misses
// the message finds the change with its next epoch check.
//
// A location that opens or closes changes every product there, which the relay brings to
// Redis. Until then this instance reads them from the database.
func (s *Store) directoryChanged(ctx context.Context, before *models.Directory) {
	s.directory.Reload(ctx)
	if levelsChanged(before, s.directory.Directory()) {
		s.near.BypassAll(readthrough.BypassDuration)
	}
	if err := s.cache.PublishDirectory(ctx); err != nil {
		s.log.Debug("a change of locations or channels was not published", "error", err)
	}
}

// levelsChanged reports whether a location shows in its levels that it has changed. A new
// one has none.
func levelsChanged(before, now *models.Directory) bool {
	for _, is := range now.Locations {
		if was, known := before.Location(is.LocationID); known && (was.Active != is.Active || was.Priority != is.Priority) {
			return true
		}
	}
	return false
}

// fillReplayed reads the stocks that a replayed answer only names.
func (s *Store) fillReplayed(ctx context.Context, result *models.WriteResult) error {
	if !result.Replayed || len(result.Stocks) == 0 {
		return nil
	}
	ids := make([]string, len(result.Stocks))
	for i, stock := range result.Stocks {
		ids[i] = stock.ProductID
	}
	found, err := s.reader.Fresh(ctx, ids)
	if err != nil {
		return err
	}
	result.Stocks = result.Stocks[:0]
	for _, stock := range found {
		if stock != nil {
			result.Stocks = append(result.Stocks, stock)
		}
	}
	return nil
}
