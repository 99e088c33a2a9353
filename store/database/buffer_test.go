package database_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"onhand/models"
	"onhand/models/channel"
	"onhand/store/database"
)

func through(id string, lines ...models.RequestedLine) models.Reserve {
	w := reserve(lines...)
	w.Channel = id
	return w
}

// buffer sets the buffer of a channel.
func buffer(id string, units int) models.UpsertChannels {
	return channels(models.ChannelRow{ChannelID: id, Buffer: &units})
}

// productBuffer sets the buffer of a product in a channel; a negative number removes it.
func productBuffer(id, product string, units int) models.UpsertChannels {
	b := models.ProductBuffer{ProductID: product, Buffer: &units}
	if units < 0 {
		b.Buffer = nil
	}
	return channels(models.ChannelRow{ChannelID: id, ProductBuffers: []models.ProductBuffer{b}})
}

// shows checks what a channel shows of a product.
func (s *shop) shows(id, product string, quantity int, status models.StockStatus) {
	s.t.Helper()
	view := s.view(product, id)
	require.Equal(s.t, quantity, *view.QuantityAvailable())
	require.Equal(s.t, status, view.Status())
	require.Equal(s.t, status != models.OutOfStock, view.AvailableForSale())
}

// A channel keeps its buffer back of the total over its locations, not of each location.
// Others sell it.
func TestBufferOfAChannel(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5, "south", 3, "far", 50)
		s.stock("cup", "north", 1)
		version := s.read("mug").Version
		s.exec("DELETE FROM outbox")
		s.ok(buffer("all", 2))
		require.Equal(t, version, s.read("mug").Version)
		require.Zero(t, s.number("SELECT count(*) FROM outbox"))

		s.shows("all", "mug", 6, models.InStock)
		s.shows("all", "cup", 0, models.OutOfStock)
		s.shows("web", "mug", 3, models.LowStock)
		require.Equal(t, 8, s.read("mug").Quantity())
		s.fails(s.do(through("all", line("mug", 7))), short(0, "mug", 7, 6))
		partial := through("all", line("mug", 7), line("cup", 1))
		partial.AllowPartial = true
		r := s.do(partial)
		s.fails(r, short(0, "mug", 7, 6), short(1, "cup", 1, 0))
		require.Equal(t, []int{6, 0}, []int{r.Reservation.Lines[0].Quantity, r.Reservation.Lines[1].Quantity})
		s.shows("all", "mug", 0, models.OutOfStock)
		s.fails(s.do(through("all", line("mug", 1))), short(0, "mug", 1, 0))
		s.ok(release(r.Reservation.ID))

		held := s.ok(through("all", line("mug", 4))).Reservation
		s.ok(update(held.ID, line("mug", 6)))
		s.fails(s.do(update(held.ID, line("mug", 7))), short(0, "mug", 7, 6))
		s.reserved(line("mug", 2)) // without a channel
		s.ok(release(held.ID))
		s.shows("all", "mug", 4, models.LowStock)
	})
}

// A reservation keeps its units when the buffer grows. What an update adds must be there.
func TestBufferThatGrows(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5, "south", 3)
		held := s.ok(through("all", line("mug", 6))).Reservation
		s.ok(buffer("all", 7))
		s.shows("all", "mug", 0, models.OutOfStock)
		s.ok(update(held.ID, line("mug", 6)))
		s.fails(s.do(update(held.ID, line("mug", 7))), short(0, "mug", 7, 6))
		s.ok(update(held.ID, line("mug", 4)))
		s.ok(resolve(held.ID, models.ReservationCommitted))
	})
}

// A line that names a location gets what the channel's total allows.
func TestBufferOfAPinnedLine(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5, "south", 3)
		s.ok(buffer("all", 4))
		s.fails(s.do(through("all", pinned("mug", 5, "north"))), short(0, "mug", 5, 4))
		s.fails(s.do(through("all", pinned("mug", 3, "north"), pinned("mug", 2, "south"))), short(0, "mug", 5, 4))
		s.fails(s.do(through("all", pinned("mug", 4, "south"))), short(0, "mug", 4, 3))
		s.ok(through("all", pinned("mug", 2, "north"), line("mug", 2)))
		s.shows("all", "mug", 0, models.OutOfStock)
	})
}

