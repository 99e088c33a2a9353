package dialect

import (
	"crypto/rand"
	"database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"onhand/models"
	"onhand/models/channel"
	"onhand/store/database/decide"
)

// Rows is what pgx and database/sql results have in common.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
}

// Instant scans a time from either engine: a timestamp from Postgres,
// microseconds since 1970 from SQLite.
type Instant struct{ time.Time }

// Scan implements sql.Scanner.
func (i *Instant) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		i.Time = time.Time{}
	case time.Time:
		i.Time = v.UTC()
	case int64:
		i.Time = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("a time came as %T", v)
	}
	return nil
}

// Value implements driver.Valuer. gorm asks for it; times are written by [Fragments.Moment].
func (i Instant) Value() (driver.Value, error) { return i.Time, nil }

// Pointer returns nil for "no time".
func (i Instant) Pointer() *time.Time {
	if i.IsZero() {
		return nil
	}
	t := i.Time
	return &t
}

// JSONList is a list of texts as one parameter, the same for both engines.
func JSONList(values []string) string {
	if values == nil {
		return "[]"
	}
	raw, _ := json.Marshal(values) // strings; cannot fail
	return string(raw)
}

// NewEpoch returns a random name for an epoch.
func NewEpoch() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	return hex.EncodeToString(b[:])
}

// LevelColumns are the columns of a level l and its location c, for [ScanLevel].
const LevelColumns = "l.product_id, l.location_id, l.available, l.reserved, l.committed, l.damaged, l.quality_control, l.safety_stock, l.incoming, c.active, c.priority"

// ScanLevel scans LevelColumns.
func ScanLevel(r Rows) (*models.Level, error) {
	var l models.Level
	err := r.Scan(&l.ProductID, &l.LocationID, &l.Available, &l.Reserved, &l.Committed, &l.Damaged,
		&l.QualityControl, &l.SafetyStock, &l.Incoming, &l.Active, &l.Priority)
	return &l, err
}

// ProductColumns are the columns of a product p, for [ScanProduct].
const ProductColumns = "p.product_id, p.title, p.tracked, p.inventory_policy, p.backorder_limit, p.low_stock_threshold, p.max_per_reservation, p.max_per_owner, p.owner_period, p.next_restock_at, p.channel_buffers, p.version"

// ScanProduct scans ProductColumns.
func ScanProduct(r Rows) (*models.Product, error) {
	var (
		p       models.Product
		restock Instant
		buffers *string
	)
	err := r.Scan(&p.ProductID, &p.Title, &p.Tracked, &p.InventoryPolicy, &p.BackorderLimit,
		&p.LowStockThreshold, &p.MaxPerReservation, &p.MaxPerOwner, &p.OwnerPeriod, &restock, &buffers, &p.Version)
	p.NextRestockAt = restock.Pointer()
	if err == nil {
		p.Buffers, err = channel.Decode(buffers)
	}
	return &p, err
}

// RevisedProductColumns are those of a product with its settings revision; Postgres
// only.
const RevisedProductColumns = ProductColumns + ", p.settings_revision"

// ScanRevisedProduct scans RevisedProductColumns.
func ScanRevisedProduct(r Rows) (*decide.RevisedProduct, error) {
	var revision int64
	p, err := ScanProduct(Trailing{Rows: r, More: []any{&revision}})
	return &decide.RevisedProduct{Product: *p, SettingsRevision: revision}, err
}

// Each scans every row and hands it to keep.
func Each[T any](r Rows, scan func(Rows) (T, error), keep func(T)) error {
	for r.Next() {
		v, err := scan(r)
		if err != nil {
			return err
		}
		keep(v)
	}
	return r.Err()
}

// Leading scans one more column before the others.
type Leading struct {
	Rows
	First any
}

// Scan implements [Rows].
func (l Leading) Scan(dest ...any) error {
	return l.Rows.Scan(append([]any{l.First}, dest...)...)
}
