package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/store/storetest"
)

// operator follows a guide on a machine with a Postgres of its own.
type operator struct {
	t        *testing.T
	folder   string // where commands are run; the data of Postgres is in it
	server   *syscall.SysProcAttr
	env      []string
	postgres *storetest.PostgresServer
}

// newOperator starts a Postgres that archives its WAL, with the demo shop in the database onhand.
func newOperator(t *testing.T) *operator {
	t.Helper()
	if _, err := exec.LookPath("pg_dump"); err != nil {
		t.Skip("no pg_dump")
	}
	path, err := program()
	require.NoError(t, err)
	require.NoError(t, os.Chmod(filepath.Dir(path), 0o755)) // the account of Postgres runs it too
	o := &operator{t: t, postgres: storetest.PrivatePostgres(t, storetest.WithSetting("archive_mode", "on"),
		storetest.WithSetting("archive_command", "mkdir -p ../archive && cp %p ../archive/%f.new && mv ../archive/%f.new ../archive/%f"))}
	require.NoError(t, o.postgres.CreateDatabase(t.Context(), "onhand"))
	data := o.value("postgres", "SHOW data_directory")
	o.folder = filepath.Dir(data)
	info, err := os.Stat(data)
	require.NoError(t, err)
	if is, ok := info.Sys().(*syscall.Stat_t); ok && os.Getuid() == 0 {
		o.server = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: is.Uid, Gid: is.Gid}}
	}
	for _, folder := range []string{"scripts", "deploy/postgres"} {
		require.NoError(t, os.CopyFS(filepath.Join(o.folder, folder), os.DirFS(folder)))
	}
	for _, script := range []string{"restore-drill", "recover"} {
		require.NoError(t, os.Chmod(filepath.Join(o.folder, "scripts", script), 0o755))
	}
	o.env = append(os.Environ(), "ONHAND="+path, "DATABASE_URL="+storetest.OwnerAccount(o.postgres.DSN("onhand")), "ADMIN_DATABASE_URL="+o.postgres.DSN("postgres"))
	return o
}

// value asks the database for one text.
func (o *operator) value(database, query string) (text string) {
	o.t.Helper()
	connection, err := pgx.Connect(o.t.Context(), o.postgres.DSN(database))
	require.NoError(o.t, err)
	defer connection.Close(context.WithoutCancel(o.t.Context()))
	require.NoError(o.t, connection.QueryRow(o.t.Context(), query).Scan(&text))
	return text
}

// execute runs the statements of a block, one after the other, as psql does: those of a database on it, others beside it.
func (o *operator) execute(block string) {
	o.t.Helper()
	for statement := range strings.SplitSeq(strings.TrimSpace(block), ";\n") {
		database := "postgres"
		if strings.Contains(statement, "onhand_meta") {
			database = "onhand"
		}
		connection, err := pgx.Connect(o.t.Context(), o.postgres.DSN(database))
		require.NoError(o.t, err)
		_, err = connection.Exec(o.t.Context(), statement)
		require.NoError(o.t, errors.Join(err, connection.Close(o.t.Context())), statement)
	}
}

// shell runs a block as it is.
func (o *operator) shell(block string) string {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 4*patience)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", block)
	command.Dir, command.Env, command.SysProcAttr = o.folder, o.env, o.server
	output, err := command.CombinedOutput()
	require.NoError(o.t, err, "%s\n%s", block, output)
	return string(output)
}

// archiveAll waits until all WAL so far is in the archive: by itself it would be there after archive_timeout.
func (o *operator) archiveAll() {
	o.t.Helper()
	segment := o.value("postgres", "SELECT pg_walfile_name(pg_switch_wal())")
	require.Eventually(o.t, func() bool {
		_, err := os.Stat(filepath.Join(o.folder, "archive", segment))
		return err == nil
	}, 2*patience, 20*time.Millisecond)
}

// TestRunningCommands follows docs/running.md, with the demo shop as docs/demo.md loads it. It checks the commands of programs that need a cluster or containers, and
// runs all others.
func TestRunningCommands(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	home := t.TempDir()
	r := &reader{t: t, home: home, counts: map[string]int{}}
	o.loadDemo()
	printed, restored := "", 0
	for _, b := range blocksOf(t, "docs/running.md") {
		first, _, _ := strings.Cut(b.text, " ")
		switch {
		case b.language == "sql":
			o.execute(b.text)
			if strings.Contains(b.text, "restore_point") {
				o.archiveAll()
			}
			if strings.Contains(b.text, "RENAME") {
				restored++
			}
		case first == "pg_basebackup", strings.HasPrefix(first, "scripts/re"):
			printed += o.shell(b.text)
		default:
			for _, c := range shellCommands(t, b.text, nil) {
				if line := strings.Join(c.words, " "); c.words[0] == "kubectl" || c.words[0] == "helm" || c.words[0] == "docker" {
					report(t, "commands", offences("docs/running.md", commandProblems(t, line, ".")))
				} else {
					r.run(c)
				}
			}
		}
	}
	assert.Equal(t, 2, strings.Count(printed, "the backup can be restored"), printed)
	assert.Equal(t, 1, strings.Count(printed, "the database can be recovered to this point"), printed)
	assert.Equal(t, 1, restored)
	assert.Equal(t, map[string]int{"go build": 1, "secrets": 1}, r.counts)
	owner, err := os.Stat(filepath.Join(o.folder, "recovered", "global", "pg_control"))
	require.NoError(t, err)
	assert.NotZero(t, owner.Size())
	assert.NoFileExists(t, filepath.Join(o.folder, "recovered", "recovery.signal"))
	assert.Contains(t, document(t, "compose.yaml"), "profiles: [shop]")
}

