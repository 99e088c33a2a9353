package store

import (
	"context"

	"onhand/models"
	"onhand/store/database"
)

// apartMax bounds the SELECTs that look for broken rows in one batch: enough to
// find some six among a thousand products. What was not reached by then counts
// as broken this time.
const apartMax = 64

// readStock is the answer for one product: neither where it is unknown.
type readStock struct {
	stock *models.Stock
	err   error
}

// errUnsettled: halves of one batch were read in two histories.
var errUnsettled = models.Unavailable("the database is being replaced; try again", nil)

// readApart reads products with one SELECT. Should some row hold what we cannot
// read (the tables are open to everybody), it reads in halves until it knows
// which products are broken, and answers all others.
func (s *Store) readApart(ctx context.Context, ids []string) (read database.Reading, broken map[string]error, err error) {
	return s.readApartWith(ctx, ids, s.database.ReadStocks)
}

func (s *Store) readApartWith(ctx context.Context, ids []string, readStocks func(context.Context, []string) (database.Reading, error)) (read database.Reading, broken map[string]error, err error) {
	parts := [][]string{ids}
	var cause error // of the last part that could not be read
	for selects := 0; len(parts) > 0; selects++ {
		part := parts[0]
		parts = parts[1:]
		if selects < apartMax {
			some, err := readStocks(ctx, part)
			if err == nil {
				if read.Epoch != "" && some.Epoch != read.Epoch {
					return database.Reading{}, nil, errUnsettled
				}
				read.Epoch = some.Epoch
				read.Stocks = append(read.Stocks, some.Stocks...)
				continue
			}
			if models.CodeOf(err) != models.CodeInternal {
				return database.Reading{}, nil, err
			}
			cause = err
		}
		if half := len(part) / 2; half > 0 && selects < apartMax {
			parts = append(parts, part[:half], part[half:])
			continue
		}
		for _, id := range part {
			broken = withCause(broken, id, cause)
		}
	}
	s.compare(read.Epoch)
	return read, broken, nil
}

func withCause(causes map[string]error, id string, cause error) map[string]error {
	if causes == nil {
		causes = map[string]error{}
	}
	causes[id] = cause
	return causes
}

// readForRelay reads stocks straight from the database: the relay repairs the
// cache, so it does not ask it.
func (s *Store) readForRelay(ctx context.Context, ids []string) ([]*models.Stock, error) {
	read, broken, err := s.readApart(ctx, ids)
	if broken != nil {
		err = &models.PoisonRowsError{Causes: broken}
	}
	return read.Stocks, err
}
