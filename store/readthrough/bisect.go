package readthrough

import (
	"context"

	"onhand/models"
	"onhand/models/poison"
	"onhand/store/database"
)

// selectsMax bounds the SELECTs of one bisection. It suffices to find about six
// poison rows among a thousand products. Products that were not reached by then
// are reported as unreadable this time.
const selectsMax = 64

// errEpochChanged: two halves of one batch were read in two epochs.
var errEpochChanged = models.Unavailable("the database is being replaced; try again", nil)

// StockSource reads products from the database with one SELECT.
type StockSource interface {
	ReadStocks(ctx context.Context, ids []string) (database.Reading, error)
}

// EpochComparer knows the epoch that the database is in.
type EpochComparer interface {
	// Epoch is empty until the database was reached.
	Epoch() string
	// Compare starts an epoch check where an epoch, just read from the database, is
	// not the current one.
	Compare(epoch string)
}

// Bisector reads products from the database past poison rows. It is safe for
// concurrent use.
type Bisector struct {
	source StockSource
	epochs EpochComparer
}

// NewBisector makes a Bisector.
func NewBisector(source StockSource, epochs EpochComparer) *Bisector {
	return &Bisector{source: source, epochs: epochs}
}

// Read reads products with one SELECT. If that fails because of a poison row (the
// tables are open to every client of the database), it bisects: unreadable has
// the products that cannot be read, and the reading has all others.
func (b *Bisector) Read(ctx context.Context, ids []string) (reading database.Reading, unreadable map[string]error, err error) {
	parts := [][]string{ids}
	var cause error // of the last part that could not be read
	for selects := 0; len(parts) > 0; selects++ {
		part := parts[0]
		parts = parts[1:]
		if selects < selectsMax {
			read, err := b.source.ReadStocks(ctx, part)
			if err == nil {
				if reading.Epoch != "" && read.Epoch != reading.Epoch {
					return database.Reading{}, nil, errEpochChanged
				}
				reading.Epoch = read.Epoch
				reading.Stocks = append(reading.Stocks, read.Stocks...)
				continue
			}
			if models.CodeOf(err) != models.CodeInternal {
				return database.Reading{}, nil, err
			}
			cause = err
		}
		if half := len(part) / 2; half > 0 && selects < selectsMax {
			parts = append(parts, part[:half], part[half:])
			continue
		}
		for _, id := range part {
			unreadable = withCause(unreadable, id, cause)
		}
	}
	b.epochs.Compare(reading.Epoch)
	return reading, unreadable, nil
}

// Stocks is Read for the relay, which repairs Redis and so does not ask it.
//
// Errors: UNAVAILABLE; a *poison.RowsError beside the other products.
func (b *Bisector) Stocks(ctx context.Context, ids []string) ([]*models.Stock, error) {
	reading, unreadable, err := b.Read(ctx, ids)
	if unreadable != nil {
		err = &poison.RowsError{Causes: unreadable}
	}
	return reading.Stocks, err
}

func withCause(causes map[string]error, id string, cause error) map[string]error {
	if causes == nil {
		causes = map[string]error{}
	}
	causes[id] = cause
	return causes
}
