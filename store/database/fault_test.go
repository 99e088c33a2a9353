package database_test

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/database"
	"onhand/store/storetest"
)

// quick is how soon a call must fail when its server is down: well before any deadline,
// with time for a busy machine.
const quick = 2 * time.Second

// everyCall returns every call that the server must answer.
func everyCall(db *database.Database) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"write": func(ctx context.Context) error {
			_, err := db.WriteUnderLock(ctx, []models.Write{reserve(line("mug", 1))})
			return err
		},
		"expire": func(ctx context.Context) error {
			for _, err := range db.ExpireDue(ctx, 9) {
				return err
			}
			return nil
		},
		"read": func(ctx context.Context) error { _, err := db.ReadStocks(ctx, []string{"mug"}); return err },
		"meta": func(ctx context.Context) error { _, err := db.ReadMeta(ctx); return err },
		"products": func(ctx context.Context) error {
			_, err := db.ReadProducts(ctx, paging.Request{First: 1}, paging.ProductQuery{})
			return err
		},
		"reservations": func(ctx context.Context) error {
			_, err := db.ReadReservations(ctx, []string{"res_00000000000000000000000000000000"})
			return err
		},
		"directory": func(ctx context.Context) error { _, err := db.Directory(ctx); return err },
		"empty":     func(ctx context.Context) error { _, err := db.Empty(ctx); return err },
		"keys":      db.DeleteOldKeys,
		"compact":   db.CompactOutbox,
		"ping":      db.Ping,
		"epoch":     func(ctx context.Context) error { return db.NewEpoch(ctx, "none") },
		"drain": func(ctx context.Context) error {
			_, err := db.DrainOutbox(ctx, 1, func(context.Context, []models.Change) error { return nil })
			return err
		},
		"catalogue": func(ctx context.Context) error {
			return db.AddCatalogue(ctx, database.Catalogue{Products: []models.Product{{ProductID: "mug"}}})
		},
	}
}

// While its server is down every call is UNAVAILABLE, soon. When the server is back the
// first call works, and no acknowledged write is missing.
func TestServerGoneAndBack(t *testing.T) {
	t.Parallel()
	server := storetest.PrivatePostgres(t)
	require.NoError(t, server.CreateDatabase(t.Context(), "onhand"))
	s := openShop(t, postgres, server.DSN("onhand"))
	s.stock("mug", "north", 1000)
	early := openOnly(t, s.url) // not connected yet when the server stops
	fill := func() {            // open all connections of the pool
		var group sync.WaitGroup
		for range 4 * database.ConnectionsMax {
			group.Go(func() {
				_, err := s.WriteUnderLock(context.Background(), []models.Write{reserve(line("mug", 1))})
				assert.NoError(t, err)
			})
		}
		group.Wait()
	}
	for name, end := range map[string]func() error{"stopped": server.Stop, "killed": server.Kill} {
		fill()
		reserved := s.level("mug", "north").Reserved
		require.NoError(t, end())
		for _, db := range []*database.Database{s.Database, early} {
			for call, ask := range everyCall(db) {
				began := time.Now()
				err := ask(context.Background())
				require.Equal(t, models.CodeUnavailable, models.CodeOf(err), "%s, %s: %v", name, call, err)
				require.Less(t, time.Since(began), quick, "%s, %s", name, call)
			}
		}
		require.NoError(t, server.Start())
		for _, db := range []*database.Database{s.Database, early} {
			for call, ask := range everyCall(db) {
				require.NoError(t, ask(context.Background()), "%s, %s", name, call)
			}
		}
		require.Equal(t, reserved+2, s.level("mug", "north").Reserved)
		s.raw.SetMaxIdleConns(0) // this pool does not replace its lost connections
		s.audit()
		s.raw.SetMaxIdleConns(2)
	}
	if testing.Short() {
		return
	}
	// A frozen server costs a call its deadline, and no more.
	require.NoError(t, server.Freeze())
	began := time.Now()
	_, err := s.ReadStocks(t.Context(), []string{"mug"})
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err), err)
	_, err = s.WriteUnderLock(t.Context(), []models.Write{reserve(line("mug", 1))})
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err), err)
	require.Less(t, time.Since(began), database.WriteTimeout+3*time.Second+quick)
	require.NoError(t, server.Thaw())
	for call, ask := range everyCall(s.Database) {
		require.NoError(t, ask(context.Background()), call)
	}
}

// lockLevels locks the levels of a product, as an outside writer, until the returned
// function is called.
func (s *shop) lockLevels(t *testing.T, product string) (unlock func()) {
	t.Helper()
	tx, err := s.raw.BeginTx(context.Background(), nil)
	require.NoError(t, err)
	_, err = tx.Exec("UPDATE stock_levels SET damaged = damaged + 1 WHERE product_id = $1", product)
	require.NoError(t, err)
	return func() { require.NoError(t, tx.Rollback()) }
}

// A row that an outside transaction keeps locked costs the writes of that product their
// deadline, and nothing is written. Writes of other products are not blocked. When the
// row is free, the same key works.
func TestRowLockedElsewhere(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		if testing.Short() {
			t.Skip("waits for a deadline")
		}
		s.stock("mug", "north", 5)
		s.stock("cup", "north", 5)
		levels := s.levels()
		unlock := s.lockLevels(t, "mug")
		w := reserve(line("cup", 1), line("mug", 1))
		done := make(chan error, 1)
		began := time.Now()
		go func() {
			_, err := s.WriteUnderLock(context.Background(), []models.Write{w})
			done <- err
		}()
		s.awaitBlocked(t)
		s.reserved(line("cup", 1)) // the other write locks mugs last: if it had locked a cup, this one would wait
		err := <-done
		require.Equal(t, models.CodeUnavailable, models.CodeOf(err), err)
		require.Less(t, time.Since(began), database.WriteTimeout+quick)
		unlock()
		require.Equal(t, levels[levelKey{"mug", "north"}], s.level("mug", "north"))
		require.Equal(t, int64(1), s.number("SELECT count(*) FROM reservations"))
		require.False(t, s.ok(w).Replayed)
	})
}

