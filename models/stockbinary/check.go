package stockbinary

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"onhand/models"
	"onhand/models/channel"
)

// check reports the first field with a value that Onhand never writes.
func check(s *models.Stock) error {
	switch {
	case !idFits(s.ProductID):
		return errors.New("bad product id")
	case s.Epoch == "" || len(s.Epoch) > models.TextLengthMax:
		return errors.New("bad epoch")
	case s.Version < 0 || s.Version > channel.ProductVersionMax:
		return fmt.Errorf("version %d is out of range", s.Version)
	case !within(&s.LowStockThreshold, 0), !within(s.BackorderLimit, 0), !within(s.MaxPerReservation, 1), !within(s.MaxPerOwner, 1),
		s.OwnerPeriod != nil && (*s.OwnerPeriod < models.OwnerPeriodMin || *s.OwnerPeriod > models.OwnerPeriodMax):
		return errors.New("a setting is out of range")
	case s.Title != nil && !utf8.ValidString(*s.Title):
		return errors.New("the title is not valid UTF-8")
	}
	if s.Buffers != nil {
		if err := s.Buffers.Check(); err != nil {
			return err
		}
	}
	for i := range s.Levels {
		if l := &s.Levels[i]; !idFits(l.LocationID) {
			return fmt.Errorf("level %d: bad location id", i)
		} else if err := l.Check(-models.QuantityMax); err != nil {
			return fmt.Errorf("level %d: %w", i, err)
		}
	}
	return nil
}

func idFits(id string) bool {
	return id != "" && len(id) <= utf8.UTFMax*models.IDLengthMax && utf8.ValidString(id) &&
		(len(id) <= models.IDLengthMax || utf8.RuneCountInString(id) <= models.IDLengthMax)
}

// within reports whether the tables' CHECK constraints allow a setting; nil is
// always allowed.
func within(n *int, low int) bool { return n == nil || *n >= low && *n <= models.QuantityMax }
