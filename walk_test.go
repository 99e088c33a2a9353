package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/store/storetest"
)

var (
	walk     = flag.Bool("walk", false, "walk through the guides on a fresh clone, with nothing compiled before, and print the times")
	compiled = flag.Bool("compiled", false, "walk with what this machine has compiled before")
)

// walkLimit bounds one command: the first one compiles everything.
const walkLimit = 15 * time.Minute

// walker is a newcomer: a fresh clone, an empty home, an empty build cache, and a shell.
type walker struct {
	t       *testing.T
	clone   string
	home    string
	env     []string
	address string
	server  *exec.Cmd
	ids     *reader // the ids of real answers
	began   time.Time
	rows    []walkRow
}

// walkRow is what one guide took.
type walkRow struct {
	guide              string
	commands           int
	first, live, total time.Duration // until the first answer, until the first change on a stream, in all
	left               string        // what needs another machine
}

// TestWalk walks through the guides as a newcomer does: every command in its order, in a shell, with a clock. It compares
// the answers with those of the documents.
func TestWalk(t *testing.T) {
	if !*walk {
		t.Skip("make walk runs it")
	}
	w := &walker{t: t, home: t.TempDir(), address: freeAddress(t)}
	t.Cleanup(w.stopServer)
	w.clone = filepath.Join(w.home, "onhand")
	w.began = time.Now()
	w.must(exec.CommandContext(t.Context(), "git", "clone", "--quiet", ".", w.clone))
	cloned := time.Since(w.began)
	modules, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE").Output()
	require.NoError(t, err)
	w.env = []string{
		"HOME=" + w.home, "PATH=" + filepath.Join(w.home, "bin") + ":" + os.Getenv("PATH"), "GOBIN=" + filepath.Join(w.home, "bin"), "GOFLAGS=",
		"GOCACHE=" + filepath.Join(w.home, "cache"), "GOMODCACHE=" + strings.TrimSpace(string(modules)), "LISTEN_ADDR=" + w.address,
	}
	if *compiled {
		cache, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
		require.NoError(t, err)
		w.env = append(w.env, "GOCACHE="+strings.TrimSpace(string(cache)), "GOFLAGS=-trimpath", "CGO_ENABLED=0")
	}
	w.guide("README.md")
	for _, document := range []string{"docs/storefront.md", "docs/orders.md", "docs/merchants.md", "docs/federation.md", "docs/demo.md", "docs/operators.md", "docs/running.md"} {
		w.guide(document)
	}
	t.Logf("clone: %s\n%s", cloned.Round(100*time.Millisecond), w.table())
}

// table shows the times in Markdown.
func (w *walker) table() string {
	var b strings.Builder
	b.WriteString("\n| guide | commands | first answer | first live change | whole guide | left out |\n|---|---:|---:|---:|---:|---|\n")
	show := func(d time.Duration) string {
		if d == 0 {
			return "–"
		}
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	for _, r := range w.rows {
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %s |\n", r.guide, r.commands, show(r.first), show(r.live), show(r.total), r.left)
	}
	return b.String()
}

// guide follows a document in a home without data. Its clock starts with the clone for the README, else with the first command.
func (w *walker) guide(document string) {
	w.t.Helper()
	w.stopServer()
	require.NoError(w.t, os.RemoveAll(filepath.Join(w.home, ".local")))
	row := walkRow{guide: document}
	began := time.Now()
	if document == "README.md" {
		began = w.began
	} else {
		w.startServer()
	}
	w.ids = &reader{t: w.t, ids: map[string]string{}}
	var machine *operator
	if document == "docs/running.md" {
		machine = newOperator(w.t)
		machine.loadDemo()
		began = time.Now()
	}
	fences := blocksOf(w.t, filepath.Join(w.clone, document))
	for i, f := range fences {
		after := fence{}
		if i+1 < len(fences) {
			after = fences[i+1]
		}
		switch {
		case machine != nil && (f.language == "sql" || strings.HasPrefix(f.text, "pg_") || strings.HasPrefix(f.text, "scripts/re")):
			row.commands++
			w.onMachine(machine, f)
		case f.language == "sh":
			left, ran, answer := w.block(f.text)
			row.commands += ran
			if left != "" && !strings.Contains(row.left, left) {
				row.left = strings.TrimPrefix(row.left+", "+left, ", ")
			}
			if ran > 0 && after.language == "json" {
				assertShape(w.t, after.text, answer)
				w.ids.learnIDs(after.text, answer)
			} else {
				assert.NotContains(w.t, answer, `"extensions":{"code"`, f.text)
			}
			if row.first == 0 && strings.Contains(answer, "data") {
				row.first = time.Since(began)
			}
			if row.live == 0 && strings.Contains(f.text, "subscription {") {
				w.seeChange(f.text)
				row.live = time.Since(began)
			}
		}
	}
	row.total = time.Since(began)
	w.rows = append(w.rows, row)
	w.t.Logf("%+v", row)
}

// onMachine does what needs a Postgres of one's own.
func (w *walker) onMachine(machine *operator, f fence) {
	w.t.Helper()
	if f.language != "sql" {
		machine.shell(f.text)
		return
	}
	machine.execute(f.text)
	if strings.Contains(f.text, "restore_point") {
		machine.archiveAll()
	}
}

// otherMachines are commands that need what this machine lacks, or that are measured elsewhere.
var otherMachines = []struct{ prefix, reason string }{
	{"docker compose", "containers"}, {"kubectl", "Kubernetes"}, {"helm", "Kubernetes"}, {"make test", "`make test`"}, {"make bench", "`make bench`"},
	{". ./.env", "containers"}, {"HOLDER_LIMITS=off go run", "the replay"}, {"go run ./bench/replay", "the replay"}, {"go run . import --opening", "the replay"},
}

// block runs the commands of a block in a shell, line by line, and returns the last answer.
func (w *walker) block(text string) (left string, ran int, answer string) {
	w.t.Helper()
	text = w.ids.realIDs(strings.ReplaceAll(text, "127.0.0.1:8080", w.address))
	if strings.Contains(text, "curl") {
		return "", 1, w.shell(text)
	}
lines:
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
		for _, other := range otherMachines {
			if strings.HasPrefix(line, other.prefix) {
				left = other.reason
				continue lines
			}
		}
		ran++
		switch {
		case assignment.MatchString(line):
			w.env = append(w.env, line)
		case line == "go run .":
			w.stopServer()
			w.startServer()
		case strings.Contains(line, "postgres://…"):
			dsn := storetest.OwnerAccount(storetest.PrivatePostgres(w.t).DSN("postgres"))
			answer = w.shell(strings.ReplaceAll(line, "postgres://…", dsn))
		default:
			answer = w.shell(line)
		}
	}
	return left, ran, answer
}

