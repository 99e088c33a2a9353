package models

import "time"

// Every list, text and number a client may send has a bound. They are named
// here so that schema descriptions, checks and tests say the same.
const (
	// IDLengthMax is the longest product, location or channel id in characters.
	IDLengthMax = 255
	// StocksMax is how many products one stocks query or subscription may name.
	StocksMax = 250
	// ReservationLinesMax is how many lines one reservation may have. The
	// largest real basket we replay has 1,114.
	ReservationLinesMax = 2000
	// StockRowsMax is how many rows one bulk stock write may have.
	StockRowsMax = 1000
	// ProductRowsMax and PlaceRowsMax are how many products, and how many
	// locations or channels, one write may make or change.
	ProductRowsMax = 1000
	PlaceRowsMax   = 250
	// ChannelLocationsMax is how many locations one write may give to a channel.
	ChannelLocationsMax = 1000
	// QuantityMax is the largest amount of one state of one level, and of one
	// line. It keeps sums of a few levels inside 32 bits.
	QuantityMax = 1_000_000_000
	// TextLengthMax is the longest free text (note, reference, owner, order) in characters.
	TextLengthMax = 255
	// IdempotencyKeyLengthMax is the longest idempotency key in characters.
	IdempotencyKeyLengthMax = 255
	// PageSizeMax and PageSizeDefault bound a connection's page.
	PageSizeMax     = 250
	PageSizeDefault = 50
	// ReservationTTLMin is the shortest time to live of a reservation.
	ReservationTTLMin = time.Second
	// VersionMax is the largest version: 2^53 - 1. JSON readers and Redis scripts
	// count in floating point, where it is the last whole number that differs from
	// its neighbour.
	VersionMax = 1<<53 - 1
)
