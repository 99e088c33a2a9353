package database_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"onhand/models"
	"onhand/models/owner"
)

// rapidChecks keeps the number of random runs small unless a flag sets it: every step of
// each is a transaction.
func rapidChecks() {
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "rapid.checks" })
	if !set {
		checks := "20"
		if testing.Short() {
			checks = "5"
		}
		_ = flag.Set("rapid.checks", checks)
	}
	_ = flag.Set("rapid.nofailfile", "true")
}

// model is the expected state of the database, kept by plain arithmetic: totals and
// states, without locks, tables or time.
type model struct {
	*shop
	prefix       string
	shelf        map[levelKey]models.Quantities
	reservations []*modelReservation
	keys         modelKeys
	owed         map[string]int // how many units of a product may be owed
	buffer       int            // of the channel "web"
	// selling has the active locations.
	selling map[string]bool
	counts  modelCounts
}

type modelReservation struct {
	id      string
	holder  owner.Holder
	channel string
	state   models.ReservationState
	overdue bool // past its expiry, and not expired by a write yet
	lines   []models.ReservationLine
	version int64
}

// After any sequence of writes the database has the state of the model and gives its
// answers. It never refuses what the model would sell.
func TestAgainstAModel(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		runs := 0
		rapid.Check(t, func(rt *rapid.T) {
			runs++
			m := newModel(s.with(rt), fmt.Sprintf("run %d ", runs))
			rt.Repeat(map[string]func(*rapid.T){
				"reserve": m.reserve, "reserve again": m.reserve, "update": m.update, "extend": m.extend, "claim": m.claim,
				"commit": m.resolve(models.ReservationCommitted), "release": m.resolve(models.ReservationReleased),
				"fulfil": m.resolve(models.ReservationFulfilled), "cancel": m.resolve(models.ReservationCancelled),
				"adjust": m.adjust, "set": m.set, "moment": m.noteMoment, "count": m.countLater, "move": m.moveStock, "settings": m.changeSettings, "time passes": m.letExpire, "sweep": m.sweepSome, "repeat": m.repeat,
				"": m.compare,
			})
			m.requireHistories(m.products()...)
		})
	})
}

// products returns one product that must not be oversold, and one that may be owed.
func (m *model) products() []string { return []string{m.prefix + "deny", m.prefix + "owed"} }

const owedMax = 4

func (m *model) floor(product string) int { return -m.owed[product] }

func newModel(s *shop, prefix string) *model {
	m := &model{shop: s, prefix: prefix, shelf: map[levelKey]models.Quantities{}, owed: map[string]int{}, selling: map[string]bool{"north": true}, keys: newModelKeys(), counts: newModelCounts()}
	s.SetHolderLimits(modelLimits())
	for len(s.sweep(1000)) > 0 {
	} // reservations of earlier runs
	for i, product := range m.products() {
		s.stock(product, "north", 4+i, "south", 3, "far", 5)
		for location, n := range map[string]int{"north": 4 + i, "south": 3, "far": 5} {
			m.shelf[levelKey{product, location}] = models.Quantities{Available: n}
		}
	}
	m.setActive("south", true)
	s.ok(channels(models.ChannelRow{ChannelID: "web", Buffer: new(0)}))
	s.settings(m.products()[0], perOwner(boughtMax))
	m.owed[m.products()[1]] = owedMax
	s.settings(m.products()[1], fmt.Sprintf("inventory_policy = 'CONTINUE', backorder_limit = %d", owedMax))
	return m
}

// sellable returns how many units of a product a reservation could get; in the channel
// "web" from the south alone. Units owed elsewhere use up the limit too.
func (m *model) sellable(product, channel string) int {
	total, spare, sells := 0, -m.floor(product), false
	for _, location := range anywhere {
		n := m.shelf[levelKey{product, location}].Available
		if m.selling[location] && (location == "south" || channel == "") {
			total += n
			sells = true
		} else {
			spare += min(0, n)
		}
	}
	if !sells { // no location can owe
		return 0
	}
	if channel != "" {
		total -= m.buffer
	}
	return total + max(0, spare)
}

func (m *model) move(lines []models.ReservationLine, from, to models.State) {
	for _, l := range lines {
		for _, a := range l.Allocations {
			at := levelKey{l.ProductID, a.LocationID}
			q := m.shelf[at]
			*q.Of(from) -= a.Quantity
			if to != "" {
				*q.Of(to) += a.Quantity
			}
			m.shelf[at] = q
		}
	}
}

func (m *model) cart(t *rapid.T) (lines []models.RequestedLine, asked map[string]int, order []string) {
	asked = map[string]int{}
	for range rapid.IntRange(1, 3).Draw(t, "lines") {
		l := line(rapid.SampledFrom(m.products()).Draw(t, "product"), rapid.IntRange(1, 5).Draw(t, "quantity"))
		if asked[l.ProductID] == 0 {
			order = append(order, l.ProductID)
		}
		asked[l.ProductID] += l.Quantity
		lines = append(lines, l)
	}
	return lines, asked, order
}

