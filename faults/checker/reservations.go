package checker

import (
	"fmt"
	"time"

	"onhand/faults/load"
	"onhand/faults/model"
	"onhand/faults/wait"
)

// expiryLate is how long after its time a reservation may be ACTIVE in the tables. It counts for nothing in between.
const expiryLate = time.Second

// CheckReservations is I6, and the part of I3 that needs no repeated key.
func (c *Checker) CheckReservations() {
	c.T.Helper()
	c.AwaitQuiet()
	ctx, cancel := reading()
	defer cancel()
	rows, err := c.Reservations(ctx)
	c.must(err)
	c.Report("I3, I6", c.ReservationFaults(rows, c.Target.History.Operations()))
}

// AwaitQuiet waits until no reservation expires any more.
func (c *Checker) AwaitQuiet() {
	c.T.Helper()
	c.awaitNone(load.ShortTTL+outageRecovery, "the end of all short reservations", countExpiringSoon)
}

// AwaitSwept waits until the sweeper has released every reservation past its time.
func (c *Checker) AwaitSwept() {
	c.T.Helper()
	c.awaitNone(expiryLate+outageRecovery, "reservations past their time are released", countExpired)
}

func (c *Checker) awaitNone(limit time.Duration, what, count string) {
	c.T.Helper()
	wait.Until(c.T, limit, what, func() bool {
		ctx, cancel := reading()
		defer cancel()
		var left int
		err := c.Database.QueryRow(ctx, count).Scan(&left)
		return err == nil && left == 0
	})
}

// OffClock lists reservations whose times are not those of the database's clock.
func (c *Checker) OffClock() ([]string, error) {
	ctx, cancel := reading()
	defer cancel()
	return texts(ctx, c.Database, offDatabaseClock)
}

// ReservationFaults lists reservations that were acknowledged and are not there once, that were refused and are there,
// that ended too early or too late, or that were committed after their time; and customers who were refused because of a
// reservation that was over.
func (c *Checker) ReservationFaults(rows []ReservationRow, operations []model.Operation) (wrong []string) {
	byCart := map[int]ReservationRow{}
	for _, r := range rows {
		if other, twice := byCart[r.Cart]; twice && r.Cart > 0 {
			wrong = append(wrong, fmt.Sprintf("cart #%d was reserved twice: %s and %s", r.Cart, other.ID, r.ID))
		}
		byCart[r.Cart] = r
		if r.State != model.StateExpired {
			continue
		}
		late := r.Resolved.Sub(r.ExpiresAt)
		if limit := c.Outages.late(r.ExpiresAt, expiryLate); late < 0 || late > limit && !c.Tolerance.ClockMoved {
			wrong = append(wrong, fmt.Sprintf("cart #%d was over at %s and ended %s later; at most %s is right", r.Cart, r.ExpiresAt.Format(time.StampMilli), late, limit))
		}
	}
	expired := expiredCarts(byCart, operations)
	for _, o := range operations {
		r, found := byCart[o.Cart]
		switch {
		case o.Pending():
		case o.Kind == model.Reserve && o.Done != found:
			wrong = append(wrong, fmt.Sprintf("%s: there is a row: %t", o, found))
		case o.Kind == model.Commit && o.Done && (r.State == model.StateExpired || c.after(o.Call, r.ExpiresAt)):
			wrong = append(wrong, fmt.Sprintf("%s, and the reservation, over at %s, is %s", o, r.ExpiresAt.Format(time.StampMilli), r.State))
		case o.Kind == model.Reserve && !o.Done:
			wrong = append(wrong, c.refusedForExpired(o, expired)...)
		}
	}
	return wrong
}

// after reports whether a moment of the history comes after one of the database, as far as they are on the same clock.
func (c *Checker) after(at int64, moment time.Time) bool {
	return !c.Tolerance.ClockMoved && at > c.Target.History.At(moment)
}

// expiredCarts are the expired reservations of each product.
func expiredCarts(byCart map[int]ReservationRow, operations []model.Operation) map[string][]ReservationRow {
	expired := map[string][]ReservationRow{}
	for _, o := range operations {
		if r := byCart[o.Cart]; o.Kind == model.Reserve && r.State == model.StateExpired {
			for product := range o.Lines {
				expired[product] = append(expired[product], r)
			}
		}
	}
	return expired
}

// refusedForExpired lists reservations that were over before a refused customer asked, and that still counted.
func (c *Checker) refusedForExpired(o model.Operation, expired map[string][]ReservationRow) (wrong []string) {
	for product := range o.Short {
		for _, r := range expired[product] {
			if c.after(o.Call, r.ExpiresAt) && o.Return < c.Target.History.At(r.Resolved) {
				wrong = append(wrong, fmt.Sprintf("%s, while cart #%d of %s, over at %s, ended at %s only", o, r.Cart, product,
					r.ExpiresAt.Format(time.StampMilli), r.Resolved.Format(time.StampMilli)))
			}
		}
	}
	return wrong
}
