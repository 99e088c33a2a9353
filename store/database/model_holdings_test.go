package database_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"onhand/models"
	"onhand/models/holderlimits"
	"onhand/models/owner"
)

// holdingsModel is the expected state of the reservations of a few holders, where stock is
// plentiful. Two instances write in turns, where the engine can be shared.
type holdingsModel struct {
	shops  []*shop
	prefix string
	limits holderlimits.Limits
	list   []*heldReservation
}

// heldReservation is a reservation of the model.
type heldReservation struct {
	id         string
	holder     owner.Holder
	active     bool
	units      map[string]int
	extensions int
}

// After any writes each holder has at most its limits, each answer is that of the model,
// and the holdings are those of the reservations.
func TestHoldingsAgainstAModel(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		shops := []*shop{s}
		for _, db := range instances(t, s)[1:] {
			shops = append(shops, &shop{Database: db, t: t, kind: s.kind, url: s.url, raw: s.raw})
		}
		for _, one := range shops {
			one.SetHolderLimits(few())
		}
		runs := 0
		rapid.Check(t, func(rt *rapid.T) {
			runs++
			m := &holdingsModel{prefix: fmt.Sprintf("run %d ", runs), limits: few()}
			for _, one := range shops {
				m.shops = append(m.shops, one.with(rt))
			}
			for _, product := range m.products() {
				m.shops[0].stock(product, "north", 1000)
			}
			rt.Repeat(map[string]func(*rapid.T){
				"reserve": m.reserve, "reserve again": m.reserve, "update": m.update, "extend": m.extend, "claim": m.claim,
				"release": m.end(models.ReservationReleased), "commit": m.end(models.ReservationCommitted),
				"time passes": m.letExpire, "sweep": func(*rapid.T) { m.shops[0].sweep(2) },
				"": func(rt *rapid.T) { m.shops[0].with(rt).checkHoldings() },
			})
		})
	})
}

func (m *holdingsModel) products() []string { return []string{m.prefix + "mug", m.prefix + "cup"} }

func (m *holdingsModel) shop(t *rapid.T) *shop {
	return rapid.SampledFrom(m.shops).Draw(t, "instance").with(t)
}

func (m *holdingsModel) holder(t *rapid.T) owner.Holder {
	name := rapid.SampledFrom([]string{"", "alice", "bob", "192.0.2.7"}).Draw(t, "holder")
	if name == "192.0.2.7" {
		return owner.OfAddress(m.prefix + name)
	}
	if name == "" {
		return ""
	}
	return owner.OfSubject(m.prefix + name)
}

func (m *holdingsModel) lines(t *rapid.T) (lines []models.RequestedLine, units map[string]int) {
	units = map[string]int{}
	for _, product := range m.products() {
		if n := rapid.IntRange(0, 4).Draw(t, "units"); n > 0 {
			lines, units[product] = append(lines, line(product, n)), n
		}
	}
	if lines == nil {
		return m.lines(t)
	}
	return lines, units
}

// held is what a holder has, without one of its reservations.
func (m *holdingsModel) held(h owner.Holder, without *heldReservation) (reservations int, units map[string]int) {
	units = map[string]int{}
	for _, r := range m.list {
		if r.active && r.holder == h && r != without {
			reservations++
			for product, n := range r.units {
				units[product] += n
			}
		}
	}
	return reservations, units
}

// tooMany are the lines that a holder has too many units for.
func (m *holdingsModel) tooMany(h owner.Holder, lines []models.RequestedLine, of *heldReservation) (errs []models.UserError) {
	if h == "" {
		return nil
	}
	_, held := m.held(h, of)
	limit, _ := m.limits.UnitsOf(h, -1)
	for i, l := range lines {
		if held[l.ProductID]+l.Quantity > limit && (of == nil || l.Quantity > of.units[l.ProductID]) {
			errs = append(errs, limited(holderlimits.TooManyUnits, limit, l.ProductID, "lines", i, "quantity"))
		}
	}
	return errs
}

