package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// copiesCallers is how many callers there are, whether one copy serves them or two.
const copiesCallers = 512

// copyCommand is one copy of the server in a process of its own: the program calls itself with it.
type copyCommand struct {
	Database string        `required:""`
	Redis    string        `required:""`
	Prefix   string        `required:""`
	Name     string        `required:""`
	Callers  int           `required:""`
	Warm     time.Duration `required:""`
	Length   time.Duration `required:""`
}

// Run opens the store, says that it is ready, waits for a line, serves its callers, and prints what it measured.
func (c copyCommand) Run(ctx context.Context) error {
	st, err := openStore(c.Database, c.Redis, c.Prefix)
	if err != nil {
		return err
	}
	defer st.Close()
	if err := st.Start(); err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	m, err := run(load{callers: c.Callers, warm: c.Warm, length: c.Length}, c.Name, reserving(st.Write, anyOf(one([]string{"hot"}))))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

// openCopies compares two copies with one, on the same database.
func openCopies(ctx context.Context, b *bench, _ func(string) bool) ([]contender, func() error, error) {
	var o opened
	sh, err := o.shop(ctx, b, []string{"hot"})
	if err != nil {
		return nil, nil, errors.Join(err, o.close())
	}
	sh.store.Close() // the copies serve; what they leave in the outbox is theirs
	var sum measure
	turns := 0
	copies := func(number int) func(load) (measure, error) {
		return func(l load) (measure, error) {
			turns++
			m, err := runCopies(ctx, sh, l, number, turns)
			sum.Acknowledged, sum.Lines, sum.Units = sum.Acknowledged+m.Acknowledged, sum.Lines+m.Lines, sum.Units+m.Units
			return m, err
		}
	}
	// Both sold from the same shelf, so the last audit is that of both.
	audit := func(ctx context.Context, _ measure) error {
		var deadlocks int
		if err := sh.admin.QueryRow(ctx, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").Scan(&deadlocks); err != nil {
			return err
		}
		if deadlocks > 0 {
			return fmt.Errorf("%d deadlocks", deadlocks)
		}
		if sh.store, err = openStore(sh.url, sh.redisURL, sh.name); err != nil {
			return err
		}
		if err := sh.store.Start(); err != nil {
			return err
		}
		defer sh.store.Close()
		return sh.audit(ctx, sum)
	}
	return []contender{{name: ours, turn: copies(2), audit: audit, vacuum: sh.vacuum}, {name: oneCopy, turn: copies(1), audit: func(context.Context, measure) error { return nil }}}, o.close, nil
}

// copyProcess is a copy under way.
type copyProcess struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	stdout  *bufio.Reader
}

func runCopies(ctx context.Context, sh *shop, l load, number, turn int) (measure, error) {
	l.callers /= number
	var list []*copyProcess
	for i := range number {
		c, err := startCopy(ctx, sh, l, fmt.Sprintf("copy%d-%d", turn, i))
		if err != nil {
			return measure{}, err
		}
		list = append(list, c)
	}
	for _, c := range list {
		if _, err := c.stdin.Write([]byte("go\n")); err != nil {
			return measure{}, err
		}
	}
	var total measure
	for _, c := range list {
		var m measure
		if err := errors.Join(json.NewDecoder(c.stdout).Decode(&m), c.command.Wait()); err != nil {
			return measure{}, err
		}
		total = measure{
			PerSecond: total.PerSecond + m.PerSecond, P50: max(total.P50, m.P50), P99: max(total.P99, m.P99),
			Acknowledged: total.Acknowledged + m.Acknowledged, Lines: total.Lines + m.Lines, Units: total.Units + m.Units,
		}
	}
	return total, nil
}

func startCopy(ctx context.Context, sh *shop, l load, name string) (*copyProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, self, "copy", "--database", sh.url, "--redis", sh.redisURL, "--prefix", sh.name, "--name", name,
		"--callers", strconv.Itoa(l.callers), "--warm", l.warm.String(), "--length", l.length.String())
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	c := &copyProcess{command: command, stdin: stdin, stdout: bufio.NewReader(stdout)}
	if line, err := c.stdout.ReadString('\n'); err != nil || line != "ready\n" {
		return nil, errors.Join(fmt.Errorf("a copy did not start: %q", line), err, command.Process.Kill(), command.Wait())
	}
	return c, nil
}
