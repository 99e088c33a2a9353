package dialect

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/decide/keyhash"
	"onhand/store/database/decide/storederrors"
)

// oneRow is a row as a driver returns it.
type oneRow []any

func (r oneRow) Next() bool { return true }
func (r oneRow) Err() error { return nil }
func (r oneRow) Scan(dest ...any) error {
	for i, to := range dest {
		if at, ok := to.(*Instant); ok {
			if err := at.Scan(r[i]); err != nil {
				return err
			}
			continue
		}
		reflect.ValueOf(to).Elem().Set(reflect.ValueOf(r[i]).Convert(reflect.TypeOf(to).Elem()))
	}
	return nil
}

// orderKey is the key of the reservation that the answer names.
var orderKey = [16]byte{2}

// FuzzRecords checks that a repeated key gets an answer or a fault, never a panic,
// whatever an outside writer put into the JSON columns. An answer that can be read is
// the same after it is stored again.
func FuzzRecords(f *testing.F) {
	invalid := models.Invalid(models.InputPath("rows", 1), "no <good> \u2028")
	stored, err := json.Marshal(decide.Answer{Reservation: decide.ReservationID(orderKey[:]), Products: []string{"a"}, Channels: []string{"web"}, Errors: storederrors.Write([]models.UserError{
		invalid, models.NotFoundError(invalid), models.StaleQuantityError{Failure: invalid.Failure, Expected: 1, Actual: -1, Version: 1 << 60},
		models.SupersededCountError{Failure: invalid.Failure, CountedAt: time.UnixMicro(1).UTC()},
		models.InsufficientStockError{Failure: invalid.Failure, ProductID: "a", Requested: 1}, models.ReservationNotActiveError{State: models.ReservationExpired},
		models.QuantityLimitExceededError{Failure: invalid.Failure, Limit: 1, PeriodSeconds: new(60)},
	})})
	if err != nil {
		f.Fatal(err)
	}
	lines := `[{"productId":"a","requested":3,"quantity":2,"fulfilled":1,"allocations":[{"locationId":"n","quantity":2,"done":1}]}]`
	f.Add(stored, []byte(lines), "ACTIVE")
	for _, odd := range []string{``, `null`, `{}`, `[]`, `{"errors":[{"type":"INVALID_INPUT"}]}`, `{"errors":[{"type":"INVALID_INPUT","error":null}]}`, `{"errors":[{}]}`, `{"reservation":"res_"}`} {
		f.Add([]byte(odd), []byte(odd), odd)
	}
	f.Fuzz(func(t *testing.T, raw, lines []byte, state string) {
		w := models.Resolve{IdempotencyKey: "k", ID: decide.ReservationID(orderKey[:]), To: models.ReservationCommitted}
		hashes := keyhash.NewSecret("secret").Hash(w)
		u := decide.NewUnitOfWork()
		now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
		u.Now, u.Epoch = now, "e"
		u.Reservations[orderKey] = &decide.StoredReservation{
			Reservation: models.Reservation{ID: decide.ReservationID(orderKey[:]), State: models.ReservationCommitted, CreatedAt: now, ExpiresAt: now, Version: 1},
			Key:         orderKey, Fingerprint: []byte("x"),
		}
		r, err := ScanReservation(oneRow{orderKey[:], state, lines, "web", "", "", "", []byte("x"), int64(1), now, now.Add(time.Hour), true, true, int64(2), now, now})
		if err == nil {
			u.Reservations[orderKey] = r
			var again []models.ReservationLine
			if written, err := json.Marshal(r.Lines); err != nil || json.Unmarshal(written, &again) != nil || !sameJSON(t, again, r.Lines) {
				t.Fatalf("%q are lines %+v, and written again %+v, %v", lines, r.Lines, again, err)
			}
		}
		a, err := ScanAnswer(oneRow{hashes.Answer[:], hashes.Fingerprint[:], raw})
		if err != nil {
			return
		}
		u.AddAnswer(a)
		result, known := (&decide.Decider{UnitOfWork: u, Hashes: hashes}).Replay(w)
		if !known {
			t.Fatalf("%q on record, and its key is free", raw)
		}
		if result.Fault != nil {
			return
		}
		written, err := json.Marshal(storederrors.Write(result.Errors))
		if err != nil {
			t.Fatal(err)
		}
		var stored []storederrors.StoredError
		if err := json.Unmarshal(written, &stored); err != nil {
			t.Fatal(err)
		}
		if again, err := storederrors.Read(stored); err != nil || !sameJSON(t, again, result.Errors) {
			t.Fatalf("%q is answered with %#v, and stored again %#v, %v", raw, result.Errors, again, err)
		}
	})
}

// sameJSON compares what clients see: nil and empty lists are equal.
func sameJSON(t *testing.T, a, b any) bool {
	first, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	second, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(first) == string(second)
}
