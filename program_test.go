package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/ncruces/go-sqlite3/driver"
	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"onhand/store/storetest"
)

// These tests build the program once and run it as a process.

var buildFolder string

// TestMain makes a folder for the program, and looks for goroutines that were left
// behind.
func TestMain(m *testing.M) {
	var err error
	if buildFolder, err = os.MkdirTemp("", "onhand-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(buildFolder)
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// program builds the program once, for the first test that needs it.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildFolder, "onhand")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// command prepares a run with a home of its own, and two settings of our environment.
func command(t *testing.T, home string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := program()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), path, args...)
	near, compiled := cmp.Or(os.Getenv("NEAR_CACHE_BYTES"), "67108864"), cmp.Or(os.Getenv("COMPILED_READS"), "on")
	c.Env = append([]string{"SIMULATED_SHOPPERS=0", "HOME=" + home, "XDG_DATA_HOME=" + filepath.Join(home, "data"), "NEAR_CACHE_BYTES=" + near, "COMPILED_READS=" + compiled}, env...)
	c.Dir = home
	return c
}

// run waits for a command's end.
func run(t *testing.T, home string, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	c := command(t, home, env, args...)
	var out, problems bytes.Buffer
	c.Stdout, c.Stderr = &out, &problems
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return c.ProcessState.ExitCode(), out.String(), problems.String()
}

// freeAddress is a free loopback address, with a port below those of outgoing
// connections.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := "127.0.0.1:" + strconv.Itoa(20_000+rand.IntN(12_000))
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err == nil {
			require.NoError(t, l.Close())
			return address
		}
	}
	require.Fail(t, "no free port")
	return ""
}

// server is a process that serves.
type server struct {
	t       *testing.T
	command *exec.Cmd
	address string
	log     *bytes.Buffer
	lines   chan string // the first line of its output
	exited  chan error
}

// start launches a server and waits until it is ready.
func start(t *testing.T, home string, env ...string) *server {
	t.Helper()
	s := launch(t, home, env...)
	s.comeUp()
	return s
}

func launch(t *testing.T, home string, env ...string) *server {
	t.Helper()
	s := &server{t: t, address: freeAddress(t), log: &bytes.Buffer{}, lines: make(chan string, 1), exited: make(chan error, 1)}
	s.command = command(t, home, append(env, "LISTEN_ADDR="+s.address))
	s.command.Stderr = s.log
	stdout, err := s.command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.command.Start())
	t.Cleanup(func() { _ = s.command.Process.Kill() })
	go func() {
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		s.lines <- line
		_, _ = io.Copy(io.Discard, stdout)
		s.exited <- s.command.Wait()
	}()
	return s
}

// comeUp waits for the line that says that the server is ready.
func (s *server) comeUp() {
	s.t.Helper()
	select {
	case line := <-s.lines:
		require.Equal(s.t, "Onhand is ready: http://"+s.address+" (playground: http://"+s.address+"/playground)\n", line)
	case <-time.After(patience):
		require.Fail(s.t, "the server does not come up")
	}
}

// stop asks the server to stop, and requires exit code 0 in time.
func (s *server) stop() {
	s.t.Helper()
	require.NoError(s.t, s.command.Process.Signal(syscall.SIGTERM))
	s.ended()
}

func (s *server) ended() {
	s.t.Helper()
	select {
	case err := <-s.exited:
		require.NoError(s.t, err, "%s", s.log)
	case <-time.After(patience):
		require.Fail(s.t, "the server does not end")
	}
}

func (s *server) get(path string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.address+path, http.NoBody)
	require.NoError(s.t, err)
	return s.do(r)
}

func (s *server) post(query string) string {
	s.t.Helper()
	raw, err := json.Marshal(map[string]string{"query": query})
	require.NoError(s.t, err)
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.address+"/graphql", bytes.NewReader(raw))
	require.NoError(s.t, err)
	r.Header.Set("Content-Type", "application/json")
	_, body := s.do(r)
	return body
}

