package rediscache

// Keys gives the names of everything Onhand has in Redis. Prefix, empty in
// production, goes before each name, so that tests can share a server.
type Keys struct{ Prefix string }

// Stock is the hash of one product.
func (k Keys) Stock(productID string) string { return k.Prefix + "inventory:" + productID }

// StockChannel is where one product's changes are published, as
// stockjson.Encode writes them.
func (k Keys) StockChannel(productID string) string {
	return k.Prefix + "inventory_change:" + productID
}

// ReservationChannel is where one reservation's changes are announced; its
// messages are empty, for a reservation is nobody's but its owner's.
func (k Keys) ReservationChannel(reservationID string) string {
	return k.Prefix + "reservation_change:" + reservationID
}

// Feed is the hash that holds the mark.
func (k Keys) Feed() string { return k.Prefix + "inventory_feed" }

// The fields of a product's hash.
const (
	fieldProductID         = "product_id"
	fieldQuantity          = "quantity" // available total over active locations, in units
	fieldVersion           = "version"
	fieldEpoch             = "epoch"
	fieldTitle             = "title"            // absent: none
	fieldTracked           = "tracked"          // 1 or 0
	fieldPolicy            = "inventory_policy" // DENY or CONTINUE
	fieldBackorderLimit    = "backorder_limit"  // absent: models.QuantityMax
	fieldLowStockThreshold = "low_stock_threshold"
	fieldMaxPerReservation = "max_per_reservation" // absent: no bound
	fieldNextRestockAt     = "next_restock_at"     // RFC 3339; absent: not known
	fieldAsOf              = "as_of"               // RFC 3339
	fieldLevels            = "levels"              // as stockjson.EncodeLevels writes them
	fieldPublished         = "published"           // the version subscribers were told of; absent: none
	fieldMissing           = "missing"             // 1: there is no such product
	fieldLease             = "lease"               // who may fill it; alone in the hash: not cached
)

// The fields of the feed's hash.
const (
	fieldSequence = "sequence"
	fieldRunIDs   = "run_ids"
)
