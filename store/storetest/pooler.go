package storetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const kindPooler = "pgbouncer"

// poolerReadyLine is what pgbouncer writes when it accepts connections.
const poolerReadyLine = "process up"

// PoolerServer is a pgbouncer in front of a Postgres. It lends a connection out for one transaction. Start, Stop, Kill,
// Freeze, Thaw and Close work as for every server here.
type PoolerServer struct {
	server
}

// Pooler returns a pgbouncer for this test alone in front of the Postgres of a DSN, and the DSN through it, for clients
// that use no prepared statements by name. Without pgbouncer the test is skipped.
func Pooler(t testing.TB, dsn string) (*PoolerServer, string) {
	t.Helper()
	p, through, err := StartPooler(dsn)
	if errors.Is(err, ErrNotInstalled) {
		t.Skipf("skipped: %v", err)
	}
	requireServer(t, err)
	closeAtEnd(t, p.Close)
	return p, through
}

// StartPooler is Pooler without a test. The caller must Close it. The error wraps ErrNotInstalled when the machine has no
// pgbouncer.
func StartPooler(dsn string) (_ *PoolerServer, through string, err error) {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if program = "/usr/sbin/pgbouncer"; !isExecutable(program) {
			return nil, "", fmt.Errorf("pgbouncer: %w (Debian: apt-get install pgbouncer)", ErrNotInstalled)
		}
	}
	p, err := startPooler(program, hostPort(dsn))
	if err != nil {
		return nil, "", err
	}
	through = strings.Replace(dsn, hostPort(dsn), "127.0.0.1:"+strconv.Itoa(p.port), 1)
	return p, through + "&default_query_exec_mode=cache_describe", nil
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

// hostPort is the host and port of a DSN of this package.
func hostPort(dsn string) string {
	_, rest, _ := strings.Cut(dsn, "@")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

func startPooler(program, upstream string) (*PoolerServer, error) {
	account, err := serverAccount()
	if err != nil {
		return nil, err
	}
	p := &PoolerServer{server{kind: kindPooler, ready: poolerReadyLine, account: account, gentleSignal: syscall.SIGINT, deathSignal: syscall.SIGTERM}}
	if err := p.prepare(); err != nil {
		return nil, err
	}
	p.command = func() *exec.Cmd {
		// A failure is that of the start: the program says that the file is missing.
		_ = os.WriteFile(p.settings(), []byte(p.configuration(upstream)), 0o644)
		return exec.Command(program, p.settings())
	}
	users := `"postgres" ""` + "\n" + `"onhand_owner" ""` + "\n" + `"` + serverAccountName + `" ""` + "\n"
	err = os.WriteFile(filepath.Join(p.directory, "users"), []byte(users), 0o644)
	if err == nil {
		err = p.open()
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *PoolerServer) settings() string { return filepath.Join(p.directory, "pgbouncer.ini") }

func (p *PoolerServer) configuration(upstream string) string {
	host, port, _ := strings.Cut(upstream, ":")
	return fmt.Sprintf(`[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = 20
max_client_conn = 200
query_wait_timeout = 5
server_login_retry = 1
admin_users = postgres
ignore_startup_parameters = extra_float_digits
`, host, port, p.port, filepath.Join(p.directory, "users"))
}
