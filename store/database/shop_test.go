package database_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/holderlimits"
)

// batch writes and checks what every outcome promises: one result for each write, and
// changed stocks and reservations as a read returns them.
func (s *shop) batch(writes ...models.Write) []models.WriteResult {
	s.t.Helper()
	ctx := context.Background()
	out, err := s.decide(ctx, writes)
	require.NoError(s.t, err)
	require.Len(s.t, out.Results, len(writes))
	for i, r := range out.Results {
		require.NoError(s.t, r.Fault, "write %d", i)
	}
	for _, stock := range out.Stocks {
		require.Equal(s.t, s.read(stock.ProductID), timeless(stock))
		require.NotZero(s.t, stock.AsOf)
	}
	for _, r := range out.Reservations {
		found, err := s.ReadReservations(ctx, []string{r.ID})
		require.NoError(s.t, err)
		require.Len(s.t, found, 1)
		got, want := *found[0], *r
		require.False(s.t, got.ServerTime.Before(want.ServerTime))
		if want.State != models.ReservationActive { // an active one may have expired since
			got.ServerTime, want.ServerTime = time.Time{}, time.Time{}
			require.Equal(s.t, want, got)
		}
	}
	return out.Results
}

// do returns the result of one write.
func (s *shop) do(w models.Write) models.WriteResult {
	s.t.Helper()
	return s.batch(w)[0]
}

// ok returns the result of one write that must succeed.
func (s *shop) ok(w models.Write) models.WriteResult {
	s.t.Helper()
	r := s.do(w)
	require.Empty(s.t, r.Errors)
	return r
}

// reserved reserves lines and returns the reservation.
func (s *shop) reserved(lines ...models.RequestedLine) *models.Reservation {
	s.t.Helper()
	r := s.ok(reserve(lines...))
	require.NotNil(s.t, r.Reservation)
	require.False(s.t, r.Replayed)
	return r.Reservation
}

// reservation reads one reservation.
func (s *shop) reservation(id string) models.Reservation {
	s.t.Helper()
	found, err := s.ReadReservations(context.Background(), []string{id})
	require.NoError(s.t, err)
	require.Len(s.t, found, 1)
	return *found[0]
}

// read returns a product's stock without the time of reading.
func (s *shop) read(product string) *models.Stock {
	s.t.Helper()
	reading, err := s.ReadStocks(context.Background(), []string{product})
	require.NoError(s.t, err)
	require.Len(s.t, reading.Stocks, 1, product)
	return timeless(reading.Stocks[0])
}

func timeless(stock *models.Stock) *models.Stock {
	without := *stock
	without.AsOf = time.Time{}
	return &without
}

// level returns the quantities of one level; zero where there is none.
func (s *shop) level(product, location string) models.Quantities {
	s.t.Helper()
	for _, l := range s.read(product).Levels {
		if l.LocationID == location {
			return l.Quantities
		}
	}
	return models.Quantities{}
}

// levelKey identifies a level.
type levelKey struct{ product, location string }

const quantityColumns = "available, reserved, committed, damaged, quality_control, safety_stock, incoming"

// levels returns the quantities of all levels.
func (s *shop) levels() map[levelKey]models.Quantities {
	s.t.Helper()
	all := map[levelKey]models.Quantities{}
	rows, err := s.raw.Query("SELECT product_id, location_id, " + quantityColumns + " FROM stock_levels")
	require.NoError(s.t, err)
	defer rows.Close()
	for rows.Next() {
		var at levelKey
		var q models.Quantities
		require.NoError(s.t, rows.Scan(&at.product, &at.location, &q.Available, &q.Reserved, &q.Committed, &q.Damaged, &q.QualityControl, &q.SafetyStock, &q.Incoming))
		all[at] = q
	}
	require.NoError(s.t, rows.Err())
	return all
}

// movements returns the ledger of a product (empty: of all) in order.
func (s *shop) movements(product string) []models.StockMovement {
	s.t.Helper()
	rows, err := s.raw.Query(`SELECT movement_id, product_id, location_id,
		available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
		available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
		reason, note, reference, actor, reservation_id, version FROM stock_movements ORDER BY movement_id`)
	require.NoError(s.t, err)
	defer rows.Close()
	var list []models.StockMovement
	for rows.Next() {
		var m models.StockMovement
		var key []byte
		d, a := &m.Delta, &m.After
		require.NoError(s.t, rows.Scan(&m.MovementID, &m.ProductID, &m.LocationID,
			&d.Available, &d.Reserved, &d.Committed, &d.Damaged, &d.QualityControl, &d.SafetyStock, &d.Incoming,
			&a.Available, &a.Reserved, &a.Committed, &a.Damaged, &a.QualityControl, &a.SafetyStock, &a.Incoming,
			&m.Reason, &m.Note, &m.Reference, &m.Actor, &key, &m.Version))
		if key != nil {
			m.ReservationID = "res_" + hex.EncodeToString(key)
		}
		if product == "" || m.ProductID == product {
			list = append(list, m)
		}
	}
	require.NoError(s.t, rows.Err())
	return list
}

