package pages

import (
	"context"
	"time"

	"onhand/models"
	"onhand/store/database/dialect"
)

// Bounds of one page.
const (
	// productWindow is how many products one SELECT looks through, some 0.1 s of work.
	productWindow = 20_000
	// candidatesMax bounds the products of one window whose stock is read.
	candidatesMax = 1_000
	// productWindowsMax bounds the windows of a page: 240,000 products.
	productWindowsMax = 12

	// rankedMax is how many products one SELECT sorts by quantity, some 0.5 s of work.
	rankedMax = 200_000
	// rankedBytesMax bounds their ids: 200,000 ids of 20 characters take 7 MB.
	rankedBytesMax = 16 << 20
	// rankedIDBytes is what an id takes beside its text.
	rankedIDBytes = 16

	// reservationWindow is how many reservations one SELECT looks through.
	reservationWindow = 50_000
	// reservationWindowsMax bounds the SELECTs for a page. Windows of time grow from
	// one second, so that this many reach back more than a hundred years.
	reservationWindowsMax = 24
)

// RowReader reads whole rows by their ids, as the database's face does.
type RowReader interface {
	// StocksOf returns the stocks of known products, in id order.
	StocksOf(ctx context.Context, productIDs []string) ([]*models.Stock, error)
	// ReadReservations returns known reservations, in any order.
	ReadReservations(ctx context.Context, ids []string) ([]*models.Reservation, error)
	// ReadClock reads the database's clock.
	ReadClock(ctx context.Context) (time.Time, error)
}

// Lists reads pages of products and of reservations.
type Lists struct {
	*dialect.DB
	rows RowReader
	// Bounds are those above; tests make them smaller.
	Bounds Bounds
}

// Bounds of the entries of one window, and of a list by quantity, in products and in bytes.
type Bounds struct{ Products, Candidates, Reservations, Ranked, RankedBytes int }

// New returns the pages of a database.
func New(db *dialect.DB, rows RowReader) *Lists {
	return &Lists{DB: db, rows: rows, Bounds: Bounds{
		Products: productWindow, Candidates: candidatesMax, Reservations: reservationWindow, Ranked: rankedMax, RankedBytes: rankedBytesMax,
	}}
}
