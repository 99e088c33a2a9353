package database_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/storetest"
)

// A server that accepts connections and sends nothing costs every call the time of one
// connection attempt and one wait for it, no more; a migration makes three calls, one
// after the other.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	db := openOnly(t, "postgres://u@"+storetest.Silent(t)+"/x?sslmode=disable")
	calls := everyCall(db)
	calls["claim"] = func(ctx context.Context) error { _, err := db.Claim(ctx, true); return err }
	calls["migrate"] = func(ctx context.Context) error { _, err := db.Migrate(ctx); return err }
	// Without a deadline, in the pool of the others, they would wait as often as others get a connection first.
	exported, exportAttempts := storetest.CountedSilent(t)
	exporter := openOnly(t, "postgres://u@"+exported+"/x?sslmode=disable")
	calls["export"] = func(ctx context.Context) error { return exporter.EachStock(ctx, nil, nil) }
	imported, importAttempts := storetest.CountedSilent(t)
	importer := openOnly(t, "postgres://u@"+imported+"/x?sslmode=disable")
	calls["import"] = func(ctx context.Context) error {
		_, err := importer.Import(ctx, nil, models.ImportOptions{}, nil, nil)
		return err
	}
	calls["fetch"] = func(ctx context.Context) error { return db.Fetch(ctx, []string{"mug"}) }
	calls["preload"] = db.Preload
	calls["listen"] = func(ctx context.Context) error {
		if err := db.Listen(ctx, func() {}); err == nil {
			return nil
		}
		return models.Unavailable("Listen ended", nil)
	}
	began := time.Now()
	var group sync.WaitGroup
	for name, ask := range calls {
		group.Go(func() {
			err := ask(context.Background())
			assert.Equal(t, models.CodeUnavailable, models.CodeOf(err), "%s: %v", name, err)
			limit := database.WriteTimeout + 3*time.Second + quick
			if name == "migrate" {
				limit *= 3
			}
			assert.Less(t, time.Since(began), limit, name)
		})
	}
	group.Wait()
	require.Equal(t, 1, exportAttempts(), "connections of the export")
	require.Equal(t, 1, importAttempts(), "connections of the import")
}

// When a URL names several servers, silent ones leave a read the time to reach the one
// that answers.
func TestSilentHosts(t *testing.T) {
	t.Parallel()
	real, err := pgx.ParseConfig(storetest.Postgres(t))
	require.NoError(t, err)
	db := openOnly(t, fmt.Sprintf("postgres://postgres@%s,%s,127.0.0.1:%d/%s?sslmode=disable&target_session_attrs=primary",
		storetest.Silent(t), storetest.Silent(t), real.Port, real.Database))
	require.NoError(t, db.Ping(t.Context()))
}

// silentAfterHandshake returns the address of a server that accepts every login and
// answers no query.
func silentAfterHandshake(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			server := pgproto3.NewBackend(conn, conn)
			if _, err := server.ReceiveStartupMessage(); err != nil {
				_ = conn.Close()
				continue
			}
			server.Send(&pgproto3.AuthenticationOk{})
			server.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
			server.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			_ = server.Flush()
			go func() {
				_, _ = io.Copy(io.Discard, conn) // until the client closes
				_ = conn.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

// Listen ends when the server does not answer, so that its caller can listen elsewhere.
func TestListenGivesUp(t *testing.T) {
	t.Parallel()
	db := openOnly(t, "postgres://u@"+silentAfterHandshake(t)+"/x?sslmode=disable")
	ended := make(chan error, 1)
	go func() { ended <- db.Listen(t.Context(), func() { t.Error("Listen called wake") }) }()
	select {
	case err := <-ended:
		require.Error(t, err)
	case <-time.After(generous):
		t.Fatal("Listen did not end")
	}
}

// An export or import ends with UNAVAILABLE when the database freezes. The time that the
// file or the pipe takes does not count.
func TestQuietServer(t *testing.T) {
	t.Parallel()
	server := storetest.PrivatePostgres(t)
	require.NoError(t, server.CreateDatabase(t.Context(), "onhand"))
	s := openShop(t, postgres, server.DSN("onhand"))
	for _, id := range []string{"a", "b", "c"} {
		s.stock(id, "north", 1)
	}
	const limit = time.Second
	s.SetSilence(limit, generous)
	waited := 0
	require.NoError(t, s.EachStock(t.Context(), func([]models.Location, int) error { return nil }, func(*models.Stock) error {
		if waited++; waited == 1 {
			time.Sleep(limit + limit/2) // a slow pipe: longer than the limit
		}
		return nil
	}))
	require.Equal(t, 3, waited)

	err := s.EachStock(t.Context(), func([]models.Location, int) error { return server.Freeze() }, func(*models.Stock) error { return nil })
	require.NoError(t, server.Thaw())
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err), err)
	require.ErrorContains(t, err, "not answered for a long time")

	row := models.StockRow{Line: 2, ProductID: "a", Location: "north", New: models.Counts{Available: models.Counted(5)}}
	_, err = s.Import(t.Context(), func() (models.StockRow, error) {
		if row.ProductID == "" {
			return row, io.EOF
		}
		next := row
		row.ProductID = ""
		return next, server.Freeze()
	}, models.ImportOptions{IgnoreStale: true}, nil, nil)
	require.NoError(t, server.Thaw())
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err), err)
	require.ErrorContains(t, err, "not answered for a long time")
	require.Equal(t, 1, s.level("a", "north").Available)
}

// An import that stops in the middle keeps its levels locked for a bounded time, and has
// no effect. Reservations go on.
func TestImporterFreezes(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		s.SetSilence(generous, 200*time.Millisecond)
		rows := []models.StockRow{{Line: 2, ProductID: "mug", Location: "north", New: models.Counts{Available: models.Counted(99)}}}
		frozen := false
		_, err := s.Import(t.Context(), func() (models.StockRow, error) {
			if len(rows) == 0 {
				return models.StockRow{}, io.EOF
			}
			row := rows[0]
			rows = nil
			return row, nil
		}, models.ImportOptions{IgnoreStale: true}, nil, func(stage models.ImportStage, _, _ int) {
			if stage != models.ImportWriting {
				return
			}
			frozen = true
			out, err := s.WriteUnderLock(context.Background(), []models.Write{reserve(line("mug", 1))})
			if assert.NoError(t, err) {
				assert.Empty(t, out.Results[0].Errors)
			}
		})
		require.True(t, frozen)
		require.Equal(t, models.CodeUnavailable, models.CodeOf(err), err)
		require.Equal(t, 9, s.level("mug", "north").Available)
	})
}
