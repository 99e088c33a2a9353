package decide

import (
	"errors"
	"fmt"
	"slices"

	"onhand/models"
	"onhand/store/database/decide/holderusage"
)

// ErrLinesChanged says that a reservation has other lines than when the sweeper
// listed it.
var ErrLinesChanged = errors.New("an overdue reservation has other lines than before")

// Expire gives back what an expired reservation held. products are those whose levels
// are loaded, in order.
//
// Errors: ErrLinesChanged for a line of another product, and where its holder is not locked.
func (c *ChangeSet) Expire(s *StoredReservation, products []string) error {
	step, _ := models.TransitionTo(models.ReservationExpired)
	c.Reset()
	for _, line := range s.Lines {
		if _, loaded := slices.BinarySearch(products, line.ProductID); !loaded {
			return fmt.Errorf("%w: %s", ErrLinesChanged, s.ID)
		}
		left, _ := line.Split(line.Left())
		c.shift(line.ProductID, left, step.Take, step.Give)
	}
	if c.unit.Holdings.Move(holderusage.Contribution{Holder: s.Holder, Counts: s.Counted, Lines: s.Lines}, holderusage.Contribution{}); c.unit.Holdings.Unlocked() {
		return fmt.Errorf("%w: %s", ErrLinesChanged, s.ID)
	}
	c.Apply(models.StockMovement{Reason: step.Reason, Reference: s.Order, ReservationID: s.ID})
	return nil
}
