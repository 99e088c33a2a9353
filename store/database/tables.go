package database

import (
	"onhand/models"
	"onhand/models/owner"
	"onhand/store/database/dialect"
)

// The tables that gorm reads and writes, beside models.Product and models.Location.

// metaRow is the one row of onhand_meta.
type metaRow struct {
	Epoch             string
	DirectoryVersion  int64
	ReservationSecret string
	Demo              bool
	Sequence          int64 `gorm:"->"` // computed
}

// TableName names the table for gorm.
func (metaRow) TableName() string { return "onhand_meta" }

// channelRow is a new channel.
type channelRow struct {
	ChannelID string `gorm:"primaryKey"`
	Name      string
}

// TableName names the table for gorm.
func (channelRow) TableName() string { return "channels" }

// memberRow is a channel with one of its locations, nil where it has none, and the
// epoch. Without any channel there is one row, with the epoch alone.
type memberRow struct {
	Epoch           string
	ChannelID, Name string
	Sourcing        models.SourcingOrder
	Buffer          int
	Revision        int64
	LocationID      *string
}

// reservationRow is a reservation as it is stored, with the database's clock.
type reservationRow struct {
	ReservationID []byte `gorm:"primaryKey"`
	State         models.ReservationState
	Lines         []models.ReservationLine `gorm:"serializer:json"`
	Channel       string
	OwnerRef      string
	Holder        owner.Holder
	OrderRef      string
	Version       int64
	CreatedAt     dialect.Instant
	ExpiresAt     dialect.Instant
	Now           dialect.Instant `gorm:"->"` // computed
}

// TableName names the table for gorm.
func (reservationRow) TableName() string { return "reservations" }

// idempotencyKeyRow is a stored answer, as far as retention needs it.
type idempotencyKeyRow struct {
	KeyHash []byte `gorm:"primaryKey"`
}

// TableName names the table for gorm.
func (idempotencyKeyRow) TableName() string { return "idempotency_keys" }

// outboxRow is a change that Redis has not got yet.
type outboxRow struct {
	OutboxID  int64 `gorm:"primaryKey"`
	ProductID string
	Version   int64
}

// TableName names the table for gorm.
func (outboxRow) TableName() string { return "outbox" }
