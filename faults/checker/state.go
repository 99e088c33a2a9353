package checker

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/faults/load"
	"onhand/faults/model"
	"onhand/models"
	"onhand/models/stockbinary"
)

// readLimit bounds one reading of Postgres or Redis by the checks.
const readLimit = 10 * time.Second

// reading is a context for one reading.
func reading() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), readLimit)
}

// ProductState is what the database, or Redis, has of a product.
type ProductState struct {
	Version int64
	model.StateCounts
	Level models.Quantities
}

// Stored reads all products of the scenario from the database, in one statement, with the epoch.
func (c *Checker) Stored(ctx context.Context) (products map[string]ProductState, epoch string, err error) {
	rows, err := c.Database.Query(ctx, selectProducts, load.Location, c.Target.Products)
	if err != nil {
		return nil, "", err
	}
	products = map[string]ProductState{}
	var id string
	var p ProductState
	q := &p.Level
	_, err = pgx.ForEachRow(rows, []any{&id, &p.Version, &q.Available, &q.Reserved, &q.Committed, &q.Damaged, &q.QualityControl, &q.SafetyStock, &q.Incoming, &epoch}, func() error {
		p.StateCounts = model.StateCounts{Available: q.Available, Reserved: q.Reserved, Committed: q.Committed}
		products[id] = p
		return nil
	})
	return products, epoch, err
}

// Cached reads the products of the scenario from Redis. It leaves out those without a hash, or with one of another epoch.
func (c *Checker) Cached(ctx context.Context, epoch string) (map[string]ProductState, error) {
	products := map[string]ProductState{}
	for _, id := range c.Target.Products {
		hash, err := c.Cache.HGetAll(ctx, CacheKey(id)).Result()
		if err != nil {
			return nil, err
		}
		if hash["version"] == "" || hash["epoch"] != epoch {
			continue
		}
		if products[id], err = decodeHash(id, hash); err != nil {
			return nil, err
		}
	}
	return products, nil
}

// CacheKey is the key of a product's hash.
func CacheKey(productID string) string { return "inventory:" + productID }

func decodeHash(id string, hash map[string]string) (p ProductState, err error) {
	if p.Version, err = strconv.ParseInt(hash["version"], 10, 64); err != nil {
		return p, err
	}
	stock, err := DecodeStock(hash)
	if err != nil {
		return p, err
	}
	for _, l := range stock.Levels {
		if l.LocationID == load.Location {
			p.Level = l.Quantities
		}
	}
	p.StateCounts = model.StateCounts{Available: p.Level.Available, Reserved: p.Level.Reserved, Committed: p.Level.Committed}
	if hash["quantity"] != strconv.Itoa(p.Level.Available) {
		return p, fmt.Errorf("%s: quantity is %s, and its levels say %d", id, hash["quantity"], p.Level.Available)
	}
	return p, nil
}

// DecodeStock reads the stock of a product's hash.
func DecodeStock(hash map[string]string) (*models.Stock, error) {
	return new(stockbinary.Decoder).Decode(stockbinary.Fields{
		ProductID: hash["product_id"], Quantity: hash["quantity"], Version: hash["version"], Epoch: hash["epoch"], Stock: hash["stock"],
	})
}

// ReservationRow is a reservation as the database has it.
type ReservationRow struct {
	ID, State          string
	Cart               int // 0 for none of ours
	Created, ExpiresAt time.Time
	// Resolved is when the ledger says that it was released, expired or committed; 1970 before.
	Resolved time.Time
}

// Reservations reads all reservations.
func (c *Checker) Reservations(ctx context.Context) ([]ReservationRow, error) {
	rows, err := c.Database.Query(ctx, selectReservations)
	if err != nil {
		return nil, err
	}
	var list []ReservationRow
	var r ReservationRow
	var key []byte
	var owner string
	_, err = pgx.ForEachRow(rows, []any{&key, &owner, &r.State, &r.Created, &r.ExpiresAt, &r.Resolved}, func() error {
		r.ID, r.Cart = "res_"+hex.EncodeToString(key), model.CartOf(owner)
		list = append(list, r)
		return nil
	})
	return list, err
}

// Querier is a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, statement string, args ...any) (pgx.Rows, error)
}

// texts runs a statement that lists what is wrong.
func texts(ctx context.Context, q Querier, statement string, args ...any) ([]string, error) {
	rows, err := q.Query(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