// allocate returns how many units of each product a cart gets, and what the limits of its
// holder say, after expiring overdue reservations of products that it is short of, and of a
// holder at its limit. held are the lines that the cart has.
func (m *model) allocate(want modelWant, channel string, partial bool, held []models.ReservationLine) (got map[string]int, limited []models.UserError, refused bool) {
	asked, order := want.asked, want.order
	for {
		refusal := m.limits(want)
		got, limited, refused = map[string]int{}, refusal.errs, refusal.errs != nil
		short, total := map[string]bool{}, 0
		for _, product := range order {
			got[product] = m.obtain(product, asked[product], channel, held)
			total += got[product]
			short[product] = got[product] < asked[product]
			refused = refused || short[product] && !partial
		}
		refused = refused || total == 0
		if !m.expireFor(short, refusal.full) {
			return got, limited, refused
		}
	}
}

// obtain returns how many units of a product a cart gets. Units that it has may stay, or
// be given back for others.
func (m *model) obtain(product string, asked int, channel string, held []models.ReservationLine) int {
	own := slices.DeleteFunc(slices.Clone(held), func(l models.ReservationLine) bool { return l.ProductID != product })
	has := 0
	for _, l := range own {
		has += l.Quantity
	}
	if asked <= has {
		return asked
	}
	added := min(asked-has, m.sellable(product, channel))
	m.move(own, models.Reserved, models.Available)
	defer m.move(own, models.Available, models.Reserved)
	if m.sellable(product, channel) >= asked {
		return asked
	}
	return has + max(0, added)
}

// expireFor expires overdue reservations of the products that a write is short of, and of
// a holder at its limit.
func (m *model) expireFor(short map[string]bool, full owner.Holder) (any bool) {
	for _, h := range m.reservations {
		if h.state == models.ReservationActive && h.overdue && (full != "" && h.holder == full ||
			slices.ContainsFunc(h.lines, func(l models.ReservationLine) bool { return short[l.ProductID] })) {
			m.expire(h)
			any = true
		}
	}
	return any
}

func (m *model) expire(h *modelReservation) {
	m.move(h.lines, models.Reserved, models.Available)
	h.state = models.ReservationExpired
	h.version++
}

// expireIfOverdue expires an overdue reservation, as the database does when a write is
// refused because of it.
func (m *model) expireIfOverdue(h *modelReservation) {
	if h.state == models.ReservationActive && h.overdue {
		m.expire(h)
	}
}

// shortages returns the errors of a cart that is short.
func shortages(asked, got map[string]int, order []string, lines []models.RequestedLine) (errs []models.UserError) {
	for _, product := range order {
		if got[product] < asked[product] {
			first := slices.IndexFunc(lines, func(l models.RequestedLine) bool { return l.ProductID == product })
			errs = append(errs, short(first, product, asked[product], got[product]))
		}
	}
	return errs
}

// checkLines checks the lines of a reservation against the cart, and stores them in the
// model.
func (m *model) checkLines(h *modelReservation, r *models.Reservation, asked, got map[string]int, order []string) {
	require.Len(m.t, r.Lines, len(order))
	for i, l := range r.Lines {
		require.Equal(m.t, order[i], l.ProductID)
		require.Equal(m.t, asked[l.ProductID], l.Requested)
		require.Equal(m.t, got[l.ProductID], l.Quantity)
		sum := 0
		for _, a := range l.Allocations {
			require.True(m.t, m.selling[a.LocationID] || h.has(l.ProductID, a))
			require.Positive(m.t, a.Quantity)
			sum += a.Quantity
		}
		require.Equal(m.t, l.Quantity, sum)
	}
	h.lines = r.Lines
	m.move(h.lines, models.Available, models.Reserved)
}

// has reports whether a reservation has these units.
func (h *modelReservation) has(product string, part models.Allocation) bool {
	return slices.ContainsFunc(h.lines, func(l models.ReservationLine) bool {
		return l.ProductID == product && slices.ContainsFunc(l.Allocations, func(a models.Allocation) bool {
			return a.LocationID == part.LocationID && a.Quantity >= part.Quantity
		})
	})
}

// first executes a write whose key is not bound. A write without errors binds it.
func (m *model) first(w models.Write) models.WriteResult {
	r := m.do(w)
	require.False(m.t, r.Replayed)
	if len(r.Errors) == 0 {
		m.keys.bind(w, r)
	}
	return r
}

func (m *model) reserve(t *rapid.T) {
	lines, asked, order := m.cart(t)
	w := reserve(lines...)
	w.IdempotencyKey = m.keys.draw(t, w)
	w.AllowPartial = rapid.Bool().Draw(t, "partial")
	w.Channel = rapid.SampledFrom([]string{"", "web"}).Draw(t, "channel")
	w.Holder, w.Access.Orders = m.holder(t), true
	want := modelWant{holder: w.Holder, asked: asked, order: order, path: linePath(lines), reservation: models.InputPath("lines")}
	got, limited, refused := m.allocate(want, w.Channel, w.AllowPartial, nil)
	r := m.first(w)
	m.fails(r, append(limited, shortages(asked, got, order, lines)...)...)
	require.Equal(t, refused, r.Reservation == nil)
	if !refused {
		m.keys.bind(w, r)
		h := &modelReservation{id: r.Reservation.ID, holder: w.Holder, channel: w.Channel, state: models.ReservationActive, version: 1}
		m.checkLines(h, r.Reservation, asked, got, order)
		m.reservations = append(m.reservations, h)
	}
}

