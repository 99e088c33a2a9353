package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/decide/readset"
	"onhand/store/database/dialect"
	"onhand/store/database/postgres/holdersql"
)

const (
	overdueOfSQL = `SELECT reservation_id, json_array_length(lines) FROM reservations WHERE state = 'ACTIVE' AND expires_at <= (SELECT clock_timestamp())
		AND (jsonb_path_query_array(lines::jsonb, '$[*].productId') ?| $1 OR counted AND holder = ANY ($3))
		ORDER BY expires_at LIMIT $2`

	reservationsSQL = `SELECT ` + dialect.ReservationColumns + ` FROM reservations
		WHERE reservation_id = ANY ($1) ORDER BY reservation_id FOR UPDATE`

	// Without a lock: the reservation that a key made before is returned as it is.
	keyedSQL = `SELECT ` + dialect.ReservationColumns + ` FROM reservations WHERE reservation_id = ANY ($1)`

	// Locks levels before products, as the triggers do, each in order of ids. The
	// statements after this one see what was committed before it got the locks. The last
	// column is how many levels it locked. A batch that names no reservations has this
	// statement of its own, which plans no UNION.
	lockSQL = `WITH locked AS MATERIALIZED (
			SELECT 1 FROM stock_levels l WHERE l.product_id = ANY ($1) ORDER BY l.product_id, l.location_id ` + dialect.LevelLock + `)
		SELECT ` + dialect.RevisedProductColumns + `, (SELECT count(*) FROM locked) FROM products p WHERE p.product_id = ANY ($1) AND (SELECT count(*) FROM locked) >= 0
		ORDER BY p.product_id ` + dialect.ProductLock
	levelsSQL = `SELECT ` + dialect.LevelColumns + ` FROM stock_levels l JOIN locations c USING (location_id) WHERE l.product_id = ANY ($1)`

	reservedProductsSQL = `(SELECT unnest($1::text[]) COLLATE "C" AS product_id
		UNION SELECT line->>'productId' FROM reservations, json_array_elements(lines) line WHERE reservation_id = ANY ($2))`

	// Uncorrelated, so that Postgres counts once. A batch that is too large locks and
	// reads no levels.
	reservedLinesSQL = `(SELECT coalesce(sum(json_array_length(lines)), 0) FROM reservations WHERE reservation_id = ANY ($2))`

	lockReservedSQL = `WITH ids AS MATERIALIZED (SELECT product_id FROM ` + reservedProductsSQL + ` i WHERE ` + reservedLinesSQL + ` <= $3::bigint),
		locked AS MATERIALIZED (
			SELECT 1 FROM ids JOIN stock_levels l ON l.product_id = ids.product_id ORDER BY l.product_id, l.location_id ` + dialect.LevelLock + `)
		SELECT ` + dialect.RevisedProductColumns + `, (SELECT count(*) FROM locked) FROM ids JOIN products p ON p.product_id = ids.product_id WHERE (SELECT count(*) FROM locked) >= 0
		ORDER BY p.product_id ` + dialect.ProductLock
	reservedLevelsSQL = `SELECT ` + dialect.LevelColumns + ` FROM ` + reservedProductsSQL + ` i
		JOIN stock_levels l ON l.product_id = i.product_id JOIN locations c USING (location_id)
		WHERE ` + reservedLinesSQL + ` <= $3::bigint`

	keysSQL      = `SELECT key_hash, fingerprint, answer FROM idempotency_keys WHERE key_hash = ANY ($1)`
	locationsSQL = `SELECT location_id, name, priority, active, pickup FROM locations WHERE location_id = ANY ($1)`
	channelsSQL  = `SELECT ` + dialect.MemberColumns + ` FROM channels c LEFT JOIN channel_locations m USING (channel_id)
		WHERE c.channel_id = ANY ($1) OR c.channel_id IN (SELECT channel FROM reservations WHERE reservation_id = ANY ($2))`

	// The first active location of channels, for levels that are made there. Its lock keeps
	// it active until the commit.
	firstSQL = `SELECT c.id, l.* FROM unnest($1::text[]) c(id) CROSS JOIN LATERAL (
		SELECT location_id, name, priority, active, pickup FROM locations l WHERE active AND (c.id = ''
			OR EXISTS (SELECT 1 FROM channel_locations m WHERE m.channel_id = c.id AND m.location_id = l.location_id))
		ORDER BY priority, location_id LIMIT 1 FOR KEY SHARE) l`

	// Sent before locations and channels are read, which are not locked: the cached
	// directory may be newer than the version it is kept under, never older.
	directorySQL = `SELECT directory_version FROM onhand_meta`

	// Sent last, so that Postgres reads the clock with all locks taken. min(expires_at)
	// is the first entry of an index; EXISTS would scan all active reservations.
	clockSQL = `SELECT epoch, clock_timestamp(), coalesce((
		SELECT min(expires_at) FROM reservations WHERE state = 'ACTIVE') <= clock_timestamp(), false) FROM onhand_meta`
)

