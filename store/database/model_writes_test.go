package database_test

import (
	"slices"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"onhand/models"
)

var moves = map[models.ReservationState][2]models.State{
	models.ReservationCommitted: {models.Reserved, models.Committed},
	models.ReservationReleased:  {models.Reserved, models.Available},
	models.ReservationFulfilled: {models.Committed, ""},
	models.ReservationCancelled: {models.Committed, models.Available},
}

// mayBecome reports whether a reservation's state may change to next.
func mayBecome(state, next models.ReservationState) bool {
	t, ok := models.TransitionTo(next)
	return ok && t.From == state
}

// resolve takes a step of a reservation or an order: with all that is left, or in parts.
func (m *model) resolve(to models.ReservationState) func(*rapid.T) {
	return func(t *rapid.T) {
		h := m.pick(t)
		w := resolve(h.id, to)
		if to == models.ReservationReleased {
			w = release(h.id) // without a key
		} else {
			w.IdempotencyKey = m.keys.draw(t, w)
		}
		w.Access.Orders = true
		if to != models.ReservationReleased && rapid.Bool().Draw(t, "in part") {
			for range rapid.IntRange(1, 3).Draw(t, "parts") {
				w.Lines = append(w.Lines, part(rapid.SampledFrom(m.products()).Draw(t, "product"), rapid.IntRange(1, 3).Draw(t, "quantity")))
			}
		}
		w.Reacquire = to == models.ReservationCommitted && rapid.Bool().Draw(t, "reacquire")
		switch {
		case w.Reacquire && h.now() == models.ReservationExpired:
			m.expireIfOverdue(h)
			m.reacquire(h, w)
		case mayBecome(h.now(), to):
			units, errs := m.parts(h, w.Lines)
			m.fails(m.first(w), errs...)
			if errs == nil {
				version := h.next(to)
				m.step(h, to, units)
				h.version = version
			}
		case to == models.ReservationReleased && h.state == to:
			require.True(t, m.do(w).Replayed)
		default:
			m.fails(m.first(w), notActive(h.now()))
			m.expireIfOverdue(h)
		}
	}
}

// reacquire commits an expired reservation with units that are available now.
func (m *model) reacquire(h *modelReservation, w models.Resolve) {
	units, errs := m.parts(h, w.Lines)
	if errs != nil {
		m.fails(m.first(w), errs...)
		return
	}
	asked, order := map[string]int{}, []string(nil)
	for i, l := range h.lines {
		if units[i] > 0 {
			asked[l.ProductID], order = units[i], append(order, l.ProductID)
		}
	}
	linePath := func(product string) models.Failure {
		if at := slices.IndexFunc(w.Lines, func(p models.LinePart) bool { return p.ProductID == product }); at >= 0 {
			return path("lines", at, "quantity")
		}
		return path("id")
	}
	got, errs, refused := m.allocate(modelWant{holder: h.holder, asked: asked, order: order, path: linePath, ordersOnly: true}, h.channel, false, nil)
	r := m.first(w)
	require.Equal(m.t, refused, len(r.Errors) > 0)
	if refused {
		for _, product := range order {
			if got[product] < asked[product] {
				e := short(0, product, asked[product], got[product]).(models.InsufficientStockError)
				e.Failure = linePath(product)
				errs = append(errs, e)
			}
		}
		m.fails(r, errs...)
		return
	}
	require.Equal(m.t, models.ReservationCommitted, r.Reservation.State)
	for i, l := range r.Reservation.Lines {
		require.Equal(m.t, []any{h.lines[i].ProductID, h.lines[i].Requested, units[i]}, []any{l.ProductID, l.Requested, l.Quantity})
		sum := 0
		for _, a := range l.Allocations {
			require.True(m.t, m.selling[a.LocationID])
			sum += a.Quantity
		}
		require.Equal(m.t, units[i], sum)
	}
	h.lines, h.state = r.Reservation.Lines, models.ReservationCommitted
	m.move(h.lines, models.Available, models.Committed)
	h.version++
}

