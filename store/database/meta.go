package database

import (
	"context"

	"onhand/store/database/decide"
	"onhand/store/database/dialect"
)

// Meta is what the database says of itself.
type Meta struct {
	// Epoch names the history that versions belong to.
	Epoch string
	// Sequence is the largest outbox id ever given. It only falls when the
	// database goes back in time.
	Sequence int64
	// DirectoryVersion grows when locations or channels change.
	DirectoryVersion int64

	secret *decide.Secret // nil: not read yet
}

// ReadMeta asks the database what it is, and remembers it.
func (d *Database) ReadMeta(ctx context.Context) (Meta, error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	var (
		m      Meta
		secret string
	)
	row := db.Raw("SELECT epoch, directory_version, reservation_secret, " +
		d.Fragments.Sequence + " FROM onhand_meta").Row()
	if err := row.Scan(&m.Epoch, &m.DirectoryVersion, &secret, &m.Sequence); err != nil {
		return Meta{}, d.Fault(err)
	}
	m.secret = decide.NewSecret(secret)
	d.meta.Store(&m)
	return m, nil
}

// Epoch is the history this process believes in: empty until the database was
// first reached.
func (d *Database) Epoch() string {
	if m := d.meta.Load(); m != nil {
		return m.Epoch
	}
	return ""
}

// NewEpoch starts another history, so that nothing kept from the old one is
// believed any more. Only the first of several copies that notice the same
// thing has an effect: it counts only while the epoch is still the old one.
func (d *Database) NewEpoch(ctx context.Context, old string) error {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	return d.Fault(db.Exec("UPDATE onhand_meta SET epoch = ? WHERE epoch = ?", dialect.NewEpoch(), old).Error)
}

// secrets returns the epoch and the secret as they were read last.
func (d *Database) epochAndSecret() (epoch string, secret *decide.Secret) {
	if m := d.meta.Load(); m != nil {
		return m.Epoch, m.secret
	}
	return "", nil
}