// awaitBlocked waits until a connection of Onhand waits for a lock, and returns its
// process id.
func (s *shop) awaitBlocked(t *testing.T) (pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		err := s.raw.QueryRow(`SELECT pid FROM pg_stat_activity WHERE datname = current_database()
			AND application_name = 'onhand' AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()`).Scan(&pid)
		return err == nil
	}, generous, poll)
	return pid
}

// A connection that is killed in the middle of a write is replaced, and the write has
// one effect.
func TestConnectionKilledMidWrite(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		unlock := s.lockLevels(t, "mug")
		done := make(chan models.WriteResult, 1)
		go func() {
			out, err := s.WriteUnderLock(context.Background(), []models.Write{reserve(line("mug", 2))})
			if assert.NoError(t, err) {
				done <- out.Results[0]
			}
			close(done)
		}()
		first := s.awaitBlocked(t)
		s.exec("SELECT pg_terminate_backend($1::int)", first)
		require.NotEqual(t, first, s.awaitOtherBlocked(t, first), "the write is retried")
		unlock()
		require.Empty(t, (<-done).Errors)
		require.Equal(t, models.Quantities{Available: 3, Reserved: 2}, s.level("mug", "north"))
	})
}

// awaitOtherBlocked waits until another connection than gone waits for a lock.
func (s *shop) awaitOtherBlocked(t *testing.T, gone int) (pid int) {
	t.Helper()
	require.Eventually(t, func() bool { pid = s.awaitBlocked(t); return pid != gone }, generous, poll)
	return pid
}

// A commit whose answer was lost has happened: the write is retried, finds its own key,
// and has one effect.
func TestAnswerOfCommitLost(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		address, err := url.Parse(s.url)
		require.NoError(t, err)
		proxy := &lossyProxy{server: address.Host}
		address.Host = proxy.listen(t)
		// Statements are sent as text each time, so that the proxy finds COMMIT.
		address.RawQuery += "&default_query_exec_mode=cache_describe"
		far := s.with(t)
		far.Database = openOnly(t, address.String())
		reserved := far.reserved(line("mug", 1))
		for _, w := range []models.Write{
			reserve(line("mug", 2)), adjust(delta("mug", "north", models.Available, 1)), resolve(reserved.ID, models.ReservationCommitted),
		} {
			// Each statement is described once; what is sent after that is the write alone.
			far.mustWrite(reserve(line("mug", 1)))
			far.mustWrite(adjust(delta("mug", "north", models.Available, 1)))
			far.ok(resolve(far.reserved(line("mug", 1)).ID, models.ReservationCommitted))
			cuts := proxy.cuts.Load()
			proxy.armed.Store(true)
			r := far.mustWrite(w).Results[0]
			require.Equal(t, cuts+1, proxy.cuts.Load(), "the answer was lost")
			require.True(t, r.Replayed)
			for _, stock := range r.Stocks {
				require.Equal(t, s.read("mug"), timeless(stock))
			}
		}
		require.Equal(t, models.Quantities{Available: 10 + 1 + 3 - 1 - 2 - 3 - 3, Reserved: 2 + 3, Committed: 1 + 3}, s.level("mug", "north"))
	})
}

// lossyProxy forwards bytes. When armed, it waits for a COMMIT, forwards it to the
// server, and closes the connection instead of forwarding the answer.
type lossyProxy struct {
	server string
	armed  atomic.Bool
	cuts   atomic.Int64
}

func (l *lossyProxy) listen(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var group sync.WaitGroup
	group.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { l.forward(client) })
		}
	})
	t.Cleanup(func() { _ = listener.Close() }) // the connections end with their Database
	return listener.Addr().String()
}

func (l *lossyProxy) forward(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", l.server)
	if err != nil {
		return
	}
	defer server.Close()
	var cut atomic.Bool
	go func() {
		defer client.Close()
		buffer := make([]byte, 1<<16)
		for {
			n, err := server.Read(buffer)
			if err != nil || cut.Load() {
				if err == nil {
					l.cuts.Add(1)
				}
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if bytes.Contains(buffer[:n], []byte("COMMIT\x00")) && l.armed.CompareAndSwap(true, false) {
			cut.Store(true)
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// An outside writer that keeps SQLite's one lock costs writes their deadline. Reads go
// on, and writes work again when the lock is free.
func TestFileLockedElsewhere(t *testing.T) {
	on(t, []string{sqlite}, func(t *testing.T, s *shop) {
		if testing.Short() {
			t.Skip("waits for a deadline")
		}
		s.stock("mug", "north", 5)
		unlock := s.lockLevels(t, "mug")
		began := time.Now()
		_, err := s.WriteUnderLock(t.Context(), []models.Write{reserve(line("mug", 1))})
		require.Equal(t, models.CodeUnavailable, models.CodeOf(err), err)
		require.Less(t, time.Since(began), database.WriteTimeout+quick)
		require.Equal(t, models.Quantities{Available: 5}, s.level("mug", "north"))
		unlock()
		s.reserved(line("mug", 5))
	})
}
