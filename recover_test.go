package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recovery is a folder with what scripts/recover needs, in programs that only pretend: Postgres of version 99 and its clients.
type recovery struct {
	t            *testing.T
	folder, base string
	archive      string
}

// pretended are the programs. Postgres accepts connections when the file "ready" is there; a file of the name of another
// program makes it wait for ever, and "stop" makes Postgres go on. Perl, as shells that start with SIGINT ignored keep it so.
var pretended = map[string]string{
	"postgres": `[ "$1" = --version ] && echo "postgres (PostgreSQL) 99.1" && exit
echo "$@" >"$FOLDER/arguments" && for a in "$@"; do case "$a" in config_file=*) cp "${a#config_file=}" "$FOLDER/used.conf";; esac; done
exec perl -e '$SIG{INT} = sub { exit 0 unless -e "$ENV{FOLDER}/stop" }; $| = 1; print "last words of the log\n"; open(F, ">", "$ENV{FOLDER}/started"); select(undef, undef, undef, 0.1) while -d $ENV{FOLDER}'`,
	"pg_isready": `while [ ! -e "$FOLDER/started" ] && [ -d "$FOLDER" ]; do sleep 0.05; done
[ -e "$FOLDER/ready" ] || { echo "rejecting connections"; exit 1; }`,
	"pg_controldata": "printf 'max_connections setting:   500\\nmax_prepared_xacts setting:  7\\nmax_locks_per_xact setting: 128\\n'",
	"psql":           `echo "$PGOPTIONS" >"$FOLDER/options"; [ ! -e "$FOLDER/psql" ] || exec sleep 600; echo t`,
	"onhand":         `[ ! -e "${0%/bin/onhand}/onhand" ] || exec sleep 600; env >"${0%/bin/onhand}/audited"`,
	"pg_config":      `exit 1`,
}

// requireRecover skips a test where what the script is made of is missing.
func requireRecover(t *testing.T) {
	t.Helper()
	for _, program := range []string{"setpriv", "perl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s: scripts/recover is for Linux, its test for machines with Perl", program)
		}
	}
}

func newRecovery(t *testing.T) *recovery {
	t.Helper()
	folder, err := os.MkdirTemp("", "onhand-recover-") // a short path: a socket would be in it
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(folder)) })
	r := &recovery{t: t, folder: folder, base: filepath.Join(folder, "base"), archive: filepath.Join(folder, "archive")}
	for _, name := range []string{"base/pg_wal", "base/pg_tblspc", "base/pg_replslot/one", "archive", "bin", "temporary"} {
		require.NoError(t, os.MkdirAll(filepath.Join(folder, name), 0o755))
	}
	for name, text := range map[string]string{"PG_VERSION": "99", "backup_label": "START WAL", "postgresql.conf": "port = 1", "postgresql.auto.conf": "port = 2", "standby.signal": ""} {
		r.write("base/"+name, text)
	}
	for name, text := range pretended {
		require.NoError(t, os.WriteFile(filepath.Join(folder, "bin", name), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	require.NoError(t, os.Chmod(folder, 0o777)) // Postgres has an account of its own, where root runs this
	if os.Getuid() == 0 {
		require.NoError(t, filepath.WalkDir(r.base, func(path string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, 65534, 65534)
		}))
	}
	return r
}

func (r *recovery) write(name, text string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(filepath.Join(r.folder, name), []byte(text), 0o644))
}

// names lists all files of the folder.
func (r *recovery) names() (names []string) {
	r.t.Helper()
	require.NoError(r.t, filepath.WalkDir(r.folder, func(path string, entry os.DirEntry, err error) error {
		if err == nil {
			names = append(names, path+entry.Type().String())
		}
		return err
	}))
	return names
}

// run runs the script. Its limits end it, not the test's.
func (r *recovery) run(limit string, arguments ...string) (output string, err error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	script, err := filepath.Abs("scripts/recover")
	require.NoError(r.t, err)
	command := exec.CommandContext(ctx, script, arguments...)
	command.Dir, command.WaitDelay = r.folder, time.Second
	command.Env = append(os.Environ(), "PATH="+filepath.Join(r.folder, "bin")+":"+os.Getenv("PATH"), "FOLDER="+r.folder, "LIMIT="+limit,
		"ONHAND="+filepath.Join(r.folder, "bin", "onhand"), "TMPDIR="+filepath.Join(r.folder, "temporary"), "PGHOST=192.0.2.1", "PGOPTIONS=-c port=1")
	raw, err := command.CombinedOutput()
	require.NoError(r.t, ctx.Err(), "%s", raw)
	return string(raw), err
}