func (s *server) do(r *http.Request) (int, string) {
	s.t.Helper()
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return response.StatusCode, string(body)
}

// requireStarted requires that one line of a log in JSON says what serves where, and
// that nothing went wrong.
func (s *server) requireStarted(database string) {
	s.t.Helper()
	var started []map[string]any
	for line := range strings.Lines(s.log.String()) {
		var entry map[string]any
		require.NoError(s.t, json.Unmarshal([]byte(line), &entry), line)
		assert.Equal(s.t, "INFO", entry["level"], line)
		if entry["msg"] == "started" {
			delete(entry, "time")
			started = append(started, entry)
		}
	}
	require.Len(s.t, started, 1)
	assert.NotEmpty(s.t, started[0]["version"])
	delete(started[0], "version")
	assert.Equal(s.t, map[string]any{"level": "INFO", "msg": "started", "database": database, "redis": "inside this process", "address": s.address}, started[0])
}

// TestTheProgramServes starts without settings, writes, restarts, and finds what
// was written.
func TestTheProgramServes(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	first := start(t, home, "LOG_FORMAT=json")
	status, body := first.get("/healthz")
	assert.Equal(t, 200, status, body)
	status, body = first.get("/readyz")
	assert.Equal(t, 200, status)
	assert.JSONEq(t, `{"status":"ready","dependencies":{"database":"up","redis":"up"}}`, body)
	const question = `{ stock(productId: "22423") { quantityAvailable reserved } }`
	assert.JSONEq(t, `{"data":{"stock":{"quantityAvailable":58,"reserved":0}}}`, first.post(question))
	made := first.post(`mutation { reserveStock(input: {idempotencyKey: "k", lines: [{productId: "22423", quantity: 3}], ttlSeconds: 3600}) { reservation { id } } }`)
	id := regexp.MustCompile(`res_[0-9a-f]{32}`).FindString(made)
	require.NotEmpty(t, id, made)
	first.stop()
	first.requireStarted("sqlite:" + filepath.Join(home, "data", "onhand", "onhand.db"))

	second := start(t, home)
	assert.JSONEq(t, `{"data":{"stock":{"quantityAvailable":55,"reserved":3}}}`, second.post(question))
	assert.Contains(t, second.post(`{ reservation(id: "`+id+`") { state } }`), "ACTIVE")
	again := second.post(`mutation { reserveStock(input: {idempotencyKey: "k", lines: [{productId: "22423", quantity: 3}], ttlSeconds: 3600}) { replayed reservation { id } } }`)
	assert.JSONEq(t, `{"data":{"reserveStock":{"replayed":true,"reservation":{"id":"`+id+`"}}}}`, again)
	second.stop()
	assert.NotContains(t, second.log.String(), "level=ERROR")
	assert.FileExists(t, filepath.Join(home, "data", "onhand", "onhand.db"))
}