// A product's own buffer counts in place of the channel's. It is a setting of the
// product: a newer version that the outbox announces.
func TestBufferOfAProduct(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 9)
		s.stock("cup", "north", 9)
		s.ok(buffer("all", 2))
		version, cups, web := s.read("mug").Version, s.read("cup").Version, s.revision("web")
		s.exec("DELETE FROM outbox")
		w := productBuffer("all", "mug", 6)
		r := s.ok(w)
		require.Equal(t, []string{"all"}, r.Channels)
		require.Equal(t, channel.Buffers{"all": 6}, s.read("mug").Buffers)
		require.Equal(t, version+1, s.read("mug").Version)
		require.Equal(t, int64(1), s.number("SELECT count(*) FROM outbox WHERE product_id = 'mug'"))
		require.Equal(t, s.read("mug"), timeless(r.Stocks[0]))
		require.Equal(t, cups, s.read("cup").Version)
		s.shows("all", "mug", 3, models.LowStock)
		s.shows("all", "cup", 7, models.InStock)
		s.fails(s.do(through("all", line("mug", 4), line("cup", 8))), short(0, "mug", 4, 3), short(1, "cup", 8, 7))
		require.True(t, s.do(w).Replayed)

		s.ok(productBuffer("all", "mug", 6))
		require.Equal(t, version+1, s.read("mug").Version, "nothing changed")
		s.ok(products(models.ProductRow{ProductID: "mug", Title: given("Mug")}))
		require.Equal(t, channel.Buffers{"all": 6}, s.read("mug").Buffers, "other settings leave it alone")
		s.ok(productBuffer("web", "mug", 1))
		s.ok(productBuffer("all", "mug", 0))
		require.Equal(t, channel.Buffers{"all": 0, "web": 1}, s.read("mug").Buffers)
		require.Equal(t, []channel.Buffer{{ChannelID: "all"}, {ChannelID: "web", Buffer: 1}}, s.read("mug").ChannelBuffers())
		require.Equal(t, web, s.revision("web"), "the channel itself stays")
		s.shows("all", "mug", 9, models.InStock)
		s.ok(productBuffer("all", "mug", -1))
		s.shows("all", "mug", 7, models.InStock)
		s.exec("DELETE FROM channels WHERE channel_id = 'web'")
		require.Nil(t, s.read("mug").Buffers, "a deleted channel takes its buffers along")
	})
}

// Backorders begin at the buffer, and the limit counts from there.
func TestBufferWithBackorders(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5, "south", 3)
		s.settings("mug", "inventory_policy = 'CONTINUE', backorder_limit = 4")
		s.ok(buffer("all", 6))
		s.shows("all", "mug", 2, models.LowStock)
		s.fails(s.do(through("all", line("mug", 7))), short(0, "mug", 7, 6))
		s.ok(through("all", line("mug", 2)))
		s.shows("all", "mug", 0, models.Backorder)
		s.ok(through("all", line("mug", 3)))
		s.shows("all", "mug", -3, models.Backorder)
		require.Equal(t, 3, s.read("mug").Quantity(), "units are there")
		s.ok(through("all", line("mug", 1)))
		s.shows("all", "mug", -4, models.OutOfStock)
		s.fails(s.do(through("all", line("mug", 1))), short(0, "mug", 1, 0))
		s.reserved(line("mug", 6)) // down to the limit of the product itself
		require.Equal(t, -4, s.read("mug").Quantity())
	})
}

// A product that is sold before its first delivery has no units to keep back: the buffer
// counts against its backorder limit, in what is shown as in what is sold.
func TestBufferOfAPreorder(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug")
		s.settings("mug", "inventory_policy = 'CONTINUE', backorder_limit = 4")
		s.ok(buffer("all", 3))
		s.shows("all", "mug", -3, models.Backorder)
		s.fails(s.do(through("all", pinned("mug", 2, "south"))), short(0, "mug", 2, 1))
		s.fails(s.do(through("all", line("mug", 2))), short(0, "mug", 2, 1))
		s.ok(through("all", line("mug", 1)))
		s.shows("all", "mug", -4, models.OutOfStock)
		s.reserved(line("mug", 3))
		s.ok(buffer("all", 4))
		s.stock("cup")
		s.settings("cup", "inventory_policy = 'CONTINUE', backorder_limit = 4")
		s.shows("all", "cup", -4, models.OutOfStock)
		errs := s.do(through("all", line("cup", 1))).Errors
		require.Equal(t, `"cup" cannot be had: its backorder limit of 4, which counts from the buffer of the channel "all", is reached`, errs[0].GetMessage())
	})
}

