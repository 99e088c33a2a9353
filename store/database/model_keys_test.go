package database_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"onhand/models"
)

// modelKeys has the idempotency keys of a model: which are bound, and by which answers.
type modelKeys struct {
	texts []string        // of all keys that writes had
	bound map[string]bool // by kind of write and text
	list  []boundWrite
}

// boundWrite is a write that took effect, and its answer.
type boundWrite struct {
	write  models.Write
	result models.WriteResult
}

func newModelKeys() modelKeys { return modelKeys{bound: map[string]bool{}} }

// draw returns a key that is not bound for the write: a new one, or one that a refused
// write or a write of another kind had.
func (k *modelKeys) draw(t *rapid.T, w models.Write) string {
	if len(k.texts) > 0 && rapid.Bool().Draw(t, "used key") {
		if text := rapid.SampledFrom(k.texts).Draw(t, "key"); !k.bound[w.Kind()+text] {
			return text
		}
	}
	k.texts = append(k.texts, newKey())
	return k.texts[len(k.texts)-1]
}

// bind notes a write that took effect.
func (k *modelKeys) bind(w models.Write, r models.WriteResult) {
	if scoped := w.Kind() + w.Key(); w.Key() != "" && !k.bound[scoped] {
		k.bound[scoped] = true
		k.list = append(k.list, boundWrite{w, r})
	}
}

// repeat sends a write again that took effect before.
func (m *model) repeat(t *rapid.T) {
	if len(m.keys.list) == 0 {
		t.Skip("nothing was written yet")
	}
	before := rapid.SampledFrom(m.keys.list).Draw(t, "write")
	again := m.do(before.write)
	require.True(t, again.Replayed)
	want := withoutMessages(m.t, before.result.Errors)
	if r := before.result.Reservation; r != nil {
		at := slices.IndexFunc(m.reservations, func(h *modelReservation) bool { return h.id == r.ID })
		want = append(want, noLongerReserved(before.write, m.reservations[at].now())...)
	}
	m.fails(again, want...)
}

// noLongerReserved is the error beside the replay of a reservation that has ended.
func noLongerReserved(w models.Write, now models.ReservationState) []models.UserError {
	field := ""
	switch w.(type) {
	case models.Reserve:
		field = "idempotencyKey"
	case models.UpdateReservation:
		field = "id"
	}
	if field == "" || now != models.ReservationReleased && now != models.ReservationExpired && now != models.ReservationCancelled {
		return nil
	}
	return []models.UserError{models.ReservationNotActiveError{Failure: path(field), State: now}}
}

// keysModel is the expected state of one product and of the keys of its writes, for
// batches of writes with few keys and callers. Its stock is at one location.
type keysModel struct {
	*shop
	product      string
	available    int
	reservations []*reservedUnits
	bound        map[boundKey]*boundAnswer
	past         time.Time
}

// reservedUnits is a reservation of the model.
type reservedUnits struct {
	id    string
	units int
	state models.ReservationState
}

// boundKey is a key in its scope.
type boundKey struct{ kind, caller, key string }

// boundAnswer is the answer that bound a key, with the input of its write.
type boundAnswer struct {
	input       string
	errs        []models.UserError
	reservation *reservedUnits
}

// expected is the answer that the model gives.
type expected struct {
	replayed    bool
	errs        []models.UserError
	reservation *reservedUnits // nil: none
}

// After any batches of writes that repeat few keys, with other inputs, callers and times,
// each answer is that of the model, and so is the stock.
func TestKeysAgainstAModel(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		runs := 0
		rapid.Check(t, func(rt *rapid.T) {
			runs++
			m := &keysModel{
				shop: s.with(rt), product: fmt.Sprintf("mug %d", runs), available: 12,
				bound: map[boundKey]*boundAnswer{}, past: time.Now().Add(-time.Hour),
			}
			m.stock(m.product, "north", m.available)
			rt.Repeat(map[string]func(*rapid.T){"batch": m.step, "": m.compare})
		})
	})
}