// TestTheProgramStopsInOrder stops the server while one client watches and another
// is still sending. The server closes the first with 1012, answers the second,
// accepts no third, and ends with code 0.
func TestTheProgramStopsInOrder(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "DATABASE_URL=sqlite::memory:")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	watcher, _, err := websocket.Dial(ctx, "ws://"+s.address+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	require.NoError(t, err)
	defer watcher.CloseNow()
	read := func() string {
		_, data, err := watcher.Read(ctx)
		require.NoError(t, err)
		return string(data)
	}
	require.NoError(t, watcher.Write(ctx, websocket.MessageText, []byte(`{"type":"connection_init"}`)))
	require.Contains(t, read(), "connection_ack")
	require.NoError(t, watcher.Write(ctx, websocket.MessageText, []byte(`{"id":"1","type":"subscribe","payload":{"query":"subscription { stockChanged(productIds: [\"22423\"]) { productId } }"}}`)))
	require.Contains(t, read(), `"22423"`)

	slow, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
	require.NoError(t, err)
	defer slow.Close()
	const body = `{"query":"{ stock(productId: \"22423\") { quantityAvailable } }"}`
	_, err = fmt.Fprintf(slow, "POST /graphql HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", s.address, len(body))
	require.NoError(t, err)
	answers := bufio.NewReader(slow)
	line, err := answers.ReadString('\n') // the request has reached its handler
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue")
	_, _ = answers.ReadString('\n')

	require.NoError(t, s.command.Process.Signal(syscall.SIGTERM))
	_, data, err := watcher.Read(ctx)
	require.Equal(t, websocket.StatusServiceRestart, websocket.CloseStatus(err), "%s %v", data, err)

	require.Eventually(t, func() bool {
		late, err := net.DialTimeout("tcp", s.address, time.Second)
		if err == nil {
			_ = late.Close()
		}
		return err != nil
	}, patience, 5*time.Millisecond, "the server still accepts connections")
	_, err = io.WriteString(slow, body)
	require.NoError(t, err)
	response, err := http.ReadResponse(answers, nil)
	require.NoError(t, err)
	got, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.JSONEq(t, `{"data":{"stock":{"quantityAvailable":58}}}`, string(got))
	s.ended()
	assert.NotContains(t, s.log.String(), "level=ERROR")
}

// retailHeader is the first line of the Online Retail file.
const retailHeader = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

// TestTheProgramImports: a file of sales becomes opening stock. A broken file
// changes nothing. A second import of the file changes nothing, and units sold in
// between come back with --replace only.
func TestTheProgramImports(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	const header = retailHeader
	const rows = "100,15056BL,EDWARDIAN PARASOL BLACK,10,2010-12-01T08:26:00,2.55,17850,United Kingdom\n" +
		"100,22423,REGENCY CAKESTAND 3 TIER,4,2010-12-01T08:26:00,2.55,17850,United Kingdom\n" +
		"C101,22423,REGENCY CAKESTAND 3 TIER,-1,2010-12-01T09:26:00,2.55,17850,United Kingdom\n"
	file := func(name, text string) string {
		path := filepath.Join(home, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	env := []string{"DATABASE_URL=sqlite:" + filepath.Join(home, "shop.db")}
	for range 2 {
		code, stdout, stderr := run(t, home, env, "import", file("good.csv", header+rows))
		require.Equal(t, 0, code, stderr)
		assert.Contains(t, stdout, "2 products, 14 units at UK warehouse; the file has 1 sales, 1 cancellations, 0 adjustments")
	}
	for name, text := range map[string]string{"empty.csv": "", "cut.csv": header + rows + "102,22423,REGENCY", "other.csv": "a,b\n1,2\n"} {
		code, _, stderr := run(t, home, env, "import", file(name, text))
		assert.Equal(t, 1, code, name)
		assert.Contains(t, stderr, name)
		assert.NotContains(t, stderr, "goroutine")
	}
	s := start(t, home, env...)
	assert.JSONEq(t, `{"data":{"stocks":[{"quantityAvailable":10},{"quantityAvailable":4},null]}}`, s.post(`{ stocks(productIds: ["15056BL", "22423", "85123A"]) { quantityAvailable } }`))
	s.post(`mutation { reserveStock(input: {idempotencyKey: "k", lines: [{productId: "22423", quantity: 3}], ttlSeconds: 3600}) { reservation { id } } }`)
	s.stop()

	good := filepath.Join(home, "good.csv")
	code, _, stderr := run(t, home, env, "import", good)
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "1 of the levels are stocked already: 22423 at uk-warehouse has 1 available, 3 reserved, 0 committed, and the import says 4")
	assert.Contains(t, stderr, "--replace")
	code, _, stderr = run(t, home, env, "import", good, "--replace")
	assert.Equal(t, 0, code, stderr)
	s = start(t, home, env...)
	assert.JSONEq(t, `{"data":{"stock":{"quantityAvailable":4,"reserved":3}}}`, s.post(`{ stock(productId: "22423") { quantityAvailable reserved } }`))
	s.stop()
}

// TestTheProgramStartsTwice starts two instances at once on one new database, each
// with its embedded Redis. One serves, with one demo shop. The other ends and says
// which setting is missing; it starts when it is alone.
func TestTheProgramStartsTwice(t *testing.T) {
	t.Parallel()
	for range 3 {
		home := t.TempDir()
		first, second := launch(t, home), launch(t, home)
		select {
		case err := <-first.exited:
			require.Error(t, err)
			first, second = second, first
		case err := <-second.exited:
			require.Error(t, err)
		case <-time.After(patience):
			require.Fail(t, "both instances serve one database with a Redis each")
		}
		assert.Contains(t, second.log.String(), "set the same REDIS_URL")
		first.comeUp()
		assert.JSONEq(t, `{"data":{"stock":{"quantityAvailable":58}}}`, first.post(`{ stock(productId: "22423") { quantityAvailable } }`))
		first.stop()
		assert.NotContains(t, first.log.String(), "level=ERROR")
		start(t, home).stop()
	}
}

// TestTheProgramSaysWhatIsWrong: an error that waiting cannot fix is printed at
// once.
func TestTheProgramSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for _, args := range [][]string{{"serve", "--listen-addr=127.0.0.1:0"}, {"migrate"}, {"import", filepath.Join(home, "sales.csv")}} {
		require.NoError(t, os.WriteFile(filepath.Join(home, "sales.csv"), []byte(retailHeader), 0o600))
		code, _, stderr := run(t, home, []string{"DATABASE_URL=sqlite:" + home}, args...)
		assert.Equal(t, 1, code, args)
		assert.Equal(t, "onhand: the database cannot be used: "+home+" is a folder; name a file in it\n", stderr, args)
	}
}