func (m *holdingsModel) reserve(t *rapid.T) {
	h := m.holder(t)
	lines, units := m.lines(t)
	var want []models.UserError
	if n, _ := m.held(h, nil); h != "" && n >= m.limits.ReservationsOf(h) {
		want = append(want, limited(holderlimits.TooManyReservations, m.limits.ReservationsOf(h), "", "lines"))
	}
	want = append(want, m.tooMany(h, lines, nil)...)
	s := m.shop(t)
	r := s.do(by(h, lines...))
	s.fails(r, want...)
	if want == nil {
		m.list = append(m.list, &heldReservation{id: r.Reservation.ID, holder: h, active: true, units: units})
	}
}

// pick chooses an active reservation.
func (m *holdingsModel) pick(t *rapid.T) *heldReservation {
	active := slices.DeleteFunc(slices.Clone(m.list), func(r *heldReservation) bool { return !r.active })
	if len(active) == 0 {
		t.Skip("no active reservation")
	}
	return rapid.SampledFrom(active).Draw(t, "reservation")
}

func (m *holdingsModel) update(t *rapid.T) {
	r, s := m.pick(t), m.shop(t)
	lines, units := m.lines(t)
	want := m.tooMany(r.holder, lines, r)
	w := update(r.id, lines...)
	w.Access.Orders = true
	if s.fails(s.do(w), want...); want == nil {
		r.units = units
	}
}

func (m *holdingsModel) extend(t *rapid.T) {
	r, s := m.pick(t), m.shop(t)
	ttl := rapid.SampledFrom([]time.Duration{time.Minute, 20 * time.Minute, 2 * time.Hour}).Draw(t, "ttl")
	more := s.reservation(r.id).ExpiresAt.Before(time.Now().Add(ttl))
	var want []models.UserError
	if r.holder != "" && more && r.extensions >= m.limits.Extensions {
		want = append(want, limited(holderlimits.TooManyExtensions, m.limits.Extensions, "", "ttlSeconds"))
	}
	if r.holder != "" && more && ttl > m.limits.KeepMax {
		want = append(want, limited(holderlimits.ReservedTooLong, 3600, "", "ttlSeconds"))
	}
	if s.fails(s.do(extend(r.id, ttl)), want...); want == nil {
		r.extensions++
	}
}

func (m *holdingsModel) claim(t *rapid.T) {
	r, s := m.pick(t), m.shop(t)
	if !r.holder.Capability() {
		t.Skip("it has an owner")
	}
	subject := m.prefix + rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "subject")
	h := owner.OfSubject(subject)
	var want []models.UserError
	n, held := m.held(h, nil)
	if n >= m.limits.ReservationsOf(h) {
		want = append(want, limited(holderlimits.TooManyReservations, m.limits.ReservationsOf(h), "", "id"))
	}
	limit, _ := m.limits.UnitsOf(h, -1)
	for _, l := range s.reservation(r.id).Lines {
		if held[l.ProductID]+l.Quantity > limit {
			want = append(want, limited(holderlimits.TooManyUnits, limit, l.ProductID, "id"))
		}
	}
	if s.fails(s.do(models.ClaimReservation{ID: r.id, Access: owner.Access{Subject: subject}}), want...); want == nil {
		r.holder = h
	}
}

func (m *holdingsModel) end(to models.ReservationState) func(*rapid.T) {
	return func(t *rapid.T) {
		r := m.pick(t)
		w := resolve(r.id, to)
		w.Access.Orders = true
		m.shop(t).ok(w)
		r.active = false
	}
}

// letExpire makes a reservation overdue. It counts for nobody from now on, although the
// database does not end it yet.
func (m *holdingsModel) letExpire(t *rapid.T) {
	r := m.pick(t)
	m.shop(t).overdue(r.id)
	r.active = false
	require.Equal(t, models.ReservationExpired, m.shop(t).reservation(r.id).State)
}
