package serving

import (
	"fmt"

	"onhand/models"
)

// quantitySettings say which quantities callers see.
type quantitySettings struct {
	QuantityCap int `name:"quantity-cap" env:"QUANTITY_CAP" default:"0" help:"The largest exact quantity that a caller without read:inventory sees; 0 for no cap." more:"[what it hides](security.md#quantities)"`
}

func (s *quantitySettings) check() error {
	if s.QuantityCap < 0 || s.QuantityCap > models.QuantityMax {
		return fmt.Errorf("quantity-cap %d must be between 0 and %d", s.QuantityCap, models.QuantityMax)
	}
	return nil
}
