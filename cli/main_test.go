package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain removes the settings of this machine from the environment, so that no
// test reaches its servers, and looks for goroutines that were left behind.
func TestMain(m *testing.M) {
	line := &commandLine{}
	parser, err := newParser(line)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, flags := range parser.Model.Leaves(false) {
		for _, group := range flags.AllFlags(false) {
			for _, flag := range group {
				for _, name := range flag.Envs {
					_ = os.Unsetenv(name)
				}
			}
		}
	}
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// parse reads a command line without ending the process for a mistake.
func parse(t *testing.T, args ...string) (*commandLine, *kong.Context, error) {
	t.Helper()
	line := &commandLine{}
	parser, err := newParser(line, kong.Exit(func(int) {}), kong.Writers(io.Discard, io.Discard))
	require.NoError(t, err)
	parsed, err := parser.Parse(args)
	return line, parsed, err
}

// run runs a command in this process.
func run(ctx context.Context, t *testing.T, stdout io.Writer, args ...string) error {
	t.Helper()
	line, parsed, err := parse(t, args...)
	require.NoError(t, err)
	return newCommand(line, parsed, strings.NewReader(""), outputs{stdout, io.Discard}).Run(ctx)
}

// testServer is a serve command that runs in this process.
type testServer struct {
	t       *testing.T
	address string
	stop    func() // waits for the end
}

// serve starts the command on a free port and waits until it is ready.
func serve(t *testing.T, args ...string) *testServer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, t, writer, append([]string{"serve", "--listen-addr=127.0.0.1:0"}, args...)...)
		_ = writer.CloseWithError(errors.Join(io.EOF, err))
		done <- err
	}()
	stop := func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(t, err)
			done <- nil
		case <-time.After(patience):
			require.Fail(t, "the server does not end")
		}
	}
	t.Cleanup(cancel)
	ready, err := bufio.NewReader(reader).ReadString('\n')
	require.NoError(t, err)
	found := regexp.MustCompile(`^Onhand is ready: http://(\S+) `).FindStringSubmatch(ready)
	require.NotNil(t, found, ready)
	return &testServer{t: t, address: found[1], stop: stop}
}

func (s *testServer) post(query string) string {
	s.t.Helper()
	raw, err := json.Marshal(map[string]string{"query": query})
	require.NoError(s.t, err)
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.address+"/graphql", bytes.NewReader(raw))
	require.NoError(s.t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return string(body)
}