// OverdueOf implements [dialect.Transaction].
func (t *transaction) OverdueOf(ctx context.Context, products, holders []string, limit int) (found []dialect.OverdueLines, err error) {
	err = t.pipeline(ctx, func(b *pgx.Batch) {
		b.Queue(overdueOfSQL, products, limit, holders).Query(func(r pgx.Rows) error {
			return dialect.Each(r, dialect.ScanOverdueLines, func(o dialect.OverdueLines) { found = append(found, o) })
		})
	})
	return found, err
}

// Load implements [dialect.Transaction].
func (t *transaction) Load(ctx context.Context, w readset.ReadSet, linesMax int) (*decide.UnitOfWork, error) {
	u, reservedLines, locked, read := decide.NewUnitOfWork(), 0, 0, 0
	err := t.pipeline(ctx, func(b *pgx.Batch) {
		queueFirstLocks(b, u, w)
		lock, levels, args := lockSQL, levelsSQL, []any{w.Products}
		if len(w.Reservations) > 0 {
			b.Queue(reservationsSQL, byteSlices(w.Reservations)).Query(func(r pgx.Rows) error {
				return dialect.Each(r, dialect.ScanReservation, func(s *decide.StoredReservation) {
					u.Reservations[s.Key] = s
					reservedLines += len(s.Lines)
				})
			})
			lock, levels, args = lockReservedSQL, reservedLevelsSQL, []any{w.Products, byteSlices(w.Reservations), linesMax}
		}
		locations, channels := placesSQL(w.ChangesSettings)
		b.Queue(lock, args...).Query(func(r pgx.Rows) error {
			return dialect.Each(r, scanLocked(&locked), u.AddProduct)
		})
		b.Queue(levels, args...).Query(func(r pgx.Rows) error {
			return dialect.Each(r, dialect.ScanLevel, func(l *models.Level) { u.AddLevel(l); read++ })
		})
		if len(w.AnswerKeys) > 0 {
			b.Queue(keysSQL, byteSlices(w.AnswerKeys)).Query(func(r pgx.Rows) error { return dialect.Each(r, dialect.ScanAnswer, u.AddAnswer) })
		}
		b.Queue(directorySQL).QueryRow(func(r pgx.Row) error { return r.Scan(&u.Directory) })
		if len(w.Locations) > 0 {
			b.Queue(locations, w.Locations).Query(func(r pgx.Rows) error {
				return dialect.Each(r, dialect.ScanLocation, func(l models.Location) { u.Locations[l.LocationID] = l })
			})
		}
		if len(w.Channels)+len(w.UpdatedReservations) > 0 {
			b.Queue(channels, w.Channels, byteSlices(w.UpdatedReservations)).Query(func(r pgx.Rows) error { return dialect.Each(r, dialect.ScanMember, u.AddMember) })
		}
		queueSome(b, u, w)
		if len(w.KeyedReservations) > 0 { // after the levels, which the writer of an earlier one with this key had locked
			b.Queue(keyedSQL, byteSlices(w.KeyedReservations)).Query(func(r pgx.Rows) error {
				return dialect.Each(r, dialect.ScanReservation, func(s *decide.StoredReservation) {
					if u.Reservations[s.Key] == nil {
						u.Reservations[s.Key] = s
					}
				})
			})
		}
		b.Queue(clockSQL).QueryRow(func(r pgx.Row) error {
			var now dialect.Instant
			defer func() { u.Now = now.Time }()
			return r.Scan(&u.Epoch, &now, &u.AnyOverdue)
		})
	})
	switch {
	case err != nil:
	case reservedLines > linesMax:
		err = dialect.ErrTooLarge
	case read > locked:
		err = errNewLevel
	}
	return u, err
}