// TestRecoverRefuses: what would write to the backup, to tablespaces or to another folder is refused before anything is made.
func TestRecoverRefuses(t *testing.T) {
	t.Parallel()
	requireRecover(t)
	link := func(name string) func(*recovery) {
		return func(r *recovery) {
			path := filepath.Join(r.folder, name)
			require.NoError(t, os.RemoveAll(path))
			require.NoError(t, os.Symlink("../archive", path))
		}
	}
	file := func(name string) func(*recovery) { return func(r *recovery) { r.write(name, "1") } }
	for name, c := range map[string]struct {
		prepare   func(*recovery)
		arguments string
		message   string
	}{
		"a tablespace":              {link("base/pg_tblspc/16384"), "--name p --archive archive base", "has tablespaces"},
		"a map of tablespaces":      {file("base/tablespace_map"), "--name p --archive archive base", "has tablespaces"},
		"WAL elsewhere":             {link("base/pg_wal"), "--name p --archive archive base", "pg_wal is a link"},
		"a table elsewhere":         {link("base/pg_replslot/two"), "--name p --archive archive base", "./pg_replslot/two is a link"},
		"a server's data":           {file("base/postmaster.pid"), "--name p --archive archive base", "a server runs on it"},
		"no backup":                 {nil, "--name p --archive archive archive", "no base backup"},
		"no folder":                 {nil, "--name p --archive archive none/base", "none/base: no base backup"},
		"no backup named":           {nil, "--name p --archive archive", "no base backup"},
		"two backups":               {nil, "--name p --archive archive base base", "one base backup is enough"},
		"no archive":                {nil, "--name p --archive none/archive base", "none/archive: no such directory"},
		"an archive that is a file": {nil, "--name p --archive base/PG_VERSION base", "is no directory"},
		"no value":                  {nil, "--archive archive base --name", "--name needs a value"},
		"two targets":               {nil, "--name p --lsn 0/1 --archive archive base", "is enough"},
		"a folder that exists":      {nil, "--name p --archive archive --keep archive base", "archive exists already"},
		"a link to nowhere":         {func(r *recovery) { require.NoError(t, os.Symlink("none", r.folder+"/kept")) }, "--name p --archive archive --keep kept base", "kept exists already"},
		"a folder in the backup":    {nil, "--name p --archive archive --keep base/kept base", "is in the base backup"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecovery(t)
			if c.prepare != nil {
				c.prepare(r)
			}
			before := r.names()
			output, err := r.run("60", strings.Fields(c.arguments)...)
			require.Error(t, err)
			assert.Contains(t, output, c.message)
			assert.Equal(t, 1, strings.Count(output, "\n"), output)
			assert.Equal(t, before, r.names())
		})
	}
}

// TestRecoverLimits: each step after the copy ends after LIMIT seconds, and leaves nothing behind. Without such an end the
// result has the settings of the backup, which the recovery did not use.
func TestRecoverLimits(t *testing.T) {
	t.Parallel()
	requireRecover(t)
	for step, files := range map[string][]string{
		"replay": nil, "query": {"ready", "psql"}, "audit": {"ready", "onhand"}, "stop": {"ready", "stop"},
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			r := newRecovery(t)
			for _, name := range files {
				r.write(name, "")
			}
			output, err := r.run("1", "--name", "p", "--archive", "archive", "--keep", "kept", "base")
			require.Error(t, err, output)
			assert.Contains(t, output, "longer than 1 s (LIMIT)")
			if step == "replay" {
				assert.Contains(t, output, "rejecting connections\nlast words of the log\n")
			}
			assert.NoDirExists(t, filepath.Join(r.folder, "kept"))
			left, err := os.ReadDir(filepath.Join(r.folder, "temporary"))
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
	t.Run("whole", func(t *testing.T) {
		t.Parallel()
		r := newRecovery(t)
		r.write("ready", "")
		require.NoError(t, os.Symlink("base", filepath.Join(r.folder, "latest")))
		output, err := r.run("60", "--name", "p", "--archive", "archive", "--keep", "kept", "latest")
		require.NoError(t, err, output)
		r.has("used.conf", "port = 5432", "archive_mode = off", "max_connections = 500", "max_prepared_transactions = 7", "max_locks_per_transaction = 128")
		r.has("options", "statement_timeout=60s")
		r.has("audited", "DATABASE_URL=postgres://postgres@/onhand?host="+filepath.Join(r.folder, "temporary"))
		r.has("arguments", "-c recovery_target_name=p ", "restore_command=cp \""+r.archive+"/%f\" \"%p\"")
		r.has("kept/postgresql.auto.conf", "port = 2")
		assert.NoFileExists(t, filepath.Join(r.folder, "kept", "standby.signal"))
		assert.FileExists(t, filepath.Join(r.base, "standby.signal"))
		assert.NoDirExists(t, filepath.Join(r.folder, "kept", "pg_replslot", "one"))
		info, err := os.Lstat(filepath.Join(r.folder, "kept"))
		require.NoError(t, err)
		assert.Zero(t, info.Mode().Perm()&0o027, "Postgres refuses such a folder")
	})
}

// has checks that a file has these texts.
func (r *recovery) has(name string, texts ...string) {
	r.t.Helper()
	raw, err := os.ReadFile(filepath.Join(r.folder, name))
	require.NoError(r.t, err)
	for _, text := range texts {
		assert.Contains(r.t, string(raw), text, name)
	}
}