// parts returns how many units of each line are meant, and the errors of that.
func (m *model) parts(h *modelReservation, asked []models.LinePart) (units []int, errs []models.UserError) {
	units = make([]int, len(h.lines))
	for i, l := range h.lines {
		left := l.Quantity - l.Fulfilled - l.Cancelled
		if asked == nil {
			units[i] = left
		}
		first := -1
		for n, p := range asked {
			if p.ProductID == l.ProductID {
				units[i] += p.Quantity
				if first < 0 {
					first = n
				}
			}
		}
		if units[i] > left {
			errs = append(errs, short(first, l.ProductID, units[i], left))
		}
	}
	for n, p := range asked {
		if !slices.ContainsFunc(h.lines, func(l models.ReservationLine) bool { return l.ProductID == p.ProductID }) {
			errs = append(errs, notFound("lines", n, "productId"))
		}
	}
	slices.SortFunc(errs, func(a, b models.UserError) int { return slices.Compare(a.GetPath(), b.GetPath()) })
	return units, errs
}

// step moves units of each line, allocation by allocation. A commit releases the units
// that are not ordered.
func (m *model) step(h *modelReservation, to models.ReservationState, units []int) {
	left, fulfilled := 0, 0
	lines := make([]models.ReservationLine, len(h.lines))
	for i, l := range h.lines {
		lines[i] = l
		lines[i].Allocations = nil
		rest := units[i]
		for _, a := range l.Allocations {
			n := min(rest, a.Quantity-a.Done)
			rest -= n
			at := levelKey{l.ProductID, a.LocationID}
			q := m.shelf[at]
			*q.Of(moves[to][0]) -= n
			if moves[to][1] != "" {
				*q.Of(moves[to][1]) += n
			}
			switch to {
			case models.ReservationCommitted:
				q.Reserved -= a.Quantity - n
				q.Available += a.Quantity - n
				a.Quantity = n
			case models.ReservationFulfilled, models.ReservationCancelled:
				a.Done += n
			}
			m.shelf[at] = q
			if a.Quantity > 0 {
				lines[i].Allocations = append(lines[i].Allocations, a)
			}
		}
		switch to {
		case models.ReservationCommitted:
			lines[i].Quantity = units[i]
		case models.ReservationFulfilled:
			lines[i].Fulfilled += units[i]
		case models.ReservationCancelled:
			lines[i].Cancelled += units[i]
		}
		left += lines[i].Quantity - lines[i].Fulfilled - lines[i].Cancelled
		fulfilled += lines[i].Fulfilled
	}
	h.lines = lines
	switch {
	case to == models.ReservationCommitted || to == models.ReservationReleased:
		h.state = to
	case left == 0 && fulfilled > 0:
		h.state = models.ReservationFulfilled
	case left == 0:
		h.state = models.ReservationCancelled
	}
}

var anywhere = []string{"north", "south", "far"}

func (m *model) draw(t *rapid.T) (at levelKey, state models.State) {
	at = levelKey{rapid.SampledFrom(m.products()).Draw(t, "product"), rapid.SampledFrom(anywhere).Draw(t, "location")}
	return at, m.drawState(t)
}

func (m *model) drawState(t *rapid.T) models.State {
	return rapid.SampledFrom([]models.State{models.Available, models.Available, models.Damaged, models.Incoming}).Draw(t, "state")
}

// least returns the least quantity that a stock write may leave.
func (m *model) least(product string, state models.State) int {
	if state == models.Available {
		return m.floor(product)
	}
	return 0
}

// have returns the quantity of a state, after releasing overdue reservations if it is
// not enough.
func (m *model) have(at levelKey, state models.State, enough func(n int) bool) int {
	q := m.shelf[at]
	if state == models.Available && !enough(q.Available) && m.expireFor(map[string]bool{at.product: true}, "") {
		q = m.shelf[at]
	}
	return *q.Of(state)
}

func (m *model) put(at levelKey, state models.State, n int) {
	q := m.shelf[at]
	*q.Of(state) = n
	m.shelf[at] = q
}