// TestTheProgramAudits audits beside a server and alone. The exit code is 0 without
// differences, 1 with some, of which --repair fixes those of Redis only, and 2
// when the audit fails.
func TestTheProgramAudits(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	database := filepath.Join(home, "shop.db")
	redis := storetest.Redis(t)
	env := []string{"DATABASE_URL=sqlite:" + database, "REDIS_URL=" + redis.ServerURL(), "AUDIT_SETTLE=5s"}
	code, _, stderr := run(t, home, env, "audit")
	assert.Equal(t, 2, code, "there is no database yet")
	assert.Contains(t, stderr, "no such database: "+database)
	assert.NoFileExists(t, database)

	sales := filepath.Join(home, "sales.csv")
	require.NoError(t, os.WriteFile(sales, []byte("InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"+
		"100,22423,REGENCY CAKESTAND 3 TIER,40,2010-12-01T08:26:00,2.55,17850,United Kingdom\n"), 0o600))
	code, _, stderr = run(t, home, env, "import", sales)
	require.Equal(t, 0, code, stderr)
	s := start(t, home, env...)
	require.Contains(t, s.post(`mutation { reserveStock(input: {idempotencyKey: "k", lines: [{productId: "22423", quantity: 3}]}) { reservation { id } } }`), "res_")
	code, stdout, stderr := run(t, home, env, "audit")
	require.Equal(t, 0, code, stderr)
	assert.Regexp(t, `^1 products, 1 levels, 2 ledger rows, 1 products in Redis.*: no difference\n$`, stdout)

	options, err := goredis.ParseURL(redis.URL())
	require.NoError(t, err)
	client := goredis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	s.stop() // it would repair this by itself
	require.NoError(t, client.HSet(t.Context(), "inventory:22423", "version", 4000).Err())
	code, stdout, stderr = run(t, home, env, "audit")
	assert.Equal(t, 1, code)
	assert.Contains(t, stdout, `redis_ahead: "22423": Redis has version 4000, the database only 3`)
	assert.Contains(t, stderr, "onhand: 1 differences")
	code, stdout, stderr = run(t, home, env, "audit", "--repair")
	assert.Equal(t, 0, code, stderr)
	assert.Contains(t, stdout, "1 differences (redis_ahead 1), 1 repaired in Redis")
	s = start(t, home, env...)
	assert.JSONEq(t, `{"data":{"stock":{"version":4001,"source":"CACHE"}}}`, s.post(`{ stock(productId: "22423") { version source } }`))
	s.stop()

	raw, err := driver.Open("file:" + database)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, raw.Close()) })
	_, err = raw.ExecContext(t.Context(), "UPDATE onhand_writer SET active = 1; UPDATE stock_levels SET available = 39; UPDATE onhand_writer SET active = 0")
	require.NoError(t, err)
	for _, args := range [][]string{{"audit"}, {"audit", "--repair"}} {
		code, stdout, _ = run(t, home, env[:1], args...)
		assert.Equal(t, 1, code, "the database is never changed")
		assert.Contains(t, stdout, `ledger_sum: "22423" at "uk-warehouse": AVAILABLE is 39, its ledger adds up to 37`)
		assert.Contains(t, stdout, "Redis is inside the server and was not compared")
	}
	require.NoError(t, redis.Kill())
	code, _, stderr = run(t, home, env, "audit")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "redis is down")
	code, _, _ = run(t, home, env, "audit", "--settle=-1s")
	assert.Equal(t, 2, code)
}

