package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"onhand/store/rediscache"
)

// truth is what a product's hash must say.
type truth struct {
	quantity int
	version  int64
}

// auditRedis compares every product's hash that exists with the database. What differs is read again from both sides
// for the settle time, since a hash may be written between the two readings.
func auditRedis(ctx context.Context, config Config, db *sql.DB, report *AuditReport) error {
	reader, writer, err := rediscache.NewClients(config.AuditRedis)
	if err != nil {
		return err
	}
	defer func() { _ = errors.Join(reader.Close(), writer.Close()) }() // only read
	truths, err := readTruths(ctx, db)
	if err != nil {
		return err
	}
	ids, readIn := slices.Sorted(maps.Keys(truths)), 0
	return settle(ctx, config.Settle, report, ids, func(round int, page []string) (map[string]string, error) {
		if round != readIn {
			if truths, err = readTruths(ctx, db); err != nil {
				return nil, err
			}
			readIn = round
		}
		differ, hashes, err := compareHashes(ctx, reader, truths, page)
		if round == 0 {
			report.Hashes += hashes
		}
		return differ, err
	})
}

// readTruths reads what the database says of every product.
func readTruths(ctx context.Context, db *sql.DB) (map[string]truth, error) {
	rows, err := db.QueryContext(ctx, `
		SELECT p.product_id, p.version, CAST(coalesce(sum(CASE WHEN l.active THEN s.available ELSE 0 END), 0) AS bigint)
		FROM products p
		LEFT JOIN stock_levels s ON s.product_id = p.product_id
		LEFT JOIN locations l ON l.location_id = s.location_id
		GROUP BY p.product_id, p.version`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err
	truths := map[string]truth{}
	for rows.Next() {
		var id string
		var t truth
		if err := rows.Scan(&id, &t.version, &t.quantity); err != nil {
			return nil, err
		}
		if len(truths) == auditProductsMax {
			return nil, fmt.Errorf("more than %d products", auditProductsMax)
		}
		truths[id] = t
	}
	return truths, rows.Err()
}

// compareHashes reads one page of hashes in one round trip, says what is wrong with each, and counts those there are.
func compareHashes(ctx context.Context, reader redis.UniversalClient, truths map[string]truth, ids []string) (differ map[string]string, hashes int, err error) {
	commands := make([]*redis.MapStringStringCmd, len(ids))
	_, err = reader.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			commands[i] = p.HGetAll(ctx, rediscache.Keys{}.Stock(id))
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	differ = map[string]string{}
	for i, id := range ids {
		hash := commands[i].Val()
		if len(hash) == 0 || len(hash) == 1 && hash["lease"] != "" {
			continue // not cached; the next reader fills it, or one is about to
		}
		hashes++
		want := truths[id]
		if hash["quantity"] != strconv.Itoa(want.quantity) || hash["version"] != strconv.FormatInt(want.version, 10) {
			differ[id] = fmt.Sprintf("redis has quantity %q and version %q of %q, the database %d and %d",
				hash["quantity"], hash["version"], id, want.quantity, want.version)
		}
	}
	return differ, hashes, nil
}
