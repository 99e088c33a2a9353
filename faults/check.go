package faults

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// cacheLimit is how long Redis may differ from the database once all is well again.
	cacheLimit = 2 * time.Second
	// watchersLimit is the same for subscribers; a copy that hears nothing from Redis looks itself every 5 s.
	watchersLimit = 7 * time.Second
	// replaysMax bounds the keys that are asked again, chosen by chance.
	replaysMax = 150
	// reportsMax bounds how many lines of one kind of fault a check prints.
	reportsMax = 8
	// auditLimit bounds `onhand audit`.
	auditLimit = 30 * time.Second
)

// Check proves the invariants I1 to I9 at the end of a scenario, after its load has stopped and its faults are healed:
// every copy that is to serve runs again. It ends the subscribers. What follows only looks.
func (s *Scene) Check() {
	s.t.Helper()
	for _, c := range s.Copies {
		if c.Died() {
			s.t.Errorf("%s ended without being told to", c.Name)
		}
	}
	s.CheckCache(cacheLimit) // I7; first, for its time runs
	s.checkWatchers()        // I8
	s.CheckDatabase()        // I2, I4, I5
	s.checkHolds()           // I6
	s.checkHistory()         // I1
	s.checkPromises()        // I3
	s.checkAudit()
	s.checkRest() // I9
}

// report fails the test with what was found wrong with an invariant.
func (s *Scene) report(invariant string, found []string) {
	s.t.Helper()
	for i, line := range found {
		if i == reportsMax {
			s.t.Errorf("%s: and %d more", invariant, len(found)-i)
			return
		}
		s.t.Errorf("%s: %s", invariant, line)
	}
}

func (s *Scene) looking() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), lookLimit)
}

// CheckCache is I7: within limit Redis says of every product what the database says, and it was never ahead of it.
func (s *Scene) CheckCache(limit time.Duration) {
	s.t.Helper()
	began := time.Now()
	wrong := s.awaitCache(limit)
	s.report("I7: Redis is not the database's copy after "+limit.String(), wrong)
	if len(wrong) == 0 {
		s.t.Logf("Redis is right after %s", time.Since(began).Round(time.Millisecond))
	}
	found, back, looked := s.ahead.result()
	if !s.plan.Unreplicated {
		s.report("I7", found)
	}
	if !s.plan.RedisForgets {
		s.report("I7", back)
	}
	if looked == 0 {
		s.t.Error("I7: nobody has ever looked whether Redis was ahead")
	}
}

// awaitCache waits until Redis is right, and says what is still wrong after limit.
func (s *Scene) awaitCache(limit time.Duration) (wrong []string) {
	for deadline := time.Now().Add(limit); ; time.Sleep(pollEvery) {
		wrong = s.cacheDifferences()
		if len(wrong) == 0 || time.Now().After(deadline) {
			return wrong
		}
	}
}

