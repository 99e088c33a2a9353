package faults

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/store/storetest"
)

// archived are the settings of a Postgres that archives its WAL, beside its data.
var archived = []storetest.Option{
	storetest.WithSetting("archive_mode", "on"),
	storetest.WithSetting("archive_command", "mkdir -p ../archive && test ! -f ../archive/%f && cp %p ../archive/%f.new && mv ../archive/%f.new ../archive/%f"),
	storetest.WithSetting("archive_timeout", "60"),
}

// TestF25PointInTime: under load a base backup is taken. Later the database is lost, and scripts/recover makes one from the
// backup and the archived WAL: first as of a moment, then as of a named restore point. It begins a new epoch and is audited
// before any instance reaches it. Redis, near caches and subscribers follow it: none shows newer stock.
func TestF25PointInTime(t *testing.T) {
	if _, err := exec.LookPath("psql"); err != nil {
		t.Skip("no psql")
	}
	s := Open(t, Setup{PrivatePostgres: true, PostgresOptions: archived, ShortReservations: true})
	data, _, err := s.dataDirectory()
	require.NoError(t, err)
	taken, base, archive := filepath.Join(filepath.Dir(data), "base"), filepath.Join(filepath.Dir(data), "latest"), filepath.Join(filepath.Dir(data), "archive")
	require.NoError(t, os.Symlink("base", base))                              // as scripts of backups leave it
	require.NoError(t, os.Chmod(filepath.Dir(s.Instances[0].Program), 0o755)) // the account of Postgres runs it too
	l := s.Load()
	l.More(200)
	s.baseBackup(t, data, taken)
	l.More(200)
	l.Stop()
	s.Checker.AwaitQuiet() // an expiry after the recovery would publish its product

	at, position := time.Now(), s.Target.History.Position()
	moment := s.value(t, "SELECT to_char(clock_timestamp(), 'YYYY-MM-DD HH24:MI:SS.USOF')")
	s.value(t, "SELECT pg_create_restore_point('quiet')")
	var output string
	recovery := func(arguments ...string) func() error {
		return func() error {
			s.archiveAll(t)
			var err error
			output, err = s.recover(append(arguments, "--archive", archive, "--keep", data+".recovered", base)...)
			if err != nil {
				return err
			}
			return s.replaceData(data, data+".recovered")
		}
	}
	s.loseAndRestore(t, position, at, recovery("--time", moment))
	t.Log(output)
	assert.Contains(t, output, "the database can be recovered to this point")
	s.checkFollowed(t)
	l = s.Load()
	l.More(200)
	l.Stop()
	l.CheckRetryable(t)

	// Once more, from the same backup: what was written since the first recovery is lost as well.
	s.loseAndRestore(t, position, at, recovery("--name", "quiet"))
	s.checkFollowed(t)
	l = s.Load()
	l.More(200)
	l.Stop()
	l.CheckRetryable(t)
	s.Check()

	// A drill, beside the running server, with settings that would harm it or the archive. The backup stays as it is.
	addSettings(t, taken, fmt.Sprintf(otherSettings, s.Postgres.DSN("postgres"), taken+".ran", taken+".ran", taken+".ran"))
	before := treeSum(t, taken)
	output, err = s.recover("--name", "quiet", "--archive", archive, base)
	require.NoError(t, err, output)
	assert.Equal(t, before, treeSum(t, taken), "the base backup has changed")
	assert.NoFileExists(t, taken+".ran")
	output, err = s.recover("--name", "unknown", "--archive", archive, base)
	require.Error(t, err, "a target that the WAL does not reach")
	assert.Contains(t, output, "recovery ended before configured recovery target was reached")
	output, err = s.recover("--name", "quiet", "--archive", archive, data+".none")
	require.Error(t, err)
	assert.Contains(t, output, "no base backup")
	assert.NoDirExists(t, data+".recovered")
}