// A shortage for want of the buffer says so.
func TestBufferMessages(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("few", "north", 2, "south", 3)
		s.stock("owed", "north", 2)
		s.settings("owed", "inventory_policy = 'CONTINUE', backorder_limit = 3")
		s.stock("out", "north", 0)
		s.ok(buffer("all", 4))
		for message, w := range map[string]models.Reserve{
			`only 1 of "few" can be had, not 2: the channel "all" keeps the rest back as its buffer`:                                      through("all", line("few", 2)),
			`only 1 of "few" can be had, not 3: the channel "all" keeps the rest back as its buffer`:                                      through("all", pinned("few", 2, "north"), pinned("few", 1, "north")),
			`only 1 of "owed" can be had, not 2: its backorder limit of 3, which counts from the buffer of the channel "all", is reached`: through("all", line("owed", 2)),
			`"out" cannot be had: it is sold out in the channel "all"`:                                                                    through("all", line("out", 1)),
		} {
			errs := s.do(w).Errors
			require.Len(t, errs, 1, message)
			require.Equal(t, message, errs[0].GetMessage())
		}
		s.ok(buffer("all", 5))
		errs := s.do(through("all", line("few", 1))).Errors
		require.Equal(t, `"few" cannot be had: the channel "all" keeps what is left back as its buffer`, errs[0].GetMessage())
	})
}

// Bad buffers are refused with their path, and nothing is written.
func TestBufferErrors(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.stock("cup", "north", 5)
		invalid := func(parts ...any) models.UserError { return models.InvalidInputError{Failure: path(parts...)} }
		row := models.ChannelRow{ChannelID: "all", Buffer: new(-1), ProductBuffers: []models.ProductBuffer{
			{ProductID: "mug", Buffer: new(models.QuantityMax + 1)}, {ProductID: " "}, {ProductID: "mug"},
		}}
		s.refused(channels(row), invalid("rows", 0, "buffer"), invalid("rows", 0, "productBuffers", 0, "buffer"),
			invalid("rows", 0, "productBuffers", 1, "productId"), invalid("rows", 0, "productBuffers", 2))
		many := models.ChannelRow{ChannelID: "all"}
		for i := range models.ProductRowsMax + 1 {
			many.ProductBuffers = append(many.ProductBuffers, models.ProductBuffer{ProductID: fmt.Sprint("p", i)})
		}
		s.refused(channels(many), invalid("rows"))

		w := channels(
			models.ChannelRow{ChannelID: "all", Buffer: new(3), ProductBuffers: []models.ProductBuffer{{ProductID: "mug", Buffer: new(1)}, {ProductID: "pen", Buffer: new(1)}}},
			models.ChannelRow{ChannelID: "web", ProductBuffers: []models.ProductBuffer{{ProductID: "cup", Buffer: new(2)}}},
		)
		unknown := models.NotFoundError{Failure: path("rows", 0, "productBuffers", 1, "productId")}
		s.fails(s.do(w), unknown)
		require.Nil(t, s.read("cup").Buffers)
		w = channels(w.Rows...)
		w.ErrorPolicy = models.RejectFailedRows
		r := s.do(w)
		s.fails(r, unknown)
		require.Equal(t, []string{"web"}, r.Channels)
		require.Nil(t, s.read("mug").Buffers, "a failed row has no effect")
		require.Equal(t, channel.Buffers{"web": 2}, s.read("cup").Buffers)

		rows := make([]models.ChannelRow, channel.BuffersMax)
		for i := range rows {
			rows[i] = models.ChannelRow{ChannelID: fmt.Sprint("c", i), ProductBuffers: []models.ProductBuffer{{ProductID: "mug", Buffer: &i}}}
		}
		s.ok(channels(rows...))
		require.Len(t, s.read("mug").Buffers, channel.BuffersMax)
		s.fails(s.do(productBuffer("all", "mug", 1)), invalid("rows", 0, "productBuffers", 0, "productId"))
		for _, text := range []string{`[]`, `5`, `{"web": -1}`, `{"web": "5"}`, `{"web": 5.5}`, `{"web": 1000000001}`, `{"": 1}`, `{`} {
			_, err := s.raw.Exec("UPDATE products SET channel_buffers = $1 WHERE product_id = 'cup'", text)
			require.Error(t, err, text)
		}
		s.settings("cup", `channel_buffers = '{"all": 4}'`)
		s.shows("all", "cup", 1, models.LowStock)
	})
}

