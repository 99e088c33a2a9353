package database_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"onhand/store/database"
	"onhand/store/storetest"
)

// start opens and migrates a database, as a starting program does.
func start(t *testing.T, url string) error {
	t.Helper()
	db, err := database.Open(storetest.OwnerAccount(url), slog.New(slog.DiscardHandler), database.Switches{})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.Migrate(t.Context())
	return err
}

// Explain tells mistakes of a person from faults that pass, in words that say what to
// change.
func TestExplainRealFaults(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	text := filepath.Join(folder, "notes.txt")
	require.NoError(t, os.WriteFile(text, []byte("Nothing in here is a database, and it says so at length. "+
		"It must be longer than the header of a file of SQLite, which is a hundred bytes."), 0o600))
	for name, test := range map[string]struct {
		url, want string
		passes    bool
	}{
		"a folder":     {"sqlite:" + folder, folder + " is a folder", false},
		"another file": {"sqlite:" + text, "the file is not one of SQLite's", false},
		"no server":    {"postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable", "nothing listens at 127.0.0.1:1 yet", true},
		"no servers":   {"postgres://u:hunter2@127.0.0.1:1,127.0.0.1:2/x", "nothing listens at 127.0.0.1:", true},
		"no such host": {"postgres://u:hunter2@nowhere.invalid/x", `there is no host called "nowhere.invalid"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := start(t, test.url)
			require.Error(t, err)
			reason, passes := database.Explain(err)
			require.Contains(t, reason, test.want)
			require.NotContains(t, reason, "hunter2")
			require.Equal(t, test.passes, passes, reason)
		})
	}
}

// What the server itself refuses does not pass: a person must change it.
func TestExplainPostgres(t *testing.T) {
	t.Parallel()
	server := storetest.PrivatePostgres(t)
	for url, want := range map[string]string{
		server.DSN("elsewhere"):                     `database "elsewhere" does not exist`,
		server.DSN("postgres") + "&user=stranger":   `role "stranger" does not exist`,
		server.DSN("postgres") + "&sslmode=require": "no encrypted connection",
	} {
		err := start(t, url)
		require.Error(t, err)
		reason, passes := database.Explain(err)
		require.Contains(t, reason, want)
		require.False(t, passes, reason)
	}
}

// Explain knows errors that servers return in rare states.
func TestExplain(t *testing.T) {
	t.Parallel()
	dial := func(err error) error {
		return fmt.Errorf("connect: %w", &net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5432}, Err: err})
	}
	for _, test := range []struct {
		err    error
		want   string
		passes bool
	}{
		{&pgconn.PgError{Code: "57P03", Message: "the database system is starting up"}, "starting up", true},
		{&pgconn.PgError{Code: "53300", Message: "sorry, too many clients already"}, "too many clients", true},
		{&pgconn.PgError{Code: "28P01", Message: `password authentication failed for user "u"`}, "password authentication failed", false},
		{&pgconn.PgError{Code: "42501", Message: "permission denied for schema public"}, "permission denied", false},
		{&pgconn.PgError{Code: "42703", Message: `column "demo" does not exist`}, "another development build", false},
		{dial(syscall.EHOSTUNREACH), "does not answer", true},
		{dial(syscall.EACCES), "no permission", false},
		{fmt.Errorf("tls: %w", x509.UnknownAuthorityError{}), "no encrypted connection", false},
		{&fs.PathError{Op: "open", Path: "/x", Err: syscall.EACCES}, "/x: permission denied", false},
		{errors.New("syntax error"), "syntax error", false},
	} {
		reason, passes := database.Explain(test.err)
		require.Contains(t, reason, test.want)
		require.Equal(t, test.passes, passes, reason)
	}
}

// Instances that start together on one new file all start. SQLite has no migration lock;
// TestMigrateAtOnce covers Postgres.
func TestStartAtOnce(t *testing.T) {
	t.Parallel()
	for range 3 {
		url := "sqlite:" + filepath.Join(t.TempDir(), "new.db")
		var all sync.WaitGroup
		errs := make([]error, 3)
		for i := range errs {
			all.Go(func() { errs[i] = start(t, url) })
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...))
	}
}

// Tables of another build do not become others by waiting.
func TestExplainTablesOfAnotherBuild(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + filepath.Join(t.TempDir(), "stock.db")
	require.NoError(t, start(t, url))
	raw, err := driver.Open("file:" + strings.TrimPrefix(url, "sqlite:"))
	require.NoError(t, err)
	_, err = raw.ExecContext(t.Context(), "SELECT epoch_of_another_build FROM onhand_meta")
	require.Error(t, err)
	require.NoError(t, raw.Close())
	reason, passes := database.Explain(err)
	require.Contains(t, reason, "another development build (sqlite3: SQL logic error: no such column")
	require.False(t, passes)
}