// step sends a batch of one to four writes.
func (m *keysModel) step(t *rapid.T) {
	writes := make([]models.Write, rapid.IntRange(1, 4).Draw(t, "writes"))
	for i := range writes {
		writes[i] = m.write(t)
	}
	results := m.batch(writes...)
	for i, w := range writes {
		want := m.expect(w)
		require.Equal(t, want.replayed, results[i].Replayed, "write %d of %+v", i, writes)
		m.fails(results[i], want.errs...)
		require.Equal(t, want.reservation != nil, results[i].Reservation != nil, "write %d of %+v", i, writes)
		if want.reservation == nil {
			continue
		}
		if want.reservation.id == "" {
			want.reservation.id = results[i].Reservation.ID
		}
		require.Equal(t, want.reservation.id, results[i].Reservation.ID)
	}
}

// write draws a write.
func (m *keysModel) write(t *rapid.T) models.Write {
	kind := rapid.SampledFrom([]string{"reserve", "reserve", "update", "commit", "cancel", "release", "adjust"}).Draw(t, "kind")
	key := rapid.SampledFrom([]string{"one", "two", "three"}).Draw(t, "key") + m.product
	terms := models.KeyTerms{
		Caller:   rapid.SampledFrom([]string{"", "", "ann"}).Draw(t, "caller"),
		NotAfter: rapid.SampledFrom([]*time.Time{nil, nil, new(m.past.Add(2 * time.Hour)), &m.past}).Draw(t, "not after"),
	}
	n, partial := rapid.IntRange(1, 7).Draw(t, "units"), rapid.Bool().Draw(t, "partial")
	lines := []models.RequestedLine{line(m.product, n)}
	id := "res_00000000000000000000000000000000"
	if known := slices.DeleteFunc(slices.Clone(m.reservations), func(h *reservedUnits) bool { return h.id == "" }); len(known) > 0 {
		id = rapid.SampledFrom(known).Draw(t, "reservation").id
	}
	switch kind {
	case "update":
		return models.UpdateReservation{IdempotencyKey: key, ID: id, Lines: lines, AllowPartial: partial, KeyTerms: terms}
	case "commit":
		return models.Resolve{IdempotencyKey: key, ID: id, To: models.ReservationCommitted, KeyTerms: terms}
	case "cancel":
		return models.Resolve{IdempotencyKey: key, ID: id, To: models.ReservationCancelled, KeyTerms: terms}
	case "release":
		return release(id)
	case "adjust":
		w := models.Adjust{IdempotencyKey: key, Rows: []models.AdjustRow{delta(m.product, "north", models.Available, 4-n)}, KeyTerms: terms}
		if n == 4 { // no delta of zero
			w.Rows = []models.AdjustRow{delta(m.product, "nowhere", models.Available, 1), delta(m.product, "north", models.Available, 1)}
		}
		if partial {
			w.ErrorPolicy = models.RejectFailedRows
		}
		return w
	}
	return models.Reserve{IdempotencyKey: key, Lines: lines, TTL: reservationTTL, AllowPartial: partial, KeyTerms: terms}
}

// compare runs after every step.
func (m *keysModel) compare(t *rapid.T) {
	q := models.Quantities{Available: m.available}
	for _, h := range m.reservations {
		require.Equal(t, h.state, m.reservation(h.id).State)
		switch h.state {
		case models.ReservationActive:
			q.Reserved += h.units
		case models.ReservationCommitted:
			q.Committed += h.units
		}
	}
	require.Equal(t, q, m.level(m.product, "north"))
}

// expect returns the answer to a write and takes its effect.
func (m *keysModel) expect(w models.Write) expected {
	if w.Key() == "" {
		want, _ := m.decide(w)
		return want
	}
	terms := w.Terms()
	at, input := boundKey{w.Kind(), terms.Caller, w.Key()}, fmt.Sprintf("%+v", withoutTerms(w))
	if b := m.bound[at]; b != nil {
		if b.input != input {
			return expected{errs: []models.UserError{mismatch()}}
		}
		want := expected{replayed: true, errs: b.errs, reservation: b.reservation}
		if b.reservation != nil {
			want.errs = append(slices.Clone(b.errs), noLongerReserved(w, b.reservation.state)...)
		}
		return want
	}
	if terms.NotAfter == &m.past {
		return expected{errs: []models.UserError{models.IdempotencyError{Failure: path("notAfter"), Cause: models.ErrorNotAfterPassed}}}
	}
	want, took := m.decide(w)
	if took {
		m.bound[at] = &boundAnswer{input, want.errs, want.reservation}
	}
	return want
}