// loadDemo follows docs/demo.md: its command loads the demo shop into an empty database.
func (o *operator) loadDemo() {
	o.t.Helper()
	dsn := storetest.OwnerAccount(o.postgres.DSN("onhand"))
	for _, block := range blocksOfKind(o.t, "docs/demo.md", "sh") {
		setting, command, found := strings.Cut(strings.TrimSpace(block), "'postgres://…' onhand ")
		require.True(o.t, found, block)
		code, _, stderr := run(o.t, o.t.TempDir(), []string{setting + dsn}, command)
		require.Equal(o.t, 0, code, stderr)
	}
	code, stdout, stderr := run(o.t, o.t.TempDir(), []string{"DATABASE_URL=" + dsn}, "stock", "85123A")
	require.Equal(o.t, 0, code, stderr)
	assert.Contains(o.t, stdout, "704 available")
}

// TestOperatorsCommands: the configuration of Prometheus in docs/operators.md, and its commands, are what promtool takes.
func TestOperatorsCommands(t *testing.T) {
	t.Parallel()
	promtool := func(arguments ...string) {
		output, err := exec.CommandContext(t.Context(), "scripts/promtool", arguments...).CombinedOutput()
		var failed *exec.ExitError
		if errors.As(err, &failed) && failed.ExitCode() == 69 {
			t.Skipf("%s", output)
		}
		require.NoError(t, err, "%s", output)
	}
	folder := t.TempDir()
	require.NoError(t, os.CopyFS(folder, os.DirFS("deploy/prometheus")))
	for i, configuration := range blocksOfKind(t, "docs/operators.md", "yaml") {
		path := filepath.Join(folder, fmt.Sprintf("prometheus-%d.yml", i))
		require.NoError(t, os.WriteFile(path, []byte(configuration), 0o600))
		promtool("check", "config", path)
	}
	for _, block := range blocksOfKind(t, "docs/operators.md", "sh") {
		for _, c := range shellCommands(t, block, nil) {
			require.Equal(t, "scripts/promtool", c.words[0])
			promtool(c.words[1:]...)
		}
	}
}

// TestClientsBlocks: the requests and the message of docs/clients.md are those of the server.
func TestClientsBlocks(t *testing.T) {
	t.Parallel()
	manifest := filepath.Join(t.TempDir(), "manifest.json")
	require.NoError(t, os.WriteFile(manifest, []byte(`{"the id of the manifest": "query ($id: ID!) { stock(productId: $id) { quantityAvailable } }"}`), 0o600))
	s := start(t, t.TempDir(), "DATABASE_URL=sqlite::memory:", "TRUSTED_DOCUMENTS="+manifest)
	defer s.stop()
	for _, block := range blocksOfKind(t, "docs/clients.md", "json") {
		var request map[string]any
		require.NoError(t, json.Unmarshal([]byte(block), &request), block)
		const document, hash = "{__typename}", "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"
		switch {
		case request["extensions"] != nil:
			body := strings.Replace(block, "64 hexadecimal digits", hash, 1)
			assert.Contains(t, s.postJSON(body), "PERSISTED_QUERY_NOT_FOUND")
			assert.JSONEq(t, `{"data":{"__typename":"Query"}}`, s.postJSON(`{"query": "`+document+`",`+strings.TrimPrefix(body, "{")))
			assert.JSONEq(t, `{"data":{"__typename":"Query"}}`, s.postJSON(body))
		case request["documentId"] != nil:
			assert.JSONEq(t, `{"data":{"stock":{"quantityAvailable":704}}}`, s.postJSON(block))
		default:
			types, ok := request["customScalarTypes"].(map[string]any)
			require.True(t, ok, "nothing here can use this block: %s", block)
			schema, err := apiSchema()
			require.NoError(t, err)
			for name := range types {
				assert.Contains(t, schema.Types, name)
			}
		}
	}
	for _, message := range blocksOfKind(t, "docs/clients.md", "text") {
		found := regexp.MustCompile(`got the text "(\w+)"\n$`).FindStringSubmatch(message)
		require.NotNil(t, found, message)
		answer := s.postJSON(`{"query": "mutation ($input: ReserveStockInput!) { reserveStock(input: $input) { replayed } }", "variables": {"input":
			{"idempotencyKey": "k", "lines": [{"productId": "22423", "quantity": "` + found[1] + `"}]}}}`)
		quoted, err := json.Marshal(strings.TrimSpace(message))
		require.NoError(t, err)
		assert.Contains(t, answer, string(quoted))
	}
}

// postJSON sends a body as it is.
func (s *server) postJSON(body string) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.address+"/graphql", strings.NewReader(body))
	require.NoError(s.t, err)
	r.Header.Set("Content-Type", "application/json")
	_, answer := s.do(r)
	return answer
}

// TestScenarioOfTheGuide: the scenario that faults/README.md shows is one that runs.
func TestScenarioOfTheGuide(t *testing.T) {
	t.Parallel()
	for _, block := range blocksOfKind(t, "faults/README.md", "go") {
		assert.Contains(t, document(t, "faults/guide_test.go"), "\n"+block)
	}
}