// refused checks the errors of a write that no stock can make valid.
func (s *shop) refused(w models.Write, want ...models.UserError) {
	s.t.Helper()
	s.fails(models.WriteResult{Errors: w.Check(reservationTTL)}, want...)
}

// An optimistic batch sells down to the buffer, and no further. A change of a buffer
// refuses the batch.
func TestOptimisticBatchWithABuffer(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		s.ok(buffer("all", 3))
		s.ok(through("all", line("cup", 1)))
		left := s.view("cup", "all").Quantity()
		b := s.optimistic(through("all", line("cup", left-1)))
		next := s.NewOptimisticBatch()
		require.False(t, next.Add(s.Prepare(through("all", line("cup", 2)))), "it is short: decided under lock")
		require.True(t, next.Add(s.Prepare(through("all", line("cup", 1)))))
		require.True(t, next.Add(s.Prepare(reserve(line("cup", 1)))), "without a channel")
		require.False(t, next.Add(s.Prepare(through("all", line("cup", 1)))))
		next.Close()
		for _, batch := range []interface {
			Commit(context.Context) (models.Outcome, error)
		}{b, next} {
			_, err := batch.Commit(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, 2, s.read("cup").Quantity())
	})
	for name, change := range map[string]string{
		"a channel's buffer": "UPDATE channels SET buffer = 1 WHERE channel_id = 'all'",
		"a product's buffer": `UPDATE products SET channel_buffers = '{"all": 1}' WHERE product_id = 'cup'`,
	} {
		t.Run(name, func(t *testing.T) {
			onPostgres(t, func(t *testing.T, s *shop) {
				s.ok(through("all", line("cup", 1)))
				b := s.optimistic(through("all", line("cup", 1)))
				s.exec(change)
				s.commitRefused(b)
			})
		})
	}
}

// A conditional decrement finds enough for each reservation through a channel with a
// buffer, whatever others of the batch take after it; and not more than that.
func TestConditionalBatchWithABuffer(t *testing.T) {
	for name, is := range map[string]struct {
		left    int
		refused bool
	}{"enough": {15, false}, "one less": {14, true}} {
		t.Run(name, func(t *testing.T) {
			onContended(t, func(t *testing.T, s *shop, other *database.Database) {
				s.ok(buffer("all", 10))
				_, err := s.WriteUnderLock(t.Context(), []models.Write{through("all", line("cup", 1))}) // caches the channel again
				require.NoError(t, err)
				s.ExpectContention("cup")
				b := s.optimistic(through("all", line("cup", 5)), reserve(line("cup", 3)))
				require.True(t, b.Conditional)
				_, err = other.WriteUnderLock(t.Context(), []models.Write{reserve(line("cup", s.read("cup").Quantity()-is.left))})
				require.NoError(t, err)
				if is.refused {
					s.commitRefused(b)
					return
				}
				_, err = b.Commit(t.Context())
				require.NoError(t, err)
				require.Equal(t, is.left-8, s.read("cup").Quantity())
			})
		})
	}
}

// bufferModel is what a channel of two locations sells, by plain arithmetic.
type bufferModel struct {
	*shop
	channel  string
	stock    map[string]map[string]int // available, by product and location
	limit    map[string]int            // units on backorder
	buffer   int
	products map[string]int // own buffers
	held     []*models.Reservation
}

// inside are the channel's locations; "far" is another one.
var inside = []string{"north", "south"}

// sells returns how many units of a product the channel sells; all locations sell it
// where there is no channel.
func (m *bufferModel) sells(product string, locations []string, buffer int) int {
	total, elsewhere := 0, 0
	for location, n := range m.stock[product] {
		if contains(locations, location) {
			total += n
		} else {
			elsewhere += min(0, n)
		}
	}
	return max(0, total-buffer+max(0, m.limit[product]+elsewhere))
}

func contains(list []string, item string) bool {
	for _, have := range list {
		if have == item {
			return true
		}
	}
	return false
}

func (m *bufferModel) bufferOf(product string) int {
	if own, ok := m.products[product]; ok {
		return own
	}
	return m.buffer
}

func (m *bufferModel) names() []string { return []string{m.channel + " deny", m.channel + " owed"} }

