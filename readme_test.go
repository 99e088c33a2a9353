package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/store/storetest"
)

// These tests run the README and docs/merchants.md as a person would: every
// command of every shell block, in order, against servers of the test's own.
// They compare every printed answer. An unknown kind of command fails the test.

// fence is a block of a document: its language and its text.
type fence struct{ language, text string }

func fencesOf(t *testing.T, document string) []fence {
	t.Helper()
	raw, err := os.ReadFile(document)
	require.NoError(t, err)
	var fences []fence
	for _, found := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllSubmatch(raw, -1) {
		fences = append(fences, fence{string(found[1]), string(found[2])})
	}
	require.NotEmpty(t, fences, document)
	return fences
}

// shellCommand is one command of a block, quotes taken off.
type shellCommand struct {
	words      []string
	background bool
}

// shellWord is a word's next part: quoted, a variable, or plain text.
var shellWord = regexp.MustCompile(`(?s)^('[^']*'|"\$[A-Z_]+"|\$[A-Z_]+|[^\s'"&#$;|<>` + "`" + `]+)`)

// shellCommands takes a block apart. It knows the little shell that a README
// should have: words, quotes, variables, comments and a trailing &.
func shellCommands(t *testing.T, block string, variables map[string]string) (commands []shellCommand) {
	t.Helper()
	var current shellCommand
	word, inWord := "", false
	end := func() {
		if inWord {
			current.words = append(current.words, word)
		}
		word, inWord = "", false
	}
	for rest := block; rest != ""; {
		switch {
		case strings.HasPrefix(rest, "\\\n"):
			end()
			rest = rest[2:]
		case rest[0] == '\n' || rest[0] == '&':
			end()
			current.background = rest[0] == '&'
			if len(current.words) > 0 {
				commands = append(commands, current)
			}
			current, rest = shellCommand{}, rest[1:]
		case rest[0] == ' ':
			end()
			rest = rest[1:]
		case rest[0] == '#' && !inWord:
			_, rest, _ = strings.Cut(rest, "\n")
		default:
			part := shellWord.FindString(rest)
			require.NotEmpty(t, part, "the README's shell is too clever here: %s", rest)
			rest = rest[len(part):]
			switch {
			case part == "$RANDOM":
				part = strconv.Itoa(rand.IntN(1 << 15))
			case strings.HasPrefix(strings.TrimPrefix(part, `"`), "$"):
				part = variables[strings.Trim(part, `"$`)]
			}
			word, inWord = word+strings.Trim(part, "'"), true
		}
	}
	return commands
}

// reader follows a document.
type reader struct {
	t      *testing.T
	home   string
	env    map[string]string // what was set or exported
	server *server           // the one that runs now
	counts map[string]int    // commands run, by kind
	ids    map[string]string // of reservations and movements: in the document, and in the real answer
}

func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	r := &reader{t: t, home: t.TempDir(), env: map[string]string{}, counts: map[string]int{}}
	r.follow("README.md")
	for _, kind := range []string{"go run .", "go build", "go install", "make", "curl", "docker compose", "secrets", "environment", "import", "replay"} {
		assert.Positive(t, r.counts[kind], kind)
	}
}

// TestMerchantsCommands runs docs/merchants.md against a server without settings.
func TestMerchantsCommands(t *testing.T) {
	t.Parallel()
	r := &reader{t: t, home: t.TempDir(), counts: map[string]int{}}
	r.serve()
	r.follow("docs/merchants.md")
	for _, kind := range []string{"curl", "onhand"} {
		assert.Positive(t, r.counts[kind], kind)
	}
}

