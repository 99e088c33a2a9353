package readthrough

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"onhand/models"
)

// Bounds of the reads of unknown ids.
const (
	// unknownInFlightMax: other reads keep the rest of the connections.
	unknownInFlightMax = 1
	// unknownBatchesMax is how many batches of unknown ids may wait.
	unknownBatchesMax = 8
	// unknownPause is how long the database rests after a read of unknown ids, in times
	// that the read took: they get a quarter of one connection. unknownPauseMax bounds it.
	unknownPause    = 3
	unknownPauseMax = 250 * time.Millisecond
	// negativesPerSecond bounds the unknown ids that get a negative entry in Redis, with
	// what it needs before. Those that were asked for twice lately get one.
	negativesPerSecond = 1000
)

// unknownReads reads ids that are probably no products, apart from all others, so that a
// flood of made-up ids delays nobody but itself and writes nothing to Redis.
type unknownReads struct {
	known     *KnownIDs // nil: every id counts as known
	asked     askedIDs
	negatives *rate.Limiter
	reads     *batcher[storedStock]
	count     atomic.Int64
	from      time.Time // when the next read may begin; of the read in flight
}

func newUnknownReads(known *KnownIDs, database *Bisector) *unknownReads {
	u := &unknownReads{known: known, negatives: rate.NewLimiter(negativesPerSecond, negativesPerSecond)}
	u.reads = &batcher[storedStock]{
		name: "read unknown ids", inFlightMax: unknownInFlightMax, idsMax: batchIDsMax, waitingMax: unknownBatchesMax,
		read: func(ctx context.Context, ids []string, answer func([]storedStock, error)) {
			time.Sleep(time.Until(u.from))
			began := time.Now()
			values, _, err := readStored(ctx, database, ids)
			u.from = time.Now().Add(min(unknownPause*time.Since(began), unknownPauseMax))
			if err == nil {
				u.note(ids, values)
			}
			answer(values, err)
		},
	}
	return u
}

// note remembers what the database said of ids.
func (u *unknownReads) note(ids []string, values []storedStock) {
	var unknown []uint64
	for i, value := range values {
		if value.stock != nil {
			u.known.Add(ids[i])
		} else if value.err == nil {
			unknown = append(unknown, u.known.hash(ids[i]))
		}
	}
	u.asked.add(unknown, time.Now())
}

// first returns the indexes of the unknown ids that were not asked for lately; nil for
// none. They are read apart.
func (u *unknownReads) first(ids []string) []int {
	if u.known == nil {
		return nil
	}
	at := u.known.unknown(ids)
	return slices.DeleteFunc(at, func(i int) bool { return u.asked.has(u.known.hash(ids[i])) })
}

// beyond returns the indexes of the unknown ids for which there is no room in Redis now;
// nil for none. They are read apart too.
func (u *unknownReads) beyond(ids []string) []int {
	if u.known == nil {
		return nil
	}
	at := u.known.unknown(ids)
	if at == nil {
		return nil
	}
	now := time.Now()
	return slices.DeleteFunc(at, func(int) bool { return u.negatives.AllowN(now, 1) })
}

// read reads unknown ids by a SELECT that starts now: a product may have been made a
// moment ago.
func (u *unknownReads) read(ctx context.Context, ids []string) ([]*models.Stock, error) {
	u.count.Add(int64(len(ids)))
	read, err := u.reads.load(ctx, ids)
	return stocksOf(ctx, ids, read, err)
}

// beside reads the ids at the indexes apart, and all others by rest.
func (u *unknownReads) beside(ctx context.Context, ids []string, at []int, rest readIDs) ([]*models.Stock, error) {
	if len(at) == 0 {
		return rest(ctx, ids)
	}
	var others, apart []string
	for i, next := 0, at; i < len(ids); i++ {
		if len(next) > 0 && next[0] == i {
			apart, next = append(apart, ids[i]), next[1:]
			continue
		}
		others = append(others, ids[i])
	}
	var found []*models.Stock
	var err error
	if len(others) > 0 {
		if found, err = rest(ctx, others); len(found) != len(others) {
			return nil, err
		}
	}
	unknown, unknownErr := u.read(ctx, apart)
	if len(unknown) != len(apart) {
		return nil, unknownErr
	}
	stocks := make([]*models.Stock, 0, len(ids))
	for i := range ids {
		if len(at) > 0 && at[0] == i {
			stocks, at, unknown = append(stocks, unknown[0]), at[1:], unknown[1:]
			continue
		}
		stocks, found = append(stocks, found[0]), found[1:]
	}
	return stocks, cmp.Or(err, unknownErr)
}

// readIDs reads products: values in the order of ids. It may return them beside an
// error, or none.
type readIDs func(ctx context.Context, ids []string) ([]*models.Stock, error)