// queueFirstLocks takes the locks that come before those of rows that are read.
func queueFirstLocks(b *pgx.Batch, u *decide.UnitOfWork, w readset.ReadSet) {
	if w.ChangesSettings {
		b.Queue(settingsLockSQL)
	}
	holdersql.QueueLocks(b, &u.Holdings, &w.Held, byteSlices(w.Reservations))
}

// placesSQL are the statements that read locations and channels. A change of settings
// locks them: a field that its row leaves out keeps its value, so no other writer may
// change it meanwhile.
func placesSQL(lock bool) (locations, channels string) {
	if lock {
		return locationsSQL + " ORDER BY location_id FOR NO KEY UPDATE", channelsSQL + " ORDER BY c.channel_id FOR NO KEY UPDATE OF c"
	}
	return locationsSQL, channelsSQL
}

// errNewLevel: a level was made while this transaction waited for its product. It is not
// locked. To lock it now would be against the order of locks, and could be a deadlock.
var errNewLevel = fmt.Errorf("%w: a level was made meanwhile", dialect.ErrRetry)

// scanLocked scans a row of lockSQL.
func scanLocked(locked *int) func(dialect.Rows) (*decide.RevisedProduct, error) {
	return func(r dialect.Rows) (*decide.RevisedProduct, error) {
		return dialect.ScanRevisedProduct(dialect.Trailing{Rows: r, More: []any{locked}})
	}
}

// queueSome reads what few batches need.
func queueSome(b *pgx.Batch, u *decide.UnitOfWork, w readset.ReadSet) {
	holdersql.QueueHoldings(b, &u.Holdings, &w.Held)
	holdersql.QueuePurchases(b, &u.Purchases, &w.Purchases)
	queueFirst(b, u, w.First)
	queueCounts(b, u, w.Counts)
}

// queueFirst reads the first active location of channels.
func queueFirst(b *pgx.Batch, u *decide.UnitOfWork, channels []string) {
	if len(channels) == 0 {
		return
	}
	u.NoFirst(channels)
	b.Queue(firstSQL, channels).Query(func(r pgx.Rows) error { return dialect.Each(r, dialect.ScanFirst, u.AddFirst) })
}

// Save implements [dialect.Transaction] by one pipeline. Settings, which are rare, are
// written by gorm before.
func (t *transaction) Save(ctx context.Context, u *decide.UnitOfWork) (stocks []*models.Stock, err error) {
	if u.Settings.Any() {
		if err := dialect.MarkRetry(dialect.SaveSettings(t.engine.db.Session(ctx, t.conn), t.engine.db.Fragments, u.Settings)); err != nil {
			return nil, err
		}
	}
	stocks = u.CommittedStocks()
	err = t.pipeline(ctx, func(b *pgx.Batch) {
		created := u.LevelsToSave(true)
		if len(created) > 0 {
			b.Queue(insertLevelsSQL, levelColumnsOf(created)...)
		}
		if products := u.ChangedProducts(); len(products) > 0 {
			changed := u.LevelsToSave(false)
			b.Queue(updateLevelsSQL, append(levelColumnsOf(changed), versionColumns(u, products)...)...)
		}
		t.queueReservations(b, u, true)
		t.queueReservations(b, u, false)
		holdersql.QueueChanges(b, &u.Holdings)
		t.queueMovements(b, u)
		t.queueAnswers(b, u)
		t.queueRecords(b, u)
		// Only now are the settings of products and the locations of new levels known: the
		// foreign key locks a location when a level is inserted there.
		if len(u.Settings.Products)+len(created) > 0 {
			b.Queue(readBackSQL, dialect.JSONList(u.PublishedProducts())).Query(func(r pgx.Rows) (err error) {
				if stocks, _, err = dialect.CollectStocks(r); err == nil {
					u.ReplaceLevels(stocks)
				}
				return err
			})
		}
		b.Queue("COMMIT")
	})
	return stocks, err
}