// cacheDifferences asks for all products, so that Redis is filled, and compares it.
func (s *Scene) cacheDifferences() []string {
	ctx, cancel := s.looking()
	defer cancel()
	var data struct{ Stocks []struct{ Version int64 } }
	for _, c := range s.serving() {
		if err := s.client.Ask(ctx, c.URL(), pageDocument, map[string]any{"ids": s.products}, &data); err != nil {
			return []string{c.Name + ": " + err.Error()}
		}
	}
	stored, epoch, err := s.truths(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	cached, err := s.cached(ctx, epoch)
	if err != nil {
		return []string{err.Error()}
	}
	var wrong []string
	for _, product := range s.products {
		switch c, is := cached[product], stored[product]; {
		case c == nil:
			wrong = append(wrong, product+" is not in Redis, although it was just asked for")
		case *c != is:
			wrong = append(wrong, fmt.Sprintf("%s is %+v in Redis, and %+v in the database", product, *c, is))
		}
	}
	return wrong
}

// serving are the copies that run.
func (s *Scene) serving() (list []*Copy) {
	for _, c := range s.Copies {
		if c.Alive() {
			list = append(list, c)
		}
	}
	return list
}

// checkWatchers is I8: each subscriber was given ever newer versions, over all its connections, and has the database's
// last state of every product.
func (s *Scene) checkWatchers() {
	s.t.Helper()
	s.report("I8", s.AwaitWatchers(watchersLimit, s.Subscribers...))
	for _, sub := range s.Subscribers {
		s.report("I8", sub.order())
		s.t.Logf("%s: %d events in %d sessions", sub.Name, len(sub.Events()), sub.Sessions())
		sub.Stop()
	}
}

// AwaitWatchers waits until each of these subscribers has the database's state of every product, while no customer writes,
// and says what they lack after limit.
func (s *Scene) AwaitWatchers(limit time.Duration, subscribers ...*Subscriber) (behind []string) {
	s.t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(pollEvery) {
		ctx, cancel := s.looking()
		stored, _, err := s.truths(ctx) // each time: holds may run out meanwhile
		cancel()
		s.Must(err)
		behind = nil
		for _, sub := range subscribers {
			latest := sub.latest()
			for _, product := range s.products {
				if is, e := stored[product], latest[product]; e.Version != is.Version || e.Shelf != is.Shelf {
					behind = append(behind, fmt.Sprintf("%s has %s as %+v version %d, and it is %+v version %d", sub, product, e.Shelf, e.Version, is.Shelf, is.Version))
				}
			}
		}
		if len(behind) == 0 || time.Now().After(deadline) {
			return behind
		}
	}
}

// checkHistory is I1.
func (s *Scene) checkHistory() {
	s.t.Helper()
	operations, err := s.Explained()
	s.Must(err)
	began := time.Now()
	illegal, err := Linearizable(s.plan.Opening, operations)
	if err != nil {
		s.t.Errorf("I1: %v", err)
	}
	for _, product := range slices.Sorted(maps.Keys(illegal)) {
		s.t.Errorf("I1: no order explains what customers were told of %s; open %s in a browser", product, illegal[product])
	}
	pending := 0
	for _, o := range operations {
		if o.Pending() {
			pending++
		}
	}
	s.t.Logf("history: %d operations, %d of them pending, checked in %s", len(operations), pending, time.Since(began).Round(time.Millisecond))
	if len(operations) == 0 {
		s.t.Error("I1: an empty history proves nothing")
	}
}

// Explained is the history with what nobody asked for: the ends of holds whose time was over, those of one transaction
// together, at the moment that the ledger names, or a little later, when it committed.
func (s *Scene) Explained() ([]Operation, error) {
	ctx, cancel := s.looking()
	defer cancel()
	rows, err := s.pool.Query(ctx, `SELECT m.txid, m.product_id, r.owner_ref, m.created_at FROM stock_movements m JOIN reservations r USING (reservation_id)
		WHERE m.reason = 'EXPIRED' ORDER BY m.txid, m.movement_id`)
	if err != nil {
		return nil, err
	}
	operations, last := s.History.Operations(), int64(0)
	var ended *Operation
	var transaction int64
	var product string
	var r row
	_, err = pgx.ForEachRow(rows, []any{&transaction, &product, &r.owner, &r.resolved}, func() error {
		if r.hold() == 0 {
			return nil
		}
		if ended == nil || transaction != last {
			resolved := s.ours(r.resolved)
			o := Operation{Kind: Expire, Ended: map[string][]int{}, Done: true, Call: s.History.At(resolved)}
			o.Return = o.Call + s.late(resolved, time.Second).Nanoseconds()
			operations, last = append(operations, o), transaction
			ended = &operations[len(operations)-1]
		}
		ended.Ended[product] = append(ended.Ended[product], r.hold())
		return nil
	})
	return operations, err
}

// ours is a moment of the database on our clock: with the offset that puts it into the scenario.
func (s *Scene) ours(moment time.Time) time.Time {
	for _, off := range s.plan.Clocks {
		if at := moment.Add(-off); at.After(s.History.began) && at.Before(time.Now()) {
			return at
		}
	}
	return moment
}

// late is by how much something that was due at a moment may be late: usual, unless a server was away then.
func (s *Scene) late(due time.Time, usual time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.outages {
		if due.After(o.from.Add(-usual)) && due.Before(o.to.Add(usual)) {
			usual = max(usual, o.to.Sub(due)+outageRecovery)
		}
	}
	return usual
}

// outageRecovery is how long after an outage what fell due in it may take: reconnecting, and what has piled up.
const outageRecovery = 5 * time.Second

// checkPromises is I3: every acknowledged key, asked again on any copy, gives the same answer as a replay.
func (s *Scene) checkPromises() {
	s.t.Helper()
	promises, dice := s.History.Promises(), chance(s.t, "promises")
	dice.Shuffle(len(promises), func(i, j int) { promises[i], promises[j] = promises[j], promises[i] })
	s.report("I3", s.brokenPromises(promises[:min(len(promises), replaysMax)]))
}

func (s *Scene) brokenPromises(promises []Promise) (wrong []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	serving := s.serving()
	for i, p := range promises {
		var data struct{ Answer answer }
		c := serving[i%len(serving)]
		err := s.client.Ask(ctx, c.URL(), p.Document, map[string]any{"input": p.Input}, &data)
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("key %s, asked again of %s: %v", p.Input["idempotencyKey"], c.Name, err))
		case !data.Answer.Replayed || data.Answer.essence() != p.Answer:
			wrong = append(wrong, fmt.Sprintf("key %s: %s said %s (replayed %t), and the first answer was %s",
				p.Input["idempotencyKey"], c.Name, data.Answer.essence(), data.Answer.Replayed, p.Answer))
		}
	}
	return wrong
}

// checkAudit has the program prove the same in its own way.
func (s *Scene) checkAudit() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), auditLimit)
	defer cancel()
	command := exec.CommandContext(ctx, binary(s.t, s.plan.Variant), "audit")
	command.Env = []string{"DATABASE_URL=" + s.Database, "REDIS_URL=" + s.cacheURL, "HOME=" + s.t.TempDir()}
	if output, err := command.CombinedOutput(); err != nil {
		s.t.Errorf("onhand audit: %v\n%s", err, output)
	}
}