// follow runs a document's commands, compares the answers, and stops the server. In later
// commands it puts the ids of the real answers for those of the document, as a person does.
func (r *reader) follow(document string) {
	t := r.t
	t.Helper()
	fences := fencesOf(t, document)
	r.ids = map[string]string{}
	answers := 0
	for i, f := range fences {
		if f.language != "sh" {
			continue
		}
		output := ""
		for _, c := range shellCommands(t, r.realIDs(f.text), r.env) {
			output = r.run(c)
		}
		if i+1 < len(fences) && fences[i+1].language != "sh" {
			answers++
			if fences[i+1].language == "text" {
				assertLines(t, fences[i+1].text, output)
			} else {
				assertShape(t, fences[i+1].text, output)
			}
			r.learnIDs(fences[i+1].text, output)
		}
	}
	r.server.stop()
	assert.Equal(t, len(fences), answers+sections(fences), "an answer without a command")
}

// sections counts the shell blocks.
func sections(fences []fence) (n int) {
	for _, f := range fences {
		if f.language == "sh" {
			n++
		}
	}
	return n
}

// run does what a command does, and gives what it prints.
func (r *reader) run(c shellCommand) string {
	r.t.Helper()
	line := strings.Join(c.words, " ")
	switch {
	case line == "go run .", line == "HOLDER_LIMITS=off go run .":
		r.counts["go run ."]++
		r.serve()
	case strings.HasPrefix(line, "go run . import "):
		r.counts["import"]++
		writeSales(r.t, filepath.Join(r.home, c.words[len(c.words)-1]))
		code, _, stderr := run(r.t, r.home, r.environment(), c.words[3:]...)
		require.Equal(r.t, 0, code, stderr)
	case line == "go build -o onhand .", line == "go install .":
		r.counts["go "+c.words[1]]++
		r.build(c.words[1:])
	case c.words[0] == "onhand":
		r.counts["onhand"]++
		code, stdout, stderr := run(r.t, r.home, r.environment(), c.words[1:]...)
		require.Equal(r.t, 0, code, stderr)
		return stdout
	case strings.HasPrefix(line, "go run ./bench/replay "):
		r.counts["replay"]++
		r.replay(c.words[3:])
	case c.words[0] == "make":
		r.counts["make"]++
		makefile, err := os.ReadFile("Makefile")
		require.NoError(r.t, err)
		require.Contains(r.t, string(makefile), "\n"+c.words[1]+": ## ")
	case assignment.MatchString(line):
		name, value, _ := strings.Cut(line, "=")
		r.env[name] = value
	case line == "docker compose up -d --wait":
		r.counts["docker compose"]++
		require.FileExists(r.t, "compose.yaml")
	case line == "scripts/secrets":
		r.counts["secrets"]++
		r.makeSecrets()
	case line == ". ./.env":
		r.counts["environment"]++
		r.environmentFile()
	case c.words[0] == "curl":
		r.counts["curl"]++
		return r.curl(c.words[1:])
	default:
		require.Fail(r.t, "nothing here can run this line of the README", line)
	}
	return ""
}

// assignment sets a variable of the shell for the commands that follow.
var assignment = regexp.MustCompile(`^[A-Z]+=[\w-]+$`)

// makeSecrets runs the script in the home of the reader.
func (r *reader) makeSecrets() {
	r.t.Helper()
	script, err := filepath.Abs(filepath.Join("scripts", "secrets"))
	require.NoError(r.t, err)
	c := exec.CommandContext(r.t.Context(), script)
	c.Dir = r.home
	out, err := c.CombinedOutput()
	require.NoError(r.t, err, "%s", out)
}

// environmentFile exports what the script has written, and takes servers of the test's own for
// those that compose.yaml brings, once it has seen that the URLs mean them.
func (r *reader) environmentFile() {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.home, ".env"))
	require.NoError(r.t, err)
	compose := document(r.t, "compose.yaml")
	for name, port := range map[string]string{"DATABASE_URL": "5432", "REDIS_URL": "6379"} {
		found := regexp.MustCompile(`(?m)^export ` + name + `='\w+://\w+:\w+@127\.0\.0\.1:(\d+)/`).FindSubmatch(text)
		require.NotNil(r.t, found, name)
		require.Equal(r.t, port, string(found[1]))
		require.Contains(r.t, compose, ":-"+port+"}:"+port+`"]`)
	}
	r.env["DATABASE_URL"] = storetest.OwnerAccount(storetest.PrivatePostgres(r.t).DSN("postgres"))
	r.env["REDIS_URL"] = storetest.Redis(r.t).ServerURL()
}

