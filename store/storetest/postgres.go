package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/deploy"
)

const kindPostgres = "postgres"

// initdbLimit bounds making a database cluster, empty or from a base backup: a second on an idle machine.
const initdbLimit = 2 * time.Minute

// postgresSettings are ours; WithSetting adds to them and overrides them. fsync is not among them: it stays on.
var postgresSettings = []setting{
	{"listen_addresses", "127.0.0.1"},
	{"unix_socket_directories", ""}, // a socket's path may be longer than the kernel allows
	{"shared_buffers", "64MB"},      // many test processes run at once
	{"max_connections", "200"},
	{"lc_messages", "C"},
	{"log_connections", "on"}, // checkAccounts
}

// StatementsVariable names the environment variable with a folder. Where it is set, each Postgres writes every statement
// into a log of its own there, without values. A line begins with the account.
const StatementsVariable = "ONHAND_TEST_STATEMENTS"

// statementLog are the settings by which Postgres logs all statements; none without the variable.
func statementLog() []setting {
	if os.Getenv(StatementsVariable) == "" {
		return nil
	}
	return []setting{{"log_line_prefix", "%u ~ "}, {"log_statement", "all"}, {"log_parameter_max_length", "0"}}
}

// keepLog has the log of a Postgres outlive its directory, in the folder of StatementsVariable.
func keepLog(log string) error {
	folder := os.Getenv(StatementsVariable)
	if folder == "" {
		return nil
	}
	return os.Link(log, filepath.Join(folder, strconv.Itoa(os.Getpid())+"-"+strconv.FormatInt(time.Now().UnixNano(), 36)+".log"))
}

// PostgresServer is a private Postgres, with a superuser named postgres that needs no password. Start, Stop, Kill, Freeze,
// Thaw and Close work as for every server here.
type PostgresServer struct {
	server
}

// StartPostgres makes an empty database cluster in a temporary directory and serves it on a free port. The caller must
// Close it; when the process dies instead, the server ends too. The error wraps ErrNotInstalled when the machine has no
// Postgres.
func StartPostgres(opts ...Option) (*PostgresServer, error) {
	programs, err := findPostgres()
	if err != nil {
		return nil, err
	}
	account, err := serverAccount()
	if err != nil {
		return nil, err
	}
	p := newPostgres(programs, account, collect(opts))
	if err := p.prepare(); err != nil {
		return nil, err
	}
	if err := p.initialise(filepath.Join(programs, "initdb")); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if err := p.open(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if err := p.makeAccounts(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// makeAccounts makes the accounts of an installation, in the databases that exist and in the template of others.
func (p *PostgresServer) makeAccounts() error {
	ctx, cancel := context.WithTimeout(context.Background(), databaseLimit)
	defer cancel()
	for _, database := range []string{"postgres", "template1"} {
		if err := p.execute(ctx, database, deploy.PostgresAccounts); err != nil {
			return fmt.Errorf("accounts in %s: %w", database, err)
		}
	}
	return nil
}

func newPostgres(programs string, account *syscall.Credential, o options) *PostgresServer {
	settings := append(postgresSettings[:len(postgresSettings):len(postgresSettings)], statementLog()...)
	if o.host.Address != "" {
		settings = append(settings, setting{"listen_addresses", "127.0.0.1," + o.host.Address})
	}
	settings = append(settings, o.settings...)
	p := &PostgresServer{server{
		kind:         kindPostgres,
		host:         o.host,
		account:      account,
		gentleSignal: syscall.SIGINT,  // "fast": ends the sessions, writes a checkpoint
		deathSignal:  syscall.SIGQUIT, // "immediate": ends the sessions, frees shared memory, and no more
	}}
	p.command = func() *exec.Cmd {
		arguments := []string{"-D", p.data(), "-p", strconv.Itoa(p.port)}
		for _, s := range settings {
			arguments = append(arguments, "-c", s.name+"="+s.value)
		}
		cmd := exec.Command(filepath.Join(programs, "postgres"), arguments...)
		cmd.Env = o.environment
		return cmd
	}
	return p
}

// DSN is the address of a database of this server, for pgx, gorm and psql alike.
func (p *PostgresServer) DSN(database string) string {
	return fmt.Sprintf("postgres://postgres@%s:%d/%s?sslmode=disable", p.hostAddress(), p.port, database)
}

// CreateDatabase creates an empty database.
func (p *PostgresServer) CreateDatabase(ctx context.Context, name string) error {
	if err := p.execute(ctx, "postgres", "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// DropDatabase drops a database and ends the sessions in it.
func (p *PostgresServer) DropDatabase(ctx context.Context, name string) error {
	if err := p.execute(ctx, "postgres", "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

func (p *PostgresServer) execute(ctx context.Context, database, statement string) error {
	connection, err := pgx.Connect(ctx, p.DSN(database))
	if err != nil {
		return err
	}
	_, err = connection.Exec(ctx, statement)
	return errors.Join(err, connection.Close(ctx))
}

func (p *PostgresServer) data() string { return filepath.Join(p.directory, "data") }

// initialise makes the empty database cluster. It need not be synced: it has no value before the server has run.
func (p *PostgresServer) initialise(initdb string) error {
	err := p.run("initdb", exec.Command(initdb, "--no-sync", "--auth=trust", "--username=postgres",
		"--encoding=UTF8", "--locale=C", "--pgdata="+p.data()))
	if err != nil || p.host.Address == "" {
		return err
	}
	return p.trustOtherHosts()
}

// trustOtherHosts lets every host in, as initdb lets this one in: the network is one of the tests.
func (p *PostgresServer) trustOtherHosts() error {
	access, err := os.OpenFile(filepath.Join(p.data(), "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = access.WriteString("host all all all trust\nhost replication all all trust\n")
	return errors.Join(err, access.Close())
}

// run runs a program that makes the data, to its end.
func (p *PostgresServer) run(name string, cmd *exec.Cmd) error {
	process, err := p.launch(cmd)
	if err != nil {
		return err
	}
	if err := process.wait(initdbLimit); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", name, err), process.signal(syscall.SIGKILL))
	}
	if process.err != nil {
		return fmt.Errorf("%s: %w; its log ends:\n%s", name, process.err, tail(p.log()))
	}
	return p.clearProcess()
}