// audit checks what is true after every test: the ledger adds up to the levels, row by
// row, and the levels have reserved and committed what the reservations say. It runs at
// the end of every test.
func (s *shop) audit() {
	s.t.Helper()
	sums, versions := map[levelKey]models.Quantities{}, map[string]int64{}
	for _, m := range s.movements("") {
		at := levelKey{m.ProductID, m.LocationID}
		sums[at] = sums[at].Plus(m.Delta)
		require.Equal(s.t, sums[at], m.After, "movement %d of %v", m.MovementID, at)
		if m.Reason != models.ReasonExternal { // an outside writer may insert or delete an empty level
			require.NotEqual(s.t, models.Quantities{}, m.Delta, "movement %d of %v changes nothing", m.MovementID, at)
		}
		require.GreaterOrEqual(s.t, m.Version, versions[m.ProductID])
		versions[m.ProductID] = m.Version
	}
	levels := s.levels()
	for at, q := range levels {
		require.Equal(s.t, sums[at], q, "%v: ledger and level", at)
	}
	for at, sum := range sums {
		require.Equal(s.t, levels[at], sum, "%v: level and ledger", at)
	}
	for product, version := range versions {
		require.LessOrEqual(s.t, version, s.read(product).Version, product)
	}
	require.Zero(s.t, s.number("SELECT count(*) FROM stock_levels WHERE available < available_floor"))
	if !s.tampered {
		s.auditReservations(levels)
	}
}

func (s *shop) auditReservations(levels map[levelKey]models.Quantities) {
	s.t.Helper()
	units := map[levelKey]models.Quantities{}
	rows, err := s.raw.Query("SELECT state, lines FROM reservations WHERE state IN ('ACTIVE', 'COMMITTED')")
	require.NoError(s.t, err)
	defer rows.Close()
	for rows.Next() {
		var state models.ReservationState
		var raw []byte
		var lines []models.ReservationLine
		require.NoError(s.t, rows.Scan(&state, &raw))
		require.NoError(s.t, json.Unmarshal(raw, &lines))
		for _, l := range lines {
			for _, a := range l.Allocations {
				q := models.Quantities{Reserved: a.Left()}
				if state == models.ReservationCommitted {
					q = models.Quantities{Committed: a.Left()}
				}
				at := levelKey{l.ProductID, a.LocationID}
				units[at] = units[at].Plus(q)
			}
		}
	}
	require.NoError(s.t, rows.Err())
	for at, q := range levels {
		require.Equal(s.t, models.Quantities{Reserved: units[at].Reserved, Committed: units[at].Committed},
			models.Quantities{Reserved: q.Reserved, Committed: q.Committed}, "%v: reservations and level", at)
	}
}

// withoutMessages removes the messages of errors, which must be there, so that the rest
// can be compared.
func withoutMessages(t tester, errs []models.UserError) []models.UserError {
	t.Helper()
	out := slices.Clone(errs)
	for i, e := range out {
		assert.NotEmpty(t, e.GetMessage())
		path := models.Failure{Path: e.GetPath()}
		switch e := e.(type) {
		case models.InsufficientStockError:
			e.Failure = path
			out[i] = e
		case models.QuantityLimitExceededError:
			e.Failure = path
			out[i] = e
		case models.StaleQuantityError:
			e.Failure = path
			out[i] = e
		case models.SupersededCountError:
			e.Failure = path
			out[i] = e
		case models.ReservationNotActiveError:
			e.Failure = path
			out[i] = e
		case models.IdempotencyError:
			e.Failure = path
			out[i] = e
		case holderlimits.LimitError:
			e.Failure = path
			out[i] = e
		case models.NotFoundError:
			out[i] = models.NotFoundError{Failure: path}
		case models.InvalidInputError:
			out[i] = models.InvalidInputError{Failure: path}
		}
	}
	return out
}

// fails requires exactly these errors, apart from their messages.
func (s *shop) fails(r models.WriteResult, want ...models.UserError) {
	s.t.Helper()
	require.Equal(s.t, want, withoutMessages(s.t, r.Errors))
}

func path(parts ...any) models.Failure { return models.Failure{Path: models.InputPath(parts...)} }

// short is the error of a line that asks for more than there is.
func short(index int, product string, requested, available int) models.UserError {
	return models.InsufficientStockError{
		Failure: path("lines", index, "quantity"), ProductID: product, Requested: requested, Available: available,
	}
}

func notActive(state models.ReservationState) models.UserError {
	return models.ReservationNotActiveError{Failure: path("id"), State: state}
}

func notFound(parts ...any) models.UserError { return models.NotFoundError{Failure: path(parts...)} }

func mismatch() models.UserError {
	return models.IdempotencyError{Failure: path("idempotencyKey"), Cause: models.ErrorKeyParameterMismatch}
}
