package serving

import (
	"time"

	"onhand/models/holderlimits"
)

// holderSettings are the limits of what one holder of reservations may keep.
type holderSettings struct {
	HolderLimits             string        `name:"holder-limits" env:"HOLDER_LIMITS" enum:"on,off" default:"on" help:"on, or off: a holder of reservations may keep any stock." more:"[holders](limits.md#holders)"`
	HolderReservationsMax    int           `name:"holder-reservations-max" env:"HOLDER_RESERVATIONS_MAX" default:"100" help:"Active reservations of one subject, or of one ownerRef that an order service names."`
	AddressReservationsMax   int           `name:"address-reservations-max" env:"ADDRESS_RESERVATIONS_MAX" default:"1000" help:"Active reservations of one address without a token, which many shoppers may share."`
	HolderUnitsMax           int           `name:"holder-units-max" env:"HOLDER_UNITS_MAX" default:"1000" help:"Units of one product in the active reservations of one subject or ownerRef."`
	AddressUnitsMax          int           `name:"address-units-max" env:"ADDRESS_UNITS_MAX" default:"5000" help:"The same of one address."`
	HolderShareMax           int           `name:"holder-share-max" env:"HOLDER_SHARE_MAX" default:"50" help:"The part of a product's stock in the active reservations of one holder, in percent; 100 for no such limit."`
	HolderShareFloor         int           `name:"holder-share-floor" env:"HOLDER_SHARE_FLOOR" default:"10" help:"Units of one product that a holder may have whatever part of the stock they are."`
	ReservationExtensionsMax int           `name:"reservation-extensions-max" env:"RESERVATION_EXTENSIONS_MAX" default:"100" help:"How often one reservation may be extended."`
	ReservationKeepMax       time.Duration `name:"reservation-keep-max" env:"RESERVATION_KEEP_MAX" default:"48h" help:"How long one reservation may keep its stock, from its creation on; RESERVATION_TTL_MAX at least."`
}

// limits are the settings as the store takes them.
func (s *holderSettings) limits() holderlimits.Limits {
	if s.HolderLimits != on {
		return holderlimits.Limits{}
	}
	return holderlimits.Limits{
		Reservations: s.HolderReservationsMax, AddressReservations: s.AddressReservationsMax,
		Units: s.HolderUnitsMax, AddressUnits: s.AddressUnitsMax, SharePercent: s.HolderShareMax, ShareFloor: s.HolderShareFloor,
		Extensions: s.ReservationExtensionsMax, KeepMax: s.ReservationKeepMax,
	}
}

// check refuses settings that can never work.
func (s *holderSettings) check(ttlMax time.Duration) error {
	if s.HolderLimits != on {
		return nil
	}
	return s.limits().Check(ttlMax)
}
