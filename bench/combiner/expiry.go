package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// dueHolds lie over dueProducts and end at one moment.
	dueHolds    = 100_000
	dueProducts = 1000
	// dueMargin is how long after the quiet while they end: time to make them, and to stand ready.
	dueMargin = 15 * time.Second
	// expiryCallers reserve meanwhile, the same products.
	expiryCallers = 64
	// freedWithin is the limit; freedMax is when we stop looking.
	freedWithin = 5 * time.Second
	freedMax    = 5 * time.Minute
)

func expiryScene() scene {
	return scene{name: "expiry of 100,000 holds", alone: measureExpiry, rows: []row{
		{name: "seconds until freed, beside the limit", beside: "limit", aim: 1, atMost: true, of: func(m measure) float64 { return m.PerSecond }, unit: "s"},
		{name: "p99 of reservations meanwhile, beside quiet", beside: quiet, aim: 3, atMost: true, of: p99Millis, unit: "ms"},
	}}
}

// measureExpiry has no turns: each round makes the holds, measures a quiet while, and then the while in which they end.
func measureExpiry(ctx context.Context, b *bench) (rounds []round, err error) {
	var o opened
	defer func() { err = errors.Join(err, o.close()) }()
	number := b.Rounds
	if b.Quick {
		number = 1
	}
	for i := range number {
		sh, err := o.shop(ctx, b, numbered(dueProducts))
		if err != nil {
			return nil, err
		}
		r, err := expireOnce(ctx, b, sh, i)
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, r)
	}
	return rounds, nil
}

func expireOnce(ctx context.Context, b *bench, sh *shop, number int) (round, error) {
	due := time.Now().Add(b.Warm + b.Length + dueMargin).Truncate(time.Microsecond)
	if err := makeHolds(ctx, sh, due); err != nil {
		return nil, err
	}
	call := reserving(sh.store.Write, anyOf(one(sh.products)))
	before, err := run(load{callers: expiryCallers, warm: b.Warm, length: b.Length}, "quiet", call)
	if err != nil {
		return nil, err
	}
	if time.Now().After(due) {
		return nil, fmt.Errorf("making %d holds took longer than %s", dueHolds, dueMargin)
	}
	time.Sleep(time.Until(due)) // they end by the database's clock, which is this machine's
	stop, err := b.startProfile(ctx, fmt.Sprintf("expiry-%d", number+1))
	if err != nil {
		return nil, err
	}
	freed := make(chan error, 1)
	var took time.Duration
	var spent string
	spentBefore := cpuTimes()
	go func() {
		err := awaitFreed(ctx, sh)
		took, spent = time.Since(due), perCall(spentBefore, cpuTimes(), dueHolds)
		freed <- err
	}()
	meanwhile, err := run(load{callers: expiryCallers, length: freedWithin}, "meanwhile", call)
	if err = errors.Join(err, <-freed, stop()); err != nil {
		return nil, err
	}
	b.say(b.out, "  freed after %.2f s (with all else, CPU µs a hold: %s); quiet %.0f/s p99 %.2f ms; meanwhile %.0f/s p99 %.2f ms", took.Seconds(), spent,
		before.PerSecond, p99Millis(before), meanwhile.PerSecond, p99Millis(meanwhile))
	err = auditExpiry(ctx, sh, measure{
		Acknowledged: before.Acknowledged + meanwhile.Acknowledged, Lines: before.Lines + meanwhile.Lines, Units: before.Units + meanwhile.Units,
	})
	// The two rows read different figures of the same round.
	meanwhile.PerSecond = took.Seconds()
	return round{ours: meanwhile, quiet: before, "limit": measure{PerSecond: freedWithin.Seconds()}}, err
}

// makeHolds puts the holds into the tables as a store would have, and lets it settle.
func makeHolds(ctx context.Context, sh *shop, due time.Time) error {
	_, err := sh.admin.Exec(ctx, `INSERT INTO reservations (reservation_id, state, lines, fingerprint, expires_at)
		SELECT decode(md5('due ' || i), 'hex'), 'ACTIVE', json_build_array(json_build_object('productId', ($1::text[])[1 + i % $2], 'requested', 1, 'quantity', 1,
			'allocations', json_build_array(json_build_object('locationId', $3::text, 'quantity', 1)))), '\x00', $4
		FROM generate_series(0, $5 - 1) i`, sh.products, len(sh.products), place, due, dueHolds)
	if err == nil {
		_, err = sh.admin.Exec(ctx, "UPDATE stock_levels SET available = available - $1, reserved = reserved + $1", dueHolds/dueProducts)
	}
	if err == nil {
		err = sh.vacuum(ctx)
	}
	return errors.Join(err, sh.settle(ctx))
}

// awaitFreed waits until the sweeper has given back every hold that is due.
func awaitFreed(ctx context.Context, sh *shop) error {
	for deadline := time.Now().Add(freedMax); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var left bool
		// The subquery lets the index answer, so that looking costs nothing.
		err := sh.admin.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM reservations WHERE state = 'ACTIVE' AND expires_at <= (SELECT clock_timestamp()))`).Scan(&left)
		if err != nil || !left {
			return err
		}
	}
	return fmt.Errorf("holds were not given back within %s", freedMax)
}

// auditExpiry: those that ended are expired and back on the shelf, those made since are held.
func auditExpiry(ctx context.Context, sh *shop, held measure) error {
	if err := sh.settle(ctx); err != nil {
		return err
	}
	var expired, active, reserved, available int
	err := sh.admin.QueryRow(ctx, `SELECT (SELECT count(*) FROM reservations WHERE state = 'EXPIRED'), (SELECT count(*) FROM reservations WHERE state = 'ACTIVE'),
		(SELECT sum(reserved) FROM stock_levels), (SELECT sum(available::bigint) FROM stock_levels)`).Scan(&expired, &active, &reserved, &available)
	got := [4]int{expired, active, reserved, available}
	if want := [4]int{dueHolds, held.Acknowledged, held.Units, len(sh.products)*opening - held.Units}; err == nil && got != want {
		err = fmt.Errorf("%s: audit: expired, active, units reserved, units available are %v, want %v", sh.name, got, want)
	}
	return errors.Join(err, sh.auditCache(ctx))
}