// readBackSQL reads products that were just written, while their rows are locked.
var readBackSQL = strings.ReplaceAll(dialect.StockSelect(&fragments), "?::json", "$1::json")

const (
	eachLevel = `(SELECT unnest($1::text[]) AS product_id, unnest($2::text[]) AS location_id, unnest($3::int[]) AS available, unnest($4::int[]) AS reserved,
		unnest($5::int[]) AS committed, unnest($6::int[]) AS damaged, unnest($7::int[]) AS quality_control, unnest($8::int[]) AS safety_stock,
		unnest($9::int[]) AS incoming) v`
)

var (
	// Updates levels, versions and the outbox: for outside writers triggers do the last
	// two.
	updateLevelsSQL = `WITH levels AS (
			UPDATE stock_levels l SET available = v.available, reserved = v.reserved, committed = v.committed,
				damaged = v.damaged, quality_control = v.quality_control, safety_stock = v.safety_stock, incoming = v.incoming
			FROM ` + eachLevel + ` WHERE l.product_id = v.product_id AND l.location_id = v.location_id),
		versions AS (
			UPDATE products p SET version = v.version FROM (SELECT unnest($10::text[]) AS product_id, unnest($11::bigint[]) AS version) v
			WHERE p.product_id = v.product_id)
		INSERT INTO outbox (product_id, version) SELECT unnest($10::text[]), unnest($11::bigint[])`

	insertLevelsSQL = `INSERT INTO stock_levels (product_id, location_id, available, reserved, committed, damaged, quality_control, safety_stock, incoming)
		SELECT v.* FROM ` + eachLevel

	insertReservationsSQL = `INSERT INTO reservations (` + dialect.NewReservationColumns + `)
		SELECT unnest($1::bytea[]), unnest($2::text[]), unnest($3::json[]), unnest($4::text[]), unnest($5::text[]), unnest($6::text[]), unnest($7::text[]), unnest($8::bytea[]),
			unnest($9::bigint[]), $10::timestamptz, unnest($11::timestamptz[]), unnest($12::int[]) & 1 <> 0, unnest($12::int[]) & 2 <> 0`

	updateReservationsSQL = `UPDATE reservations r SET state = v.state, lines = v.lines, order_ref = v.order_ref, holder = v.holder, counted = v.flags & 1 <> 0, in_purchases = v.flags & 2 <> 0, extensions = v.extensions,
			version = v.version, ordered_at = v.ordered_at, expires_at = v.expires_at, renewed_at = v.renewed_at
		FROM (SELECT unnest($1::bytea[]) AS reservation_id, unnest($2::text[]) AS state, unnest($3::json[]) AS lines, unnest($4::text[]) AS order_ref,
			unnest($5::bigint[]) AS version, unnest($6::timestamptz[]) AS expires_at, unnest($7::timestamptz[]) AS renewed_at, unnest($8::text[]) AS holder,
			unnest($9::int[]) AS flags, unnest($10::int[]) AS extensions, unnest($11::timestamptz[]) AS ordered_at) v WHERE r.reservation_id = v.reservation_id`

	insertMovementsSQL = `INSERT INTO ledger_rows (` + dialect.MovementColumns + `, created_at, txid)
		SELECT unnest($1::text[]), unnest($2::text[]),
			unnest($3::int[]), unnest($4::int[]), unnest($5::int[]), unnest($6::int[]), unnest($7::int[]), unnest($8::int[]), unnest($9::int[]),
			unnest($10::int[]), unnest($11::int[]), unnest($12::int[]), unnest($13::int[]), unnest($14::int[]), unnest($15::int[]), unnest($16::int[]),
			unnest($17::text[]), unnest($18::text[]), unnest($19::text[]), unnest($20::text[]), unnest($21::bytea[]), unnest($22::bigint[]),
			$23::timestamptz, (SELECT pg_current_xact_id()::text::bigint)`

	insertAnswersSQL = `INSERT INTO idempotency_keys (key_hash, fingerprint, answer)
		SELECT unnest($1::bytea[]), unnest($2::bytea[]), unnest($3::jsonb[])`
)