// environment has simulated shoppers as for a person: they leave alone what documents use.
func (r *reader) environment() (env []string) {
	env = append(env, "SIMULATED_SHOPPERS=auto")
	for name, value := range r.env {
		env = append(env, name+"="+value)
	}
	return env
}

// serve starts the program; the one that runs is stopped, as the port would
// make a person do.
func (r *reader) serve() {
	r.t.Helper()
	if r.server != nil {
		r.server.stop()
	}
	r.server = start(r.t, r.home, r.environment()...)
}

// build runs the go command; what it makes goes into a folder of the test's own.
func (r *reader) build(args []string) {
	r.t.Helper()
	folder := r.t.TempDir()
	if args[0] == "build" {
		args[2] = filepath.Join(folder, args[2])
	}
	c := exec.CommandContext(r.t.Context(), "go", args...)
	c.Env = append(os.Environ(), "GOBIN="+folder)
	out, err := c.CombinedOutput()
	require.NoError(r.t, err, "%s", out)
	require.FileExists(r.t, filepath.Join(folder, "onhand"))
}

func (r *reader) replay(args []string) {
	r.t.Helper()
	path := filepath.Join(r.home, "replay")
	out, err := exec.CommandContext(r.t.Context(), "go", "build", "-o", path, "./bench/replay").CombinedOutput()
	require.NoError(r.t, err, "%s", out)
	c := exec.CommandContext(r.t.Context(), path, append(args, "--url", "http://"+r.server.address+"/graphql")...)
	c.Dir = r.home
	out, err = c.CombinedOutput()
	require.NoError(r.t, err, "%s", out)
}

// curl sends what curl would send, on machines that have none too. Of a stream
// it reads the first event.
func (r *reader) curl(args []string) string {
	r.t.Helper()
	method, body, target, header := http.MethodGet, "", "", http.Header{}
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-s", "-sN", "-N":
		case "-H":
			i++
			name, value, _ := strings.Cut(args[i], ": ")
			header.Set(name, value)
		case "-d":
			i++
			method, body = http.MethodPost, args[i]
		default:
			require.True(r.t, strings.HasPrefix(args[i], "http://127.0.0.1:8080/"), "an option of curl that is not known here: %s", args[i])
			target = strings.Replace(args[i], "127.0.0.1:8080", r.server.address, 1)
		}
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	require.NoError(r.t, err)
	request.Header, request.Close = header, true
	response, err := http.DefaultClient.Do(request)
	require.NoError(r.t, err)
	defer response.Body.Close()
	require.Equal(r.t, http.StatusOK, response.StatusCode)
	var printed bytes.Buffer
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20) // a schema is one line
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), ":") { // "I am still here"
			continue
		}
		printed.WriteString(lines.Text() + "\n")
		if header.Get("Accept") == "text/event-stream" && strings.HasPrefix(lines.Text(), "data:") {
			break
		}
	}
	return printed.String()
}

// writeSales makes a small file of the shape that the README speaks of.
func writeSales(t *testing.T, path string) {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(retailHeader +
		"100,22423,REGENCY CAKESTAND 3 TIER,4,2010-12-01T08:26:00,2.55,17850,United Kingdom\n" +
		"101,22423,REGENCY CAKESTAND 3 TIER,6,2010-12-01T08:27:00,2.55,17850,United Kingdom\n" +
		"C102,22423,REGENCY CAKESTAND 3 TIER,-1,2010-12-01T09:26:00,2.55,17850,United Kingdom\n"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, os.WriteFile(path, packed.Bytes(), 0o600))
}

