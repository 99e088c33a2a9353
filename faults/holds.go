package faults

import (
	"fmt"
	"time"
)

// expiryLate is how long after its time a hold may stand in the tables; it counts for nobody in between.
const expiryLate = time.Second

// checkHolds is I6, and the half of I3 that needs no asking.
func (s *Scene) checkHolds() {
	s.t.Helper()
	s.quiet()
	ctx, cancel := s.looking()
	defer cancel()
	rows, err := s.rows(ctx)
	s.Must(err)
	s.report("I3, I6", s.holdFaults(rows, s.History.Operations()))
}

// quiet waits until no hold runs out any more.
func (s *Scene) quiet() {
	s.t.Helper()
	s.await(ttlShort+outageRecovery, "the end of all short holds", func() bool {
		ctx, cancel := s.looking()
		defer cancel()
		var left int
		err := s.pool.QueryRow(ctx, `SELECT count(*) FROM reservations WHERE state = 'ACTIVE' AND expires_at < clock_timestamp() + '1 minute'`).Scan(&left)
		return err == nil && left == 0
	})
}

// holdFaults lists holds that were acknowledged and are not there once, that were refused and are there, that were ended
// too early or too late, that were ordered after their time, and buyers who were refused for one that was over.
func (s *Scene) holdFaults(rows []row, operations []Operation) (wrong []string) {
	byHold := map[int]row{}
	for _, r := range rows {
		if twin, twice := byHold[r.hold()]; twice && r.hold() > 0 {
			wrong = append(wrong, fmt.Sprintf("hold #%d was made twice: %s and %s", r.hold(), twin.id, r.id))
		}
		byHold[r.hold()] = r
		if r.state != stateExpired {
			continue
		}
		late := r.resolved.Sub(r.expiresAt)
		if limit := s.late(r.expiresAt, expiryLate); late < 0 || late > limit && !s.plan.OtherClock {
			wrong = append(wrong, fmt.Sprintf("hold #%d was over at %s and ended %s later; at most %s is right", r.hold(), r.expiresAt.Format(time.StampMilli), late, limit))
		}
	}
	expired := s.expiredOf(byHold, operations)
	for _, o := range operations {
		r, there := byHold[o.Hold]
		switch {
		case o.Pending():
		case o.Kind == Hold && o.Done != there:
			wrong = append(wrong, fmt.Sprintf("%s: there is a row: %t", o, there))
		case o.Kind == Commit && o.Done && (r.state == stateExpired || s.after(o.Call, r.expiresAt)):
			wrong = append(wrong, fmt.Sprintf("%s, and the hold, over at %s, is %s", o, r.expiresAt.Format(time.StampMilli), r.state))
		case o.Kind == Hold && !o.Done:
			wrong = append(wrong, s.refusedFor(o, expired)...)
		}
	}
	return wrong
}

// after tells whether a moment of the history comes after one of the database, as far as they have the same clock.
func (s *Scene) after(at int64, moment time.Time) bool {
	return !s.plan.OtherClock && at > s.History.At(moment)
}

// expiredOf are the expired holds of each product.
func (s *Scene) expiredOf(byHold map[int]row, operations []Operation) map[string][]row {
	expired := map[string][]row{}
	for _, o := range operations {
		if r := byHold[o.Hold]; o.Kind == Hold && r.state == stateExpired {
			for product := range o.Lines {
				expired[product] = append(expired[product], r)
			}
		}
	}
	return expired
}

// refusedFor lists holds that were over before a refused buyer asked, and still stood in his way.
func (s *Scene) refusedFor(o Operation, expired map[string][]row) (wrong []string) {
	for product := range o.Short {
		for _, r := range expired[product] {
			if s.after(o.Call, r.expiresAt) && o.Return < s.History.At(r.resolved) {
				wrong = append(wrong, fmt.Sprintf("%s, while hold #%d of %s, over at %s, was ended at %s only", o, r.hold(), product,
					r.expiresAt.Format(time.StampMilli), r.resolved.Format(time.StampMilli)))
			}
		}
	}
	return wrong
}
