package audit

import (
	"context"
	"fmt"
	"time"

	"onhand/models"
	"onhand/models/stockbinary"
	"onhand/store/rediscache"
)

// observation is a product in Redis beside the same in the database, which was
// read after it.
type observation struct {
	id         string
	look       rediscache.Inspection
	stock      *models.Stock // nil: the database does not know the product
	unreadable error         // the database has the product and cannot read it
	epoch      string
}

// observe reads products in Redis and then in the database: a version in Redis
// must have been in the database before.
func (a *auditor) observe(ctx context.Context, ids []string) ([]observation, error) {
	var looks []rediscache.Inspection
	err := a.retry(ctx, func() (err error) {
		looks, err = a.subjects.Redis.Inspect(ctx, ids)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("compare redis and database: %w", err)
	}
	read, unreadable, err := a.subjects.Products.Read(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("compare redis and database: %w", err)
	}
	stocks := make(map[string]*models.Stock, len(read.Stocks))
	for _, stock := range read.Stocks {
		stocks[stock.ProductID] = stock
	}
	observations := make([]observation, len(ids))
	for i, id := range ids {
		observations[i] = observation{id: id, look: looks[i], stock: stocks[id], unreadable: unreadable[id], epoch: read.Epoch}
	}
	return observations, nil
}

// version is the database's; 0 for an unknown product.
func (o observation) version() int64 {
	if o.stock == nil {
		return 0
	}
	return o.stock.Version
}

// finding is what is wrong with an observation; the zero finding is nothing.
type finding struct {
	kind    DifferenceKind
	detail  string
	certain bool // waiting cannot heal it
}

func (o observation) finding() finding {
	l := o.look
	is := func(kind DifferenceKind, certain bool, format string, args ...any) finding {
		return finding{kind: kind, detail: fmt.Sprintf(format, args...), certain: certain}
	}
	switch {
	case o.unreadable != nil:
		return is(Unreadable, true, "the database has a row that cannot be read: %v", o.unreadable)
	case !l.Cached || (l.Missing && o.stock == nil):
		return finding{}
	case l.Version < 0:
		return is(RedisContent, true, "the hash in Redis cannot be read: %v", l.Err)
	case l.Epoch != o.epoch:
		return is(RedisEpoch, false, "Redis has version %d of epoch %q, the database version %d of epoch %q", l.Version, l.Epoch, o.version(), o.epoch)
	case l.Version > o.version():
		return is(RedisAhead, true, "Redis has version %d, the database only %d", l.Version, o.version())
	case l.Version < o.version():
		return is(RedisBehind, false, "Redis has version %d, the database %d", l.Version, o.version())
	case l.Missing:
		return is(RedisContent, true, "Redis says that version %d is no product", l.Version)
	case l.Err != nil:
		return is(RedisContent, true, "version %d in Redis contradicts itself: %v", l.Version, l.Err)
	case !sameStock(l.Stock, o.stock):
		return is(RedisContent, true, "version %d has quantity %d in Redis and %d in the database, or other levels or settings", l.Version, l.Stock.Quantity(), o.stock.Quantity())
	}
	return finding{}
}

// sameStock compares all of two stocks but when and where they were read.
func sameStock(a, b *models.Stock) bool {
	x, y := *a, *b
	x.AsOf, y.AsOf = time.Time{}, time.Time{}
	return stockbinary.Equal(&x, &y)
}
