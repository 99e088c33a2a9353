package dialect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"
)

// pgerrcodeDenied is the code of Postgres for a missing right.
const pgerrcodeDenied = "42501"

// otherTables reports whether a statement named a column that the tables lack. Migrations
// are edited until the first release, so the tables of an earlier build can lack one.
func otherTables(err error) bool {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return answer.Code == "42703" // undefined_column
	}
	return errors.Is(err, sqlite3.ERROR) && strings.Contains(err.Error(), "no such column")
}

// Explain returns in plain words why a database cannot be used, and whether that may
// pass by itself: a server that is not up yet, a file that another program has locked. A
// wrong password, a missing database, or a folder in place of a file does not pass.
func Explain(err error) (reason string, passes bool) {
	var answer *pgconn.PgError
	var name *net.DNSError
	var path *fs.PathError
	switch {
	case errors.As(err, &answer) && answer.Code == pgerrcodeDenied:
		return "the database server says: " + answer.Message + "; run onhand migrate as the account that owns the tables (onhand_owner)", false
	case otherTables(err):
		return "its tables are of another development build (" + lastCause(err) + "): use an empty database, or delete the folder of the data", false
	case errors.As(err, &answer):
		return "the database server says: " + answer.Message, passing(answer.Code)
	case errors.As(err, &name):
		return fmt.Sprintf("there is no host called %q yet", name.Name), true
	case mistrusted(err):
		return "no encrypted connection to the database server: " + lastCause(err), false
	case isAny(err, syscall.ECONNREFUSED, syscall.ENOENT) && dialled(err):
		return "nothing listens at " + dialledAddress(err) + " yet", true
	case errors.Is(err, syscall.EACCES) && dialled(err):
		return "no permission to connect to " + dialledAddress(err), false
	case dialled(err), errors.Is(err, context.DeadlineExceeded):
		return "the database server does not answer: " + lastCause(err), true
	case Busy(err):
		return "another program has locked the database file", true
	case errors.As(err, &path) && errors.Is(err, syscall.EISDIR): // path is set for the cases below too
		return path.Path + " is a folder; name a file in it", false
	case errors.Is(err, sqlite3.NOTADB):
		return "the file is not one of SQLite's", false
	case isAny(err, fs.ErrPermission, sqlite3.CANTOPEN, sqlite3.READONLY, sqlite3.IOERR, sqlite3.FULL, sqlite3.CORRUPT):
		reason = "its file: " + lastCause(err)
		if path != nil {
			reason = path.Path + ": " + lastCause(err)
		}
		return reason, false
	}
	return lastCause(err), transient(err)
}

// passing reports whether a state of a Postgres server ends by itself: starting,
// stopping, out of connections, a standby, a lock.
func passing(code string) bool {
	for _, class := range []string{"08", "53", "57"} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return retryableCode(code) || code == "25006"
}

// mistrusted reports a fault of TLS. pgx has no type for some of them.
func mistrusted(err error) bool {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	return errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &verify) ||
		strings.Contains(err.Error(), "server refused TLS connection")
}

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// dialled reports an error of a connection attempt.
func dialled(err error) bool {
	var attempt *net.OpError
	return errors.As(err, &attempt)
}

func dialledAddress(err error) string {
	var attempt *net.OpError
	if errors.As(err, &attempt) && attempt.Addr != nil {
		return attempt.Addr.String()
	}
	return "the database's address"
}

// lastCause is the innermost error, without the layers that led to it.
func lastCause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 {
			inner = joined.Unwrap()[0]
		}
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