// TestTheProgramsOtherCommands: version, help, migrate, and mistakes.
func TestTheProgramsOtherCommands(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	code, stdout, stderr := run(t, home, nil, "version")
	assert.Equal(t, 0, code, stderr)
	assert.Regexp(t, `^onhand \S+`, stdout)

	code, stdout, stderr = run(t, home, nil, "--help")
	assert.Equal(t, 0, code, stderr)
	code, serve, stderr := run(t, home, nil, "serve", "--help")
	assert.Equal(t, 0, code, stderr)
	for _, name := range []string{"DATABASE_URL", "REDIS_URL", "LOG_LEVEL", "LOG_FORMAT", "LISTEN_ADDR", "RESERVATION_TTL", "RESERVATION_TTL_MAX", "COMPILED_READS", "NEAR_CACHE_BYTES"} {
		assert.Contains(t, serve, "$"+name)
	}
	for _, name := range []string{"serve", "migrate", "import", "audit", "version", "$DATABASE_URL"} {
		assert.Contains(t, stdout, name)
	}

	for _, want := range []string{"migrations applied", "0 migrations applied"} {
		code, stdout, stderr = run(t, home, nil, "migrate")
		assert.Equal(t, 0, code, stderr)
		assert.Contains(t, stdout, want)
	}

	for _, test := range []struct {
		env, args []string
		want      string
	}{
		{[]string{"LISTEN_ADDR=0.0.0.0:8080"}, nil, "a loopback address such as"},
		{[]string{"RESERVATION_TTL=48h"}, nil, "reservation-ttl 48h0m0s must be between"},
		{[]string{"RESERVATION_TTL=soon"}, nil, "soon"},
		{[]string{"NEAR_CACHE_BYTES=-1"}, nil, "must not be negative"},
		{[]string{"DATABASE_URL=mysql://u:hunter2@localhost/x"}, nil, "want postgres://"},
		{nil, []string{"sell"}, "sell"},
		{nil, []string{"import", "nowhere.csv"}, "nowhere.csv"},
	} {
		code, _, stderr := run(t, home, test.env, test.args...)
		assert.NotEqual(t, 0, code, "%v", test)
		assert.Contains(t, stderr, test.want)
		assert.NotContains(t, strings.ToLower(stderr), "goroutine")
		assert.NotContains(t, stderr, "hunter2")
	}
}