// withoutTerms returns the input of a write alone.
func withoutTerms(w models.Write) models.Write {
	switch w := w.(type) {
	case models.Reserve:
		w.KeyTerms = models.KeyTerms{}
		return w
	case models.UpdateReservation:
		w.KeyTerms = models.KeyTerms{}
		return w
	case models.Resolve:
		w.KeyTerms = models.KeyTerms{}
		return w
	case models.Adjust:
		w.KeyTerms = models.KeyTerms{}
		return w
	}
	return w
}

// decide takes the effect of a write whose key is free, and reports whether it had one.
func (m *keysModel) decide(w models.Write) (want expected, took bool) {
	switch w := w.(type) {
	case models.Reserve:
		got, errs := m.take(w.Lines[0].Quantity, m.available, w.AllowPartial)
		if got == 0 {
			return expected{errs: errs}, false
		}
		h := &reservedUnits{units: got, state: models.ReservationActive}
		m.available -= got
		m.reservations = append(m.reservations, h)
		return expected{errs: errs, reservation: h}, true
	case models.UpdateReservation:
		h, want := m.inState(w.ID, models.ReservationActive)
		if h == nil {
			return want, false
		}
		got, errs := m.take(w.Lines[0].Quantity, m.available+h.units, w.AllowPartial)
		if got > 0 {
			m.available, h.units = m.available+h.units-got, got
		}
		return expected{errs: errs, reservation: h}, got > 0
	case models.Resolve:
		return m.resolve(w)
	case models.Adjust:
		return m.adjust(w)
	}
	panic("a write that the model does not know")
}

// take returns how many units of n a cart gets; 0 when it is refused.
func (m *keysModel) take(n, available int, partial bool) (got int, errs []models.UserError) {
	if n <= available {
		return n, nil
	}
	errs = []models.UserError{short(0, m.product, n, available)}
	if !partial {
		return 0, errs
	}
	return available, errs
}

// inState returns a reservation that is in this state, or the refusal.
func (m *keysModel) inState(id string, state models.ReservationState) (*reservedUnits, expected) {
	at := slices.IndexFunc(m.reservations, func(h *reservedUnits) bool { return h.id == id })
	if at < 0 {
		return nil, expected{errs: []models.UserError{notFound("id")}}
	}
	h := m.reservations[at]
	if h.state != state {
		return nil, expected{errs: []models.UserError{notActive(h.state)}, reservation: h}
	}
	return h, expected{}
}

func (m *keysModel) resolve(w models.Resolve) (want expected, took bool) {
	from := models.ReservationActive
	if w.To == models.ReservationCancelled {
		from = models.ReservationCommitted
	}
	h, want := m.inState(w.ID, from)
	if h == nil {
		if want.reservation != nil && w.To == models.ReservationReleased && want.reservation.state == w.To {
			return expected{replayed: true, reservation: want.reservation}, false
		}
		return want, false
	}
	h.state = w.To
	if w.To != models.ReservationCommitted {
		m.available += h.units
	}
	return expected{reservation: h}, true
}

// adjust adds to the stock, or takes from it. Two rows have an unknown location in the
// first one.
func (m *keysModel) adjust(w models.Adjust) (want expected, took bool) {
	n := w.Rows[len(w.Rows)-1].Delta
	if len(w.Rows) > 1 {
		want.errs = append(want.errs, notFound("rows", 0, "locationId"))
	}
	if m.available+n < 0 {
		want.errs = append(want.errs, tooFew(len(w.Rows)-1, "delta", m.product, -n, m.available))
		return want, false
	}
	if len(want.errs) > 0 && w.ErrorPolicy != models.RejectFailedRows {
		return want, false
	}
	m.available += n
	return want, true
}