// pick chooses a reservation; there may be none yet.
func (m *model) pick(t *rapid.T) *modelReservation {
	if len(m.reservations) == 0 {
		t.Skip("no reservation yet")
	}
	return m.reservations[rapid.IntRange(0, len(m.reservations)-1).Draw(t, "reservation")]
}

// now returns the state that clients see.
func (h *modelReservation) now() models.ReservationState {
	if h.state == models.ReservationActive && h.overdue {
		return models.ReservationExpired
	}
	return h.state
}

// next is the version after a change: the one after that of an active reservation is
// its expiry's.
func (h *modelReservation) next(to models.ReservationState) int64 {
	if h.state == models.ReservationActive && to != models.ReservationExpired {
		return h.version + 2
	}
	return h.version + 1
}

// versionNow returns the version that clients see.
func (h *modelReservation) versionNow() int64 {
	if h.now() != h.state {
		return h.version + 1
	}
	return h.version
}

// linesNow returns the lines that clients see: nothing is left of a reservation that has
// ended.
func (h *modelReservation) linesNow() []models.ReservationLine {
	ended := h.now() != models.ReservationActive && h.now() != models.ReservationCommitted
	lines := slices.Clone(h.lines)
	for i := range lines {
		lines[i].Ended = ended
		lines[i].Allocations = slices.Clone(lines[i].Allocations)
		for j := range lines[i].Allocations {
			lines[i].Allocations[j].Ended = ended
		}
	}
	return lines
}

func (m *model) update(t *rapid.T) {
	h := m.pick(t)
	lines, asked, order := m.cart(t)
	w := update(h.id, lines...)
	w.Access.Orders = true
	w.IdempotencyKey = m.keys.draw(t, w)
	w.AllowPartial = rapid.Bool().Draw(t, "partial")
	if h.now() != models.ReservationActive {
		m.fails(m.first(w), notActive(h.now()))
		m.expireIfOverdue(h)
		return
	}
	got, limited, refused := m.allocate(modelWant{holder: h.holder, asked: asked, order: order, path: linePath(lines), of: h}, h.channel, w.AllowPartial, h.lines)
	r := m.first(w)
	m.fails(r, append(limited, shortages(asked, got, order, lines)...)...)
	if refused {
		require.Equal(t, h.lines, r.Reservation.Lines)
		return
	}
	m.keys.bind(w, r)
	m.move(h.lines, models.Reserved, models.Available)
	m.checkLines(h, r.Reservation, asked, got, order)
	h.version = h.next(models.ReservationActive)
}

func (m *model) extend(t *rapid.T) {
	h := m.pick(t)
	r := m.first(models.ExtendReservation{ID: h.id, TTL: 2 * time.Hour, Access: owner.Access{Orders: true}})
	if h.now() != models.ReservationActive {
		m.fails(r, notActive(h.now()))
		m.expireIfOverdue(h)
		return
	}
	m.fails(r)
	h.version = h.next(models.ReservationActive)
}

// letExpire makes a reservation overdue. The database does not expire it yet.
func (m *model) letExpire(t *rapid.T) {
	h := m.pick(t)
	if h.state == models.ReservationActive && !h.overdue { // a second expiry could be after a noted moment
		m.exec("UPDATE reservations SET expires_at = "+m.clock(0)+" WHERE reservation_id = $1", keyOf(h.id))
		h.overdue = true
	}
}

func (m *model) sweepSome(t *rapid.T) {
	ended := map[string]bool{}
	limit := rapid.IntRange(1, 3).Draw(t, "limit")
	due := 0
	for _, h := range m.reservations {
		if h.state == models.ReservationActive && h.overdue {
			due++
		}
	}
	for _, r := range m.sweep(limit) {
		ended[r.ID] = true
	}
	require.Len(t, ended, min(limit, due))
	for _, h := range m.reservations {
		if ended[h.id] {
			require.True(t, h.overdue && h.state == models.ReservationActive)
			m.expire(h)
		}
	}
}

// compare runs after every step: the database has the state of the model.
func (m *model) compare(t *rapid.T) {
	shelf := m.levels()
	maps.DeleteFunc(shelf, func(at levelKey, _ models.Quantities) bool { return !strings.HasPrefix(at.product, m.prefix) })
	require.Equal(t, m.shelf, shelf)
	for _, product := range m.products() { // the published availability is that of a reservation
		s := m.read(product)
		require.Equal(t, m.sellable(product, "") > 0, s.AvailableForSale())
		require.Equal(t, m.sellable(product, "web") > 0, m.view(product, "web").AvailableForSale())
	}
	for _, h := range m.reservations {
		r := m.reservation(h.id)
		require.Equal(t, h.now(), r.State)
		require.Equal(t, h.linesNow(), r.Lines)
		require.Equal(t, h.versionNow(), r.Version)
	}
}
