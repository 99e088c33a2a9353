package database

import (
	"context"
	"time"

	"onhand/store/database/decide/keyhash"
	"onhand/store/database/dialect"
)

// Meta is what a database says of itself.
type Meta struct {
	// Epoch names the period in which versions compare; a restored database or Redis
	// starts a new one.
	Epoch string
	// Sequence is the largest outbox id ever given. It falls only when the database
	// goes back in time.
	Sequence int64
	// DirectoryVersion grows when locations or channels change.
	DirectoryVersion int64
	// Demo says that the demo shop was loaded into the empty database.
	Demo bool

	secret *keyhash.Secret // nil: not read yet
}

// ReadMeta reads the database's meta and keeps it for the writes that follow.
func (d *Database) ReadMeta(ctx context.Context) (Meta, error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	var row metaRow
	if err := db.Select("epoch, directory_version, demo, reservation_secret, " + d.Fragments.Sequence + " AS sequence").Take(&row).Error; err != nil {
		return Meta{}, d.Fault(err)
	}
	secret := keyhash.NewSecret(row.ReservationSecret)
	secret.JSON = d.json
	m := Meta{Epoch: row.Epoch, Sequence: row.Sequence, DirectoryVersion: row.DirectoryVersion, Demo: row.Demo, secret: secret}
	d.meta.Store(&m)
	return m, nil
}

// IsDemo reports whether the database was marked as the demo shop when its meta was read last.
func (d *Database) IsDemo() bool {
	m := d.meta.Load()
	return m != nil && m.Demo
}

// Bounds of counts.
const (
	// countMax is up to where ReadCounts counts.
	countMax = 10_000
	// countProductsMax is up to where CountProducts counts: some 20 ms.
	countProductsMax = 100_000
)

// RowCounts are numbers of rows, up to 10,000 each.
type RowCounts struct {
	// ActiveReservations are those whose time is not over.
	ActiveReservations int
	Outbox             int
}

// ReadCounts counts rows with one SELECT.
func (d *Database) ReadCounts(ctx context.Context) (c RowCounts, err error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	err = db.Raw(`SELECT (SELECT count(*) FROM (SELECT 1 FROM reservations WHERE state = 'ACTIVE' AND expires_at > `+d.Fragments.Now+` LIMIT ?) r),
		(SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT ?) o)`, countMax, countMax).Row().Scan(&c.ActiveReservations, &c.Outbox)
	return c, d.Fault(err)
}

// CountProducts counts products, up to 100,000.
func (d *Database) CountProducts(ctx context.Context) (n int, err error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	err = db.Raw("SELECT count(*) FROM (SELECT 1 FROM products LIMIT ?) p", countProductsMax).Row().Scan(&n)
	return n, d.Fault(err)
}

// IsEmbedded reports whether the database is a file or memory, and not a server.
func (d *Database) IsEmbedded() bool { return d.Fragments.OneWriter }

// Made reports whether the database has the tables of this program.
//
// Errors: the database does not answer.
func (d *Database) Made(ctx context.Context) (bool, error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	if db.Select("epoch").Take(&metaRow{}).Error == nil {
		return true, nil
	}
	var one int // without the table the database still answers this
	return false, d.Fault(db.Raw("SELECT 1").Scan(&one).Error)
}

// ReadClock reads the database's clock.
func (d *Database) ReadClock(ctx context.Context) (time.Time, error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	var row struct{ Now dialect.Instant }
	if err := db.Raw("SELECT " + d.Fragments.Now + " AS now").Scan(&row).Error; err != nil {
		return time.Time{}, d.Fault(err)
	}
	return row.Now.Time, nil
}

// NewEpoch starts another epoch, so that no copy of the old epoch is used. It has an
// effect only while the epoch is still old: of several instances that notice the same
// thing, the first one counts.
func (d *Database) NewEpoch(ctx context.Context, old string) error {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	return d.Fault(db.Model(&metaRow{}).Where("epoch = ?", old).Update("epoch", dialect.NewEpoch()).Error)
}

// identity returns the epoch and the secret that were read last.
func (d *Database) identity() (epoch string, secret *keyhash.Secret) {
	if m := d.meta.Load(); m != nil {
		return m.Epoch, m.secret
	}
	return "", nil
}

// currentMeta returns the meta with its secret, and reads it where it is missing.
func (d *Database) currentMeta(ctx context.Context) (*Meta, error) {
	if m := d.meta.Load(); m != nil && m.secret != nil {
		return m, nil
	}
	m, err := d.ReadMeta(ctx)
	return &m, err
}

// notice keeps an epoch that came with an answer. Another epoch may have another
// secret, so the secret is dropped.
func (d *Database) notice(epoch string) {
	known := d.meta.Load()
	if epoch == "" || known == nil || known.Epoch == epoch {
		return
	}
	changed := *known
	changed.Epoch, changed.secret = epoch, nil
	d.meta.CompareAndSwap(known, &changed)
}