// reserve reserves of one product: of any location or of one, through the channel or
// without it.
func (m *bufferModel) reserve(t *rapid.T) {
	product := rapid.SampledFrom(m.names()).Draw(t, "product")
	asked, at := rapid.IntRange(1, 8).Draw(t, "quantity"), rapid.SampledFrom([]string{"", "", "north", "far"}).Draw(t, "location")
	w := reserve(pinned(product, asked, at))
	w.AllowPartial = rapid.Bool().Draw(t, "partial")
	locations, buffer := []string{"north", "south", "far"}, 0
	if rapid.Bool().Draw(t, "channel") {
		w.Channel, locations, buffer = m.channel, inside, m.bufferOf(product)
	}
	can := m.sells(product, locations, buffer)
	if at != "" {
		here := 0
		if contains(locations, at) {
			here = m.sells(product, []string{at}, 0)
		}
		if buffer == 0 {
			can = here
		}
		can = min(can, here)
	}
	got := min(asked, can)
	r := m.do(w)
	if got == 0 || got < asked && !w.AllowPartial {
		m.fails(r, short(0, product, asked, got))
		require.Nil(t, r.Reservation)
		return
	}
	if got < asked {
		m.fails(r, short(0, product, asked, got))
	}
	for _, a := range r.Reservation.Lines[0].Allocations {
		m.stock[product][a.LocationID] -= a.Quantity
		got -= a.Quantity
	}
	require.Zero(t, got)
	m.held = append(m.held, r.Reservation)
}

func (m *bufferModel) release(t *rapid.T) {
	if len(m.held) == 0 {
		t.Skip("nothing is reserved")
	}
	r := m.held[0]
	m.held = m.held[1:]
	m.ok(release(r.ID))
	for _, a := range r.Lines[0].Allocations {
		m.stock[r.Lines[0].ProductID][a.LocationID] += a.Quantity
	}
}

func (m *bufferModel) changeBuffers(t *rapid.T) {
	if rapid.Bool().Draw(t, "of the channel") {
		m.buffer = rapid.IntRange(0, 9).Draw(t, "buffer")
		m.ok(buffer(m.channel, m.buffer))
		return
	}
	product, units := rapid.SampledFrom(m.names()).Draw(t, "product"), rapid.IntRange(-1, 9).Draw(t, "buffer")
	m.ok(productBuffer(m.channel, product, units))
	if m.products[product] = units; units < 0 {
		delete(m.products, product)
	}
}

// compare checks that the channel shows what it sells.
func (m *bufferModel) compare(t *rapid.T) {
	for _, product := range m.names() {
		view, buffer := m.view(product, m.channel), m.bufferOf(product)
		can := m.sells(product, inside, buffer)
		require.Equal(t, can > 0, view.AvailableForSale())
		total := m.stock[product]["north"] + m.stock[product]["south"]
		if m.limit[product] == 0 {
			require.Equal(t, max(0, total-buffer), view.Quantity())
			require.Equal(t, can, view.Quantity(), "what is shown is what can be reserved")
		} else if m.stock[product]["far"] >= 0 {
			require.Equal(t, total-buffer, view.Quantity())
		}
		switch status := view.Status(); {
		case can == 0:
			require.Equal(t, models.OutOfStock, status)
		case total-buffer <= 0:
			require.Equal(t, models.Backorder, status)
		case total-buffer <= 5:
			require.Equal(t, models.LowStock, status)
		default:
			require.Equal(t, models.InStock, status)
		}
	}
}

// After any sequence of reservations and changes of buffers a channel shows and sells
// what the arithmetic says.
func TestBuffersAgainstAModel(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.ok(locations(models.LocationRow{LocationID: "far", Active: new(true)}))
		runs := 0
		rapid.Check(t, func(rt *rapid.T) {
			runs++
			m := &bufferModel{shop: s.with(rt), channel: fmt.Sprint("run ", runs), stock: map[string]map[string]int{}, limit: map[string]int{}, products: map[string]int{}}
			m.ok(channels(models.ChannelRow{ChannelID: m.channel, LocationIDs: inside}))
			for _, product := range m.names() {
				m.shop.stock(product, "north", 6, "south", 5, "far", 2)
				m.stock[product] = map[string]int{"north": 6, "south": 5, "far": 2}
			}
			owed := m.names()[1]
			m.limit[owed] = 4
			m.settings(owed, "inventory_policy = 'CONTINUE', backorder_limit = 4")
			rt.Repeat(map[string]func(*rapid.T){
				"reserve": m.reserve, "reserve more": m.reserve, "release": m.release, "buffers": m.changeBuffers, "": m.compare,
			})
			for _, r := range m.held {
				m.ok(release(r.ID))
			}
		})
	})
}