func (w *walker) command(line string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(w.t.Context(), walkLimit)
	w.t.Cleanup(cancel)
	c := exec.CommandContext(ctx, "bash", "-c", line)
	c.Dir, c.Env = w.clone, w.env
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	return c
}

func (w *walker) must(c *exec.Cmd) string {
	w.t.Helper()
	out, err := c.CombinedOutput()
	require.NoError(w.t, err, "%v\n%s", c.Args, out)
	return string(out)
}

// shell runs a command, a stream until its first event.
func (w *walker) shell(line string) string {
	w.t.Helper()
	if !strings.Contains(line, "curl -sN") {
		c := w.command(line)
		var problems strings.Builder
		c.Stderr = &problems
		out, err := c.Output()
		require.NoError(w.t, err, "%s\n%s%s", line, out, problems.String())
		return string(out)
	}
	events, stop := w.stream(line)
	defer stop()
	return <-events
}

// stream gives the events of a stream.
func (w *walker) stream(line string) (events <-chan string, stop func()) {
	w.t.Helper()
	c := w.command(line)
	out, err := c.StdoutPipe()
	require.NoError(w.t, err)
	require.NoError(w.t, c.Start())
	got := make(chan string, 100)
	go func() {
		defer close(got)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "data:") && len(got) < cap(got) {
				got <- lines.Text()
			}
		}
	}()
	return got, func() {
		_ = c.Cancel() // it may have ended
		_ = c.Wait()
	}
}

// watchedProduct is what a subscription of a guide follows.
var watchedProduct = regexp.MustCompile(`productIds: \[\\"(\w+)\\"`)

// seeChange opens a stream of a guide again, reserves a unit of its product, and waits until the stream shows the change.
func (w *walker) seeChange(text string) {
	w.t.Helper()
	product := watchedProduct.FindStringSubmatch(text)
	if product == nil {
		return
	}
	events, stop := w.stream(strings.ReplaceAll(text, "127.0.0.1:8080", w.address))
	defer stop()
	require.NotEmpty(w.t, <-events)
	began := time.Now()
	w.shell(`curl -s http://` + w.address + `/graphql -H 'Content-Type: application/json' -d '{"query":"mutation { reserveStock(input: {idempotencyKey: \"walk-'$RANDOM$RANDOM'\", ttlSeconds: 60, lines: [{productId: \"` + product[1] + `\", quantity: 1}]}) { errors { message } } }"}'`)
	select {
	case event := <-events:
		assert.Contains(w.t, event, product[1])
	case <-time.After(patience):
		require.Fail(w.t, "no change on the stream")
	}
	w.t.Logf("a change of %s was seen %s after it was asked for, curl included", product[1], time.Since(began).Round(time.Millisecond))
}

// startServer runs the command of the README, and waits for the first answer.
func (w *walker) startServer() {
	w.t.Helper()
	w.server = w.command("exec go run .")
	w.server.Stderr = os.Stderr
	require.NoError(w.t, w.server.Start())
	ended := make(chan error, 1)
	go func(c *exec.Cmd) { ended <- c.Wait() }(w.server)
	for deadline := time.Now().Add(walkLimit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.address+"/readyz", http.NoBody)
		require.NoError(w.t, err)
		if response, err := http.DefaultClient.Do(r); err == nil {
			require.NoError(w.t, response.Body.Close())
			return
		}
		select {
		case err := <-ended:
			require.NoError(w.t, errors.Join(errors.New("the server ended"), err))
		default:
		}
	}
	require.Fail(w.t, "the server does not come up")
}

func (w *walker) stopServer() {
	if w.server == nil {
		return
	}
	_ = syscall.Kill(-w.server.Process.Pid, syscall.SIGTERM) // the group: go run and the program
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if syscall.Kill(-w.server.Process.Pid, 0) != nil {
			break
		}
	}
	w.server = nil
}
