package rediscache

// Keys names every Redis key and channel of Onhand. Prefix is empty in
// production; tests that share a server each have their own.
type Keys struct{ Prefix string }

// Stock is the key of a product's hash.
func (k Keys) Stock(productID string) string { return k.Prefix + "inventory:" + productID }

// StockChannel is the channel of a product's changes. A message is the stock as
// stockjson.Encode writes it.
func (k Keys) StockChannel(productID string) string {
	return k.Prefix + "inventory_change:" + productID
}

// ReservationChannel is the channel of a reservation's changes. Its messages
// are empty, because only the owner of the reservation may read it.
func (k Keys) ReservationChannel(reservationID string) string {
	return k.Prefix + "reservation_change:" + reservationID
}

// DirectoryChannel is the channel that says that locations or channels have changed.
// Its messages are empty: every instance reads them from the database.
func (k Keys) DirectoryChannel() string { return k.Prefix + "directory_change" }

// Watermark is the key of the watermark's hash.
func (k Keys) Watermark() string { return k.Prefix + "inventory_watermark" }

// Fields of a product's hash.
const (
	fieldProductID         = "product_id"
	fieldQuantity          = "quantity" // units available over all active locations
	fieldVersion           = "version"
	fieldEpoch             = "epoch"
	fieldTitle             = "title"            // absent: none
	fieldTracked           = "tracked"          // 1 or 0
	fieldPolicy            = "inventory_policy" // DENY or CONTINUE
	fieldBackorderLimit    = "backorder_limit"  // absent: models.QuantityMax
	fieldLowStockThreshold = "low_stock_threshold"
	fieldMaxPerReservation = "max_per_reservation" // absent: no limit
	fieldNextRestockAt     = "next_restock_at"     // RFC 3339; absent: unknown
	fieldChannelBuffers    = "channel_buffers"     // units by channel, as JSON; absent: none
	fieldAsOf              = "as_of"               // RFC 3339
	fieldLevels            = "levels"              // as stockjson.EncodeLevels writes them
	fieldPublished         = "published"           // the version that was published; absent: none
	fieldMissing           = "missing"             // 1 in a negative entry; absent otherwise
	fieldLease             = "lease"               // the Lease that a fill must have
)

// Fields of the watermark's hash, beside fieldEpoch.
const (
	fieldSequence = "sequence"
	fieldRunIDs   = "run_ids"
)