// changing are the fields of an answer that differ from run to run: for these
// only the kind of value counts.
var changing = regexp.MustCompile(`"(id|cursor|expiresAt|serverTime|version|source)": ?("[^"]*"|[0-9]+)`)

// shownTime is a time in a table for people.
var shownTime = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)

// kindOf writes a changing value as what kind it is.
func kindOf(pair string) string {
	name, value, _ := strings.Cut(pair, ":")
	value = strings.TrimSpace(value)
	switch {
	case regexp.MustCompile(`^"res_[0-9a-f]{32}"$`).MatchString(value):
		value = `"a reservation"`
	case regexp.MustCompile(`^"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"$`).MatchString(value):
		value = `"a time"`
	case regexp.MustCompile(`^"(NEAR_CACHE|CACHE|DATABASE)"$`).MatchString(value):
		value = `"a source"`
	case strings.Contains(name, "cursor"):
		value = `"a cursor"`
	case !strings.HasPrefix(value, `"`):
		value = `"a number"`
	}
	return name + ":" + value
}

func assertShape(t *testing.T, want, got string) {
	t.Helper()
	require.True(t, json.Valid([]byte(want)), want)
	assert.JSONEq(t, changing.ReplaceAllStringFunc(want, kindOf), changing.ReplaceAllStringFunc(got, kindOf))
}

func assertLines(t *testing.T, want, got string) {
	t.Helper()
	plain := func(text string) []string {
		text = shownTime.ReplaceAllString(text, "a-time")
		lines := strings.Split(strings.TrimSpace(changing.ReplaceAllStringFunc(text, kindOf)), "\n")
		return slices.DeleteFunc(lines, func(line string) bool { return line == "" })
	}
	assert.Equal(t, plain(want), plain(got))
}

// readmeTable gives the rows of the README's table with this first heading,
// cell by cell.
func readmeTable(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	return tableOf(t, "README.md", heading)
}

// tableOf gives the rows of a document's table with this first heading.
func tableOf(t *testing.T, path, heading string) (rows [][]string) {
	t.Helper()
	_, rest, found := strings.Cut(document(t, path), "\n| "+heading+" |")
	require.True(t, found, heading)
	for _, line := range strings.Split(rest, "\n")[2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		var cells []string
		for _, cell := range strings.Split(strings.Trim(line, "|"), " | ") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	require.NotEmpty(t, rows, heading)
	return rows
}

// TestSettingsTable: the README repeats rows of docs/settings.md, which package cli writes.
func TestSettingsTable(t *testing.T) {
	t.Parallel()
	rows := tableOf(t, "docs/settings.md", "setting")
	for _, row := range readmeTable(t, "setting") {
		assert.Contains(t, rows, row)
	}
}

// TestReadmeCommandsAndPaths: the tables name what the program has, all of it.
func TestReadmeCommandsAndPaths(t *testing.T) {
	t.Parallel()
	code, help, stderr := run(t, t.TempDir(), nil, "--help")
	require.Equal(t, 0, code, stderr)
	_, help, found := strings.Cut(help, "\nCommands:\n")
	require.True(t, found)
	var commands, listed []string
	for _, found := range regexp.MustCompile(`(?m)^  ([a-z]+)`).FindAllStringSubmatch(help, -1) {
		commands = append(commands, found[1])
	}
	for _, row := range readmeTable(t, "command") {
		for _, found := range regexp.MustCompile("`onhand ([a-z]+)").FindAllStringSubmatch(row[0], -1) {
			listed = append(listed, found[1])
		}
	}
	assert.ElementsMatch(t, commands, listed)
	s := start(t, t.TempDir(), "DATABASE_URL=sqlite::memory:")
	for _, row := range readmeTable(t, "path") {
		path := strings.Trim(row[0], "`")
		if path == "/graphql" {
			path += "?query={__typename}"
		}
		status, _ := s.get(path)
		assert.Equal(t, http.StatusOK, status, path)
	}
	s.stop()
}
