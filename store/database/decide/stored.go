package decide

import (
	"encoding/hex"
	"strings"
	"time"

	"onhand/models"
	"onhand/models/ids"
	"onhand/store/database/decide/holderusage"
)

// ReservationKey turns a reservation's public id into its key of 16 bytes; ok is
// false for any other text.
func ReservationKey(id string) (key [16]byte, ok bool) {
	digits, found := strings.CutPrefix(id, ids.ReservationPrefix)
	if !found || len(digits) != 32 || strings.ToLower(digits) != digits {
		return key, false
	}
	_, err := hex.Decode(key[:], []byte(digits))
	return key, err == nil
}

// ReservationID turns a reservation's key into its public id.
func ReservationID(key []byte) string { return ids.ReservationPrefix + hex.EncodeToString(key) }

// StoredReservation is a reservation with what only the database knows of it.
type StoredReservation struct {
	models.Reservation
	Key         [16]byte
	Fingerprint []byte // of the write that created it
	// RenewedAt is when the time to live was restarted last: at the creation, or by an
	// extension or update.
	RenewedAt time.Time
	// Counted: the holder's holdings include it while it is active.
	Counted bool
	// InPurchases: purchases include it, while it is active and as an order.
	InPurchases bool
	OrderedAt   time.Time // zero before it became an order
	Extensions  int       // how often the time to live was restarted
}

// contribution is what the reservation adds to holdings.
func (s *StoredReservation) contribution() holderusage.Contribution {
	return holderusage.Contribution{Holder: s.Holder, Counts: s.Counted && s.State == models.ReservationActive, Lines: s.Lines}
}

// ttl is the reservation's own time to live: the one that was asked for last.
func (s *StoredReservation) ttl() time.Duration { return s.ExpiresAt.Sub(s.RenewedAt) }

// renew restarts the time to live.
func (s *StoredReservation) renew(now time.Time, ttl time.Duration) {
	s.RenewedAt, s.ExpiresAt = now, now.Add(ttl)
	s.Extensions++
}

// RevisedProduct is a product with its settings revision: a number that grows when
// the product's settings or its list of levels change, and stays when only quantities
// do. Triggers maintain it for every writer.
type RevisedProduct struct {
	models.Product
	SettingsRevision int64
}

// ChannelMember is a channel with one of its locations; empty where it has none.
type ChannelMember struct {
	models.Channel
	Location string
}

// AddMember keeps a channel and one of its locations that were loaded.
func (u *UnitOfWork) AddMember(m ChannelMember) {
	c := u.Channels[m.ChannelID]
	if c == nil {
		c = &models.ChannelMembers{Channel: m.Channel, Members: map[string]bool{}}
		u.Channels[m.ChannelID] = c
	}
	if m.Location != "" {
		c.LocationIDs = append(c.LocationIDs, m.Location)
		c.Members[m.Location] = true
	}
}