func (m *model) adjust(t *rapid.T) {
	at, state := m.draw(t)
	n := rapid.IntRange(-4, 4).Filter(func(n int) bool { return n != 0 }).Draw(t, "delta")
	floor := m.least(at.product, state)
	have := m.have(at, state, func(have int) bool { return n > 0 || have+n >= floor })
	w := adjust(delta(at.product, at.location, state, n))
	w.IdempotencyKey = m.keys.draw(t, w)
	r := m.first(w)
	if n < 0 && have+n < floor {
		m.fails(r, tooFew(0, "delta", at.product, -n, max(0, have-floor)))
		return
	}
	m.fails(r)
	m.put(at, state, have+n)
}

// set counts a level, with the right changeFromQuantity, a wrong one, or none.
func (m *model) set(t *rapid.T) {
	at, state := m.draw(t)
	w := counted(row(at.product, at.location, state, rapid.IntRange(-6, 6).Draw(t, "quantity")))
	w.IdempotencyKey = m.keys.draw(t, w)
	count := &w.Rows[0]
	if rapid.Bool().Draw(t, "compare") {
		q := m.shelf[at]
		expected := *q.Of(state) + rapid.SampledFrom([]int{0, 0, 1, -1}).Draw(t, "wrong by")
		count.ChangeFromQuantity = &expected
	}
	have := *new(m.shelf[at]).Of(state)
	least := func() int { return min(m.least(at.product, state), have) }
	if count.Quantity >= least() {
		have = m.have(at, state, func(int) bool { return false }) // released units would be added to any count
	}
	r := m.first(w)
	if count.Quantity < least() {
		m.fails(r, models.InvalidInputError{Failure: path("rows", 0, "quantity")})
		return
	}
	if count.ChangeFromQuantity != nil && *count.ChangeFromQuantity != have {
		m.fails(r, models.StaleQuantityError{Failure: path("rows", 0, "changeFromQuantity"),
			Expected: *count.ChangeFromQuantity, Actual: have, Version: m.read(at.product).Version})
		return
	}
	m.fails(r)
	m.put(at, state, count.Quantity)
	m.counts.newest[countedState{at, state}] = 2 * len(m.counts.moments)
}

func (m *model) moveStock(t *rapid.T) {
	from, state := m.draw(t)
	to := levelKey{from.product, rapid.SampledFrom(anywhere).Draw(t, "to")}
	toState, n := m.drawState(t), rapid.IntRange(1, 5).Draw(t, "quantity")
	if from == to && state == toState {
		t.Skip("no move")
	}
	have := m.have(from, state, func(have int) bool { return have >= n })
	w := moveStock(moveRow(from.product, n, from.location, state, to.location, toState))
	w.IdempotencyKey = m.keys.draw(t, w)
	r := m.first(w)
	if have < n {
		m.fails(r, tooFew(0, "quantity", from.product, n, max(0, have)))
		return
	}
	m.fails(r)
	m.put(from, state, have-n)
	q := m.shelf[to]
	m.put(to, toState, *q.Of(toState)+n)
}

// setActive opens or closes a location.
func (m *model) setActive(location string, sells bool) {
	m.fails(m.first(locations(models.LocationRow{LocationID: location, Active: &sells})))
	m.selling[location] = sells
}

// changeSettings changes the settings of a product and the sourcing of the channel of
// the carts. What is below a new floor stays.
func (m *model) changeSettings(t *rapid.T) {
	rule := rapid.SampledFrom([]models.SourcingOrder{models.ByPriority, models.FewestLocations}).Draw(t, "sourcing")
	m.buffer = rapid.IntRange(0, 3).Draw(t, "buffer")
	m.fails(m.first(channels(models.ChannelRow{ChannelID: "web", Sourcing: &rule, Buffer: new(m.buffer)})))
	m.setActive("south", rapid.Bool().Draw(t, "south sells"))
	row := models.ProductRow{ProductID: rapid.SampledFrom(m.products()).Draw(t, "product"), InventoryPolicy: new(models.Deny)}
	owed := rapid.IntRange(0, owedMax).Draw(t, "owed")
	if owed > 0 {
		row.InventoryPolicy, row.BackorderLimit = new(models.Continue), given(owed)
	}
	version := m.read(row.ProductID).Version
	m.fails(m.first(products(row)))
	after := m.read(row.ProductID)
	require.Equal(t, owed, -after.Floor())
	require.GreaterOrEqual(t, after.Version, version)
	m.owed[row.ProductID] = owed
}
