package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"onhand/bench/fixture"
	"onhand/bench/loadgen"
	"onhand/bench/testbed"
)

const (
	// dueReservations are spread over dueProducts and expire at one moment.
	dueReservations, dueProducts = 100_000, 1000
	// dueMargin is how long after the quiet time they expire: time to insert them and to be ready.
	dueMargin = 15 * time.Second
	// expiryCallers reserve the same products meanwhile.
	expiryCallers = 64
	// releasedWithin is the limit.
	releasedWithin = 5 * time.Second
)

// expiryWorkload compares durations: the time until the reservations are released, and the latency meanwhile.
func expiryWorkload() workload {
	return workload{name: "expiry of 100,000 reservations", own: measureExpiry, rows: []row{
		{Name: "seconds until released, beside the limit", Ours: releaseTime, Beside: timeLimit, Aim: 1, AtMost: true, Of: p50Seconds, Unit: "s"},
		{Name: "p99 of reservations meanwhile, beside quiet", Ours: onhand, Beside: quietTime, Aim: 3, AtMost: true, Of: p99Millis, Unit: "ms"},
	}}
}

// measureExpiry has no turns. Each round inserts the reservations, measures a quiet time, and then the time in which they
// expire.
func measureExpiry(ctx context.Context, c *measureCommand) (rounds []round, err error) {
	var closing closers
	defer func() { err = errors.Join(err, closing.close()) }()
	number := c.Rounds
	if c.Quick {
		number = 1
	}
	for i := range number {
		f, err := closing.fixture(ctx, c, loadgen.Numbered(dueProducts))
		if err != nil {
			return nil, err
		}
		one, err := expireOnce(ctx, c, f, i)
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, one)
	}
	return rounds, nil
}

func expireOnce(ctx context.Context, c *measureCommand, f *fixture.Fixture, number int) (round, error) {
	due := time.Now().Add(c.Warm + c.Length + dueMargin).Truncate(time.Microsecond)
	if err := f.InsertDue(ctx, dueReservations, due); err != nil {
		return nil, err
	}
	call := reserveWith(f.Store.Write, loadgen.Single(f.Products))
	before, err := loadgen.Run(loadgen.Params{Callers: expiryCallers, Warm: c.Warm, Length: c.Length}, "quiet", call)
	if err != nil {
		return nil, err
	}
	if time.Now().After(due) {
		return nil, fmt.Errorf("inserting %d reservations took longer than %s", dueReservations, dueMargin)
	}
	time.Sleep(time.Until(due)) // they expire by the database's clock, which is this machine's
	stop, err := c.startProfile(ctx, fmt.Sprintf("expiry-%d", number+1))
	if err != nil {
		return nil, err
	}
	released := make(chan error, 1)
	var took time.Duration
	var spent string
	spentBefore := testbed.CPUTimes()
	go func() {
		err := f.AwaitReleased(ctx)
		took, spent = time.Since(due), testbed.PerCall(spentBefore, testbed.CPUTimes(), dueReservations)
		released <- err
	}()
	meanwhile, err := loadgen.Run(loadgen.Params{Callers: expiryCallers, Length: releasedWithin}, "meanwhile", call)
	if err = errors.Join(err, <-released, stop()); err != nil {
		return nil, err
	}
	c.say("  released after %.2f s (with the load, CPU µs a reservation: %s); quiet %.0f/s p99 %.2f ms; meanwhile %.0f/s p99 %.2f ms",
		took.Seconds(), spent, before.PerSecond, p99Millis(before), meanwhile.PerSecond, p99Millis(meanwhile))
	return round{
		onhand: meanwhile, quietTime: before,
		releaseTime: {P50: took}, timeLimit: {P50: releasedWithin},
	}, f.AuditExpired(ctx, dueReservations, before.Plus(meanwhile))
}
