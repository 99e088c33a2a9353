package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"onhand/models"
	"onhand/store"
	"onhand/store/openingstock"
	"onhand/store/rediscache"
)

const (
	// opening is the stock of every product: more than a run can sell.
	opening = 100_000_000
	// holdTTL outlasts a scene, so that nothing expires in it.
	holdTTL = 15 * time.Minute
	// settleMax is how long the relay may take to empty the outbox after a scene.
	settleMax = 30 * time.Second
	// cachedChecksMax is how many products are compared with Redis after a scene.
	cachedChecksMax = 200
	place           = "warehouse"
)

// shop is one database with Onhand's tables, a prefix in Redis, and a store with all its background work.
type shop struct {
	name     string
	url      string
	redisURL string
	products []string
	store    *store.Store
	admin    *pgx.Conn
	reader   redis.UniversalClient
	writer   redis.UniversalClient
	cache    *rediscache.Cache // another one over the same keys, for competitors and audits
}

// openShop makes a shop with these products.
func openShop(ctx context.Context, s *servers, name string, products []string) (_ *shop, err error) {
	sh := &shop{name: name, products: products, redisURL: s.redis.URL()}
	if sh.url, sh.admin, err = s.database(ctx, name); err != nil {
		return nil, err
	}
	if sh.store, err = openStore(sh.url, sh.redisURL, name); err != nil {
		return nil, errors.Join(err, sh.close(ctx))
	}
	if sh.reader, sh.writer, err = rediscache.NewClients(sh.redisURL, 0); err != nil {
		return nil, errors.Join(err, sh.close(ctx))
	}
	sh.cache = rediscache.New(rediscache.Config{Client: sh.reader, Writer: sh.writer, KeyPrefix: name})
	if err := sh.stock(ctx); err != nil {
		return nil, errors.Join(err, sh.close(ctx))
	}
	return sh, nil
}

