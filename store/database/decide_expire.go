package database

import (
	"errors"
	"fmt"
	"slices"

	"onhand/models"
)

// errChanged: a hold is not what it was when the sweep looked at it.
var errChanged = errors.New("a hold past its time has got other lines")

// giveBack returns what an ended hold held to the shelf. products are those
// whose levels are at hand, in order.
func (d *draft) giveBack(s *storedReservation, products []string) error {
	step, _ := models.TransitionTo(models.ReservationExpired)
	d.reset()
	for _, line := range s.Lines {
		if _, at := slices.BinarySearch(products, line.ProductID); !at {
			return fmt.Errorf("%w: %s", errChanged, s.ID)
		}
		held, _ := line.Split(line.Left())
		d.shift(line.ProductID, held, step.Take, step.Give)
	}
	d.apply(models.StockMovement{Reason: step.Reason, Reference: s.Order, ReservationID: s.ID})
	return nil
}