// otherSettings are of a server in use. Each of them would stop a recovery, or harm what is beside it: %s is the server in
// use, then three times a file that nothing may make.
const otherSettings = `
port = 1
listen_addresses = '192.0.2.1'
synchronous_standby_names = 'none'
primary_conninfo = '%s'
hba_file = '/none'
ssl = on
ssl_cert_file = '/none'
shared_preload_libraries = 'none'
recovery_target_xid = '1'
max_connections = 5
archive_mode = always
archive_command = 'touch "%s"'
archive_cleanup_command = 'touch "%s"'
recovery_end_command = 'touch "%s"'
`

// addSettings adds settings to a base backup, and makes it that of a standby.
func addSettings(t *testing.T, base, settings string) {
	t.Helper()
	for _, name := range []string{"postgresql.conf", "postgresql.auto.conf", "standby.signal"} {
		file, err := os.OpenFile(filepath.Join(base, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		require.NoError(t, err)
		_, err = file.WriteString(settings)
		require.NoError(t, errors.Join(err, file.Close()))
	}
}

// treeSum is a sum over all names and contents of a folder.
func treeSum(t *testing.T, folder string) string {
	t.Helper()
	sum := sha256.New()
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fmt.Fprintln(sum, path, entry.Type())
		if !entry.Type().IsRegular() {
			return nil
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		_, err = io.Copy(sum, file)
		return errors.Join(err, file.Close())
	}))
	return hex.EncodeToString(sum.Sum(nil))
}

// baseBackup takes a base backup beside the running server, as the account of the server.
func (s *Shop) baseBackup(t *testing.T, data, base string) {
	t.Helper()
	output, err := s.asServer(data, "pg_basebackup", "--dbname="+s.Postgres.DSN("postgres"), "--pgdata="+base, "--checkpoint=fast", "--no-sync")
	require.NoError(t, err, output)
}

// recover runs the script as the account of the server. The recovered server listens on a socket only.
func (s *Shop) recover(arguments ...string) (output string, err error) {
	data, _, err := s.dataDirectory()
	if err != nil {
		return "", err
	}
	script, err := filepath.Abs(filepath.Join("..", "scripts", "recover"))
	if err != nil {
		return "", err
	}
	return s.asServer(data, script, arguments...)
}

// asServer runs a program as the account that owns the data.
func (s *Shop) asServer(data, program string, arguments ...string) (output string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), prepareLimit)
	defer cancel()
	command := exec.CommandContext(ctx, program, arguments...)
	command.Env = append(os.Environ(), "ONHAND="+s.Instances[0].Program, "PGDATABASE=shop")
	command.Dir = os.TempDir()
	info, err := os.Stat(data)
	if err != nil {
		return "", err
	}
	if is, ok := info.Sys().(*syscall.Stat_t); ok && os.Getuid() == 0 && filepath.Base(program) == "pg_basebackup" {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: is.Uid, Gid: is.Gid}}
	}
	raw, err := command.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", program, err, raw)
	}
	return string(raw), err
}

// archiveAll waits until all WAL so far is in the archive.
func (s *Shop) archiveAll(t *testing.T) {
	t.Helper()
	segment := s.value(t, "SELECT pg_walfile_name(pg_switch_wal())")
	s.Await(prepareLimit, "the archive has "+segment, func() bool {
		return s.value(t, "SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver") >= segment
	})
}

// value asks the database for one text.
func (s *Shop) value(t *testing.T, query string) (text string) {
	t.Helper()
	ctx, cancel := reading()
	defer cancel()
	require.NoError(t, s.Checker.Database.QueryRow(ctx, query).Scan(&text))
	return text
}

// replaceData puts the recovered data in the place of the server's.
func (s *Shop) replaceData(data, recovered string) error {
	if err := s.Postgres.Abort(); err != nil {
		return err
	}
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	if err := os.Rename(recovered, data); err != nil {
		return err
	}
	return s.startAgain()
}