// About how long the texts of a row are, in bytes.
const (
	idSize     = 16
	reasonSize = 10
	linesSize  = 128
)

func levelColumnsOf(levels []*models.Level) []any {
	products, locations, q := textColumn(len(levels), idSize), textColumn(len(levels), idSize), newQuantityColumns(len(levels))
	for _, l := range levels {
		products.text(l.ProductID)
		locations.text(l.LocationID)
		q.add(l.Quantities)
	}
	return append([]any{products, locations}, q.args()...)
}

// versionColumns are products with their next versions.
func versionColumns(u *decide.UnitOfWork, touched []string) []any {
	products, versions := textColumn(len(touched), idSize), longColumn(len(touched))
	for _, id := range touched {
		products.text(id)
		versions.long(u.Products[id].Version + 1)
	}
	return []any{products, versions}
}

// queueReservations writes reservations that were created, or those that changed.
func (t *transaction) queueReservations(b *pgx.Batch, u *decide.UnitOfWork, created bool) {
	list := u.ReservationsToSave(created)
	n := len(list)
	if n == 0 {
		return
	}
	keys, states, lines, orders := bytesColumn(n, 16), textColumn(n, reasonSize), linesColumn(n, t.engine.json()), textColumn(n, 0)
	channels, owners, holders, prints := textColumn(n, 0), textColumn(n, 0), textColumn(n, 0), bytesColumn(n, 16)
	versions, expires, renewed, ordered, flags, extensions := longColumn(n), timeColumn(n), timeColumn(n), timeColumn(n), intColumn(n), intColumn(n)
	for _, s := range list {
		keys.bytes(s.Key[:])
		states.text(string(s.State))
		lines.lines(s.Lines)
		channels.text(s.Channel)
		owners.text(s.Owner)
		holders.text(string(s.Holder))
		flags.int(flagsOf(s.Counted, s.InPurchases))
		extensions.int(s.Extensions)
		orders.text(s.Order)
		prints.bytes(s.Fingerprint)
		versions.long(s.Version)
		expires.time(s.ExpiresAt)
		renewed.time(s.RenewedAt)
		if s.OrderedAt.IsZero() {
			ordered.null()
		} else {
			ordered.time(s.OrderedAt)
		}
	}
	if created {
		b.Queue(insertReservationsSQL, keys, states, lines, channels, owners, holders, orders, prints, versions, u.Now, expires, flags)
	} else {
		b.Queue(updateReservationsSQL, keys, states, lines, orders, versions, expires, renewed, holders, flags, extensions, ordered)
	}
}

func (t *transaction) queueAnswers(b *pgx.Batch, u *decide.UnitOfWork) {
	n := len(u.NewAnswers)
	if n == 0 {
		return
	}
	keys, prints, answers := bytesColumn(n, 16), bytesColumn(n, 16), jsonColumn(n, linesSize)
	for _, key := range decide.BinaryKeys(u.NewAnswers) {
		stored := u.Answers[key]
		raw, _ := json.Marshal(stored.Answer) // plain structs; cannot fail
		keys.bytes(key[:])
		prints.bytes(stored.Fingerprint)
		answers.json(raw)
	}
	b.Queue(insertAnswersSQL, keys, prints, answers)
}

// flagsOf are two columns of a reservation as the bits of one number.
func flagsOf(counted, inPurchases bool) (flags int) {
	if counted {
		flags = 1
	}
	if inPurchases {
		flags |= 2
	}
	return flags
}

func byteSlices(keys [][16]byte) [][]byte {
	out := make([][]byte, len(keys))
	for i := range keys {
		out[i] = keys[i][:]
	}
	return out
}

// settingsLockSQL lets one settings write run at a time: of two that create the same
// row, one would not see the other's. Rows that exist are locked one by one. The number
// is the lock's name.
const settingsLockSQL = `SELECT pg_advisory_xact_lock(7305804402467468404)`
