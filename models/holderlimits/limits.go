package holderlimits

import (
	"fmt"
	"time"

	"onhand/models"
	"onhand/models/owner"
)

// Bounds of uncounted reservations.
const (
	// InstancesMax is how many instances may grant uncounted reservations at once.
	InstancesMax = 8
	// UncountedUnitsMax is how many units of one product an uncounted reservation may have.
	UncountedUnitsMax = 5
	// UncountedTTLMax is the longest time to live of an uncounted reservation.
	UncountedTTLMax = time.Hour
	// uncountedShare: uncounted reservations may take a tenth of a limit at most.
	uncountedShare = 10
)

// wholeShare is the share that is no limit, in percent.
const wholeShare = 100

// Limits are the settings. The zero value has no limits.
type Limits struct {
	// Reservations and AddressReservations are how many active reservations a holder may
	// have: a subject or a customer, and an address, which many shoppers share.
	Reservations, AddressReservations int
	// Units and AddressUnits are how many units of one product its active reservations may
	// have.
	Units, AddressUnits int
	// SharePercent is the part of a product's stock that they may have, in percent; a
	// holder may always have ShareFloor units.
	SharePercent, ShareFloor int
	// Extensions is how often the time to live of a reservation may be restarted.
	Extensions int
	// KeepMax is how long a reservation may keep stock from its creation on.
	KeepMax time.Duration
}

// Default returns the limits of a server without other settings. They do not refuse
// ordinary carts, nor many shoppers behind one address.
func Default() Limits {
	return Limits{
		Reservations: 100, AddressReservations: 1000, Units: 1000, AddressUnits: 5000,
		SharePercent: 50, ShareFloor: 10, Extensions: 100, KeepMax: 48 * time.Hour,
	}
}

// On reports whether there are limits.
func (l Limits) On() bool { return l.Reservations > 0 }

// Check refuses limits that can never work. ttlMax is the longest time to live.
func (l Limits) Check(ttlMax time.Duration) error {
	for _, limit := range []struct {
		name       string
		value, max int
	}{
		{"holder-reservations-max", l.Reservations, models.QuantityMax}, {"address-reservations-max", l.AddressReservations, models.QuantityMax},
		{"holder-units-max", l.Units, models.QuantityMax}, {"address-units-max", l.AddressUnits, models.QuantityMax},
		{"holder-share-max", l.SharePercent, wholeShare}, {"holder-share-floor", l.ShareFloor, models.QuantityMax},
		{"reservation-extensions-max", l.Extensions, models.QuantityMax},
	} {
		if limit.value < 1 || limit.value > limit.max {
			return fmt.Errorf("%s %d must be between 1 and %d", limit.name, limit.value, limit.max)
		}
	}
	if l.KeepMax < ttlMax {
		return fmt.Errorf("reservation-keep-max %s must not be less than reservation-ttl-max %s", l.KeepMax, ttlMax)
	}
	return nil
}

// LimitedHolder is the holder whose limits count for what a caller keeps; empty for none. What an
// order service reserves in its own name, without an ownerRef, has no limits: all shoppers
// may come through it.
func LimitedHolder(h owner.Holder, caller owner.Access) owner.Holder {
	if caller.Orders && caller.Subject != "" && h == owner.OfSubject(caller.Subject) {
		return ""
	}
	return h
}

// shared reports whether many shoppers may be one holder.
func shared(h owner.Holder) bool { return h.Class() == owner.AddressClass }

// ReservationsOf is how many active reservations a holder may have.
func (l Limits) ReservationsOf(h owner.Holder) int {
	if shared(h) {
		return l.AddressReservations
	}
	return l.Reservations
}

// UnitsOf is how many units of a product the active reservations of a holder may have, and
// whether that is a share of its stock. stock is all units of the product that can be sold
// or are promised, and negative for a product that never runs out.
func (l Limits) UnitsOf(h owner.Holder, stock int) (units int, isShare bool) {
	units = l.Units
	if shared(h) {
		units = l.AddressUnits
	}
	if stock < 0 || l.SharePercent == wholeShare {
		return units, false
	}
	share := max((stock*l.SharePercent+wholeShare-1)/wholeShare, l.ShareFloor)
	return min(units, share), share < units
}

// CountedReservations is what a limit of reservations leaves to counted ones.
func CountedReservations(limit int) int { return without(limit, InstancesMax) }

// CountedUnits is what a limit of units leaves to counted reservations.
func CountedUnits(limit int) int { return without(limit, InstancesMax*UncountedUnitsMax) }

func without(limit, uncounted int) int {
	if limit < uncountedShare*uncounted {
		return limit
	}
	return limit - uncounted
}

// AllowsUncounted reports whether a limit of reservations is large enough for
// uncounted ones.
func AllowsUncounted(limit int) bool { return CountedReservations(limit) < limit }

// AllowsUncountedUnits reports whether an uncounted reservation may have so many units of a
// product, under a limit of units.
func AllowsUncountedUnits(units, limit int) bool {
	return units <= UncountedUnitsMax && CountedUnits(limit) < limit
}
