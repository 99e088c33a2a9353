package rediscache

// Keys names every Redis key and channel of Onhand. Prefix is empty in
// production; tests that share a server each have their own.
type Keys struct{ Prefix string }

// Stock is the key of a product's hash.
func (k Keys) Stock(productID string) string { return k.Prefix + "inventory:" + productID }

// StockChannel is the channel of a product's changes. A message is
// JSON, as [stockbinary.Fields.Message] writes it.
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

// Quota is the key of a bucket's hash: what one caller has left of one quota.
func (k Keys) Quota(bucket string) string { return k.Prefix + "rate:" + bucket }

// Fields of a product's hash.
const (
	fieldProductID = "product_id"
	fieldQuantity  = "quantity" // units available over all active locations
	fieldVersion   = "version"
	fieldEpoch     = "epoch"
	fieldStock     = "stock"     // all else of the stock, as stockbinary encodes it
	fieldPublished = "published" // the version that was published; absent: none
	fieldMissing   = "missing"   // 1 in a negative entry; absent otherwise
	fieldLease     = "lease"     // the Lease that a fill must have
)

// Fields of the watermark's hash, beside fieldEpoch.
const (
	fieldSequence = "sequence"
	fieldRunIDs   = "run_ids"
)
