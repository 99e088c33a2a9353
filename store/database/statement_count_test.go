package database_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/database"
)

// countingProxy forwards a client's bytes to Postgres, and counts statements and round
// trips.
type countingProxy struct{ statements, roundTrips atomic.Int64 }

// through returns the URL of the database through the proxy.
func (p *countingProxy) through(t *testing.T, dsn string) string {
	t.Helper()
	address, err := url.Parse(dsn)
	require.NoError(t, err)
	target := address.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
			go func() { p.forward(server, client); _ = server.Close() }()
		}
	}()
	address.Host = listener.Addr().String()
	return address.String()
}

// forward copies the client's messages: after the first, each is a letter, a length that
// includes itself, and the rest.
func (p *countingProxy) forward(server io.Writer, client io.Reader) {
	for letter := 0; ; letter = 1 {
		head := make([]byte, letter+4)
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		if letter == 1 {
			switch head[0] {
			case 'E': // Execute
				p.statements.Add(1)
			case 'S': // Sync
				p.roundTrips.Add(1)
			case 'Q': // both in one
				p.statements.Add(1)
				p.roundTrips.Add(1)
			}
		}
		if _, err := server.Write(head); err != nil {
			return
		}
		if _, err := io.CopyN(server, client, int64(binary.BigEndian.Uint32(head[letter:]))-4); err != nil {
			return
		}
	}
}

// A bulk write of 1,000 rows costs the statements and round trips of one of 10.
func TestStatementsOfABulkWrite(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		mugs := make([]models.Product, models.StockRowsMax)
		for i := range mugs {
			mugs[i].ProductID = fmt.Sprintf("mug %03d", i)
		}
		require.NoError(t, s.AddCatalogue(t.Context(), database.Catalogue{Products: mugs}))
		var proxy countingProxy
		db := openOnly(t, proxy.through(t, s.url))
		count := 0 // counts differ, because an unchanged level is not written
		kinds := []struct {
			name string
			make func(n int) models.Write
		}{
			{"set", func(n int) models.Write {
				set := counted()
				set.IdempotencyKey, count = newKey(), count+1
				for i := range n {
					set.Rows = append(set.Rows, row(mugs[i].ProductID, "north", models.Available, 100+count))
				}
				return set
			}},
			{"adjust", func(n int) models.Write {
				a := adjust()
				for i := range n {
					a.Rows = append(a.Rows, delta(mugs[i].ProductID, "north", models.Available, 1))
				}
				return a
			}},
			{"move", func(n int) models.Write {
				m := moveStock()
				for i := range n {
					m.Rows = append(m.Rows, moveRow(mugs[i].ProductID, 1, "north", models.Available, "north", models.Damaged))
				}
				return m
			}},
		}
		cost := func(write models.Write) [2]int64 {
			before := [2]int64{proxy.statements.Load(), proxy.roundTrips.Load()}
			out, err := db.WriteUnderLock(t.Context(), []models.Write{write})
			require.NoError(t, err)
			require.Empty(t, out.Results[0].Errors)
			return [2]int64{proxy.statements.Load() - before[0], proxy.roundTrips.Load() - before[1]}
		}
		// A connection prepares each statement the first time.
		least := func(make func(int) models.Write, n int) [2]int64 {
			costs := [][2]int64{cost(make(n)), cost(make(n)), cost(make(n)), cost(make(n))}
			return slices.MinFunc(costs, func(a, b [2]int64) int { return cmp.Compare(a[1], b[1]) })
		}
		for _, kind := range kinds {
			cost(kind.make(models.StockRowsMax)) // inserts the levels
			few, many := least(kind.make, 10), least(kind.make, models.StockRowsMax)
			require.Equal(t, few, many, kind.name)
			require.Equal(t, int64(2), many[1], "%s: one round trip to load, one to save", kind.name)
			require.LessOrEqual(t, many[0], int64(16), kind.name)
		}
	})
}

// A page of products that needs no search costs one statement, in both orders, in both
// directions, and behind a cursor.
func TestStatementsOfAPage(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		for i := range 30 {
			s.stock(fmt.Sprintf("mug %02d", i))
		}
		var proxy countingProxy
		db := openOnly(t, proxy.through(t, s.url))
		for _, order := range []paging.ProductOrder{paging.ByProductID, paging.ByTitle} {
			for _, asked := range []paging.Request{{First: 10}, {Last: 10}, {First: 10, After: "mug 11"}, {Last: 10, Before: "mug 11"}} {
				least := [2]int64{100, 100}
				for range 4 { // a connection prepares each statement the first time
					before := [2]int64{proxy.statements.Load(), proxy.roundTrips.Load()}
					page, err := db.ReadProducts(t.Context(), asked, paging.ProductQuery{Order: order})
					require.NoError(t, err)
					require.Len(t, page.Products, 10)
					cost := [2]int64{proxy.statements.Load() - before[0], proxy.roundTrips.Load() - before[1]}
					least = slices.MinFunc([][2]int64{least, cost}, func(a, b [2]int64) int { return cmp.Compare(a[1], b[1]) })
				}
				require.Equal(t, [2]int64{1, 1}, least, "%s %+v", order, asked)
			}
		}
	})
}