func openStore(url, redisURL, prefix string) (*store.Store, error) {
	return store.Open(store.Config{
		DatabaseURL: url, RedisURL: redisURL, KeyPrefix: prefix,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}

// stock fills the shelves and starts the background work.
func (s *shop) stock(ctx context.Context) error {
	if _, err := s.store.Migrate(ctx); err != nil {
		return err
	}
	rows := make([]openingstock.LevelCount, len(s.products))
	for i, id := range s.products {
		rows[i] = openingstock.LevelCount{ProductID: id, LocationID: place, Available: opening}
	}
	location := models.Location{LocationID: place, Name: "Warehouse", Priority: 1, Active: true}
	if err := s.store.ImportOpening(ctx, rows, []models.Location{location}, nil, nil); err != nil {
		return err
	}
	if err := s.store.Start(); err != nil {
		return err
	}
	return errors.Join(s.vacuum(ctx), s.settle(ctx))
}

func (s *shop) vacuum(ctx context.Context) error {
	_, err := s.admin.Exec(ctx, "VACUUM ANALYZE")
	return err
}

func (s *shop) close(ctx context.Context) error {
	if s.store != nil {
		s.store.Close()
	}
	var errs []error
	for _, client := range []redis.UniversalClient{s.reader, s.writer} {
		if client != nil {
			errs = append(errs, client.Close())
		}
	}
	if s.admin != nil {
		errs = append(errs, s.admin.Close(ctx))
	}
	return errors.Join(errs...)
}

// settle waits until the outbox is empty.
func (s *shop) settle(ctx context.Context) error {
	for deadline := time.Now().Add(settleMax); ; time.Sleep(50 * time.Millisecond) {
		var waiting int
		if err := s.admin.QueryRow(ctx, "SELECT count(*) FROM outbox").Scan(&waiting); err != nil {
			return err
		}
		if waiting == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: the outbox still has %d rows after %s", s.name, waiting, settleMax)
		}
	}
}

// audit compares what was acknowledged with what the database holds, and the database with Redis.
func (s *shop) audit(ctx context.Context, total measure) error {
	if err := s.settle(ctx); err != nil {
		return err
	}
	all := len(s.products) * opening
	for _, check := range []struct {
		what, query string
		want        int
	}{
		{"reservations", "SELECT count(*) FROM reservations", total.Acknowledged},
		{"lines", "SELECT coalesce(sum(json_array_length(lines)), 0) FROM reservations", total.Lines},
		{"units held by reservations", "SELECT coalesce(sum((line->>'quantity')::int), 0) FROM reservations, json_array_elements(lines) line", total.Units},
		{"units reserved", "SELECT sum(reserved::bigint) FROM stock_levels", total.Units},
		{"units available", "SELECT sum(available::bigint) FROM stock_levels", all - total.Units},
		{"movements", "SELECT count(*) FROM stock_movements WHERE reason = 'RESERVED'", total.Lines},
		{"units that left in the ledger", "SELECT coalesce(-sum(available_delta), 0) FROM stock_movements WHERE reason = 'RESERVED'", total.Units},
		{"levels that differ from what the ledger ends on", `SELECT count(*) FROM stock_levels l WHERE (l.available, l.reserved::integer) IS DISTINCT FROM
			(SELECT (m.available_after, m.reserved_after) FROM stock_movement_entries m WHERE m.product_id = l.product_id ORDER BY movement_id DESC LIMIT 1)`, 0},
	} {
		var got int
		if err := s.admin.QueryRow(ctx, check.query).Scan(&got); err != nil {
			return fmt.Errorf("%s: audit %s: %w", s.name, check.what, err)
		}
		if got != check.want {
			return fmt.Errorf("%s: audit: %d %s, want %d", s.name, got, check.what, check.want)
		}
	}
	return s.auditCache(ctx)
}

// auditCache compares hashes with rows. A product nobody touched may have no hash.
func (s *shop) auditCache(ctx context.Context) error {
	for _, id := range s.products[:min(len(s.products), cachedChecksMax)] {
		var available int
		if err := s.admin.QueryRow(ctx, "SELECT available FROM stock_levels WHERE product_id = $1", id).Scan(&available); err != nil {
			return err
		}
		text, err := s.reader.HGet(ctx, s.cache.Keys().Stock(id), "quantity").Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return err
		}
		if cached, err := strconv.Atoi(text); err != nil || cached != available {
			return fmt.Errorf("%s: audit: redis has %q of %s, the database %d", s.name, text, id, available)
		}
	}
	return nil
}

// cart chooses what a caller buys next. The lines are read only.
type cart func(*worker) []models.Line

// one is one unit of each product, made once because callers must cost little.
func one(products []string) [][]models.Line {
	carts := make([][]models.Line, len(products))
	for i, id := range products {
		carts[i] = []models.Line{{ProductID: id, Quantity: 1}}
	}
	return carts
}

// anyOf takes one of the carts, each as likely.
func anyOf(carts [][]models.Line) cart {
	return func(w *worker) []models.Line { return carts[w.rng.IntN(len(carts))] }
}

// take counts what a call was acknowledged for.
func (w *worker) take(lines []models.Line) {
	w.lines += len(lines)
	for _, line := range lines {
		w.units += line.Quantity
	}
}

type write = func(context.Context, models.Write) (models.WriteResult, error)

// reserving calls a writer as the API does, and waits for every answer.
func reserving(write write, next cart) func(*worker) error {
	return func(w *worker) error { return w.reserve(w.own, write, next(w)) }
}

// givingUp is reserving, but calls that have not begun when the turn ends are given up: at a few hundred a second, two
// thousand callers would be waited for longer than they were measured.
func givingUp(write write, next cart) func(*worker) error {
	return func(w *worker) error { return w.reserve(w.turn, write, next(w)) }
}

func (w *worker) reserve(ctx context.Context, write write, lines []models.Line) error {
	result, err := write(ctx, models.Reserve{IdempotencyKey: w.key(), Lines: lines, TTL: holdTTL})
	if err != nil {
		return err
	}
	if result.Reservation == nil || result.Replayed || len(result.Errors) > 0 {
		return fmt.Errorf("a reservation was not made: %+v", result)
	}
	w.take(lines)
	return nil
}
