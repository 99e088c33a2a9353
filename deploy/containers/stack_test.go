package containers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// patience is how long a test waits for what must happen.
	patience = time.Minute
	// network is one that nobody else here uses.
	network = "172.31.251.0/24"
)

// stack is compose.yaml with an engine.
type stack struct {
	t       *testing.T
	folder  string // a clone of the repository
	env     []string
	compose string // the path of docker-compose
	address string
	token   string
}

// shell runs commands as the documents write them.
func (s *stack) shell(commands string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", `docker() { if [[ $1 == compose ]]; then "$COMPOSE" "${@:2}"; else command docker "$@"; fi; }`+"\n"+commands)
	command.Dir, command.Env = s.folder, s.env
	var refused strings.Builder
	command.Stderr = &refused
	out, err := command.Output()
	if err != nil {
		logs := exec.Command(s.compose, "--profile", "shop", "logs", "--tail=20")
		logs.Dir, logs.Env = s.folder, s.env
		text, _ := logs.CombinedOutput()
		require.NoError(s.t, err, "%s\n%s%s\n%s", commands, out, refused.String(), text)
	}
	return strings.TrimSpace(string(out))
}

// engine finds an engine, or starts one.
func (s *stack) engine() {
	t := s.t
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("skipped: no docker (Debian, as root: apt-get install docker.io)")
	}
	if exec.Command("docker", "info").Run() == nil {
		return
	}
	dockerd, err := exec.LookPath("dockerd")
	if err != nil || os.Getuid() != 0 {
		t.Skip("skipped: no engine answers, and there is no dockerd to start, or not as this account (Debian, as root: apt-get install docker.io)")
	}
	folder, err := os.MkdirTemp("", "onhand-docker") // sockets have short names
	require.NoError(t, err)
	log, err := os.Create(filepath.Join(folder, "log"))
	require.NoError(t, err)
	daemon := exec.Command(dockerd, "--host=unix://"+folder+"/s", "--data-root="+folder+"/data", "--exec-root="+folder+"/run", "--pidfile="+folder+"/pid",
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
	daemon.Stdout, daemon.Stderr = log, log
	require.NoError(t, daemon.Start())
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }()
	t.Cleanup(func() {
		assert.NoError(t, daemon.Process.Signal(syscall.SIGTERM))
		<-ended
		assert.NoError(t, os.RemoveAll(folder))
	})
	s.env = append(s.env, "DOCKER_HOST=unix://"+folder+"/s")
	for until := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		info := exec.Command("docker", "info")
		info.Env = s.env
		if info.Run() == nil {
			return
		}
		select {
		case err := <-ended:
			ended <- err
			until = time.Time{}
		default:
		}
		if time.Now().After(until) {
			text, _ := os.ReadFile(log.Name())
			t.Skipf("skipped: dockerd does not run on this machine: %s", text[max(0, len(text)-2000):])
		}
	}
}

func newStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{t: t, folder: filepath.Join(t.TempDir(), "onhand"), env: os.Environ()}
	s.engine()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.address = listener.Addr().String()
	require.NoError(t, listener.Close())
	_, port, _ := strings.Cut(s.address, ":")
	s.compose = filepath.Join(t.TempDir(), "docker-compose")
	host := filepath.Join(t.TempDir(), "host.yaml")
	s.env = append(s.env, "COMPOSE="+s.compose, "COMPOSE_PROJECT_NAME=onhand-test", "COMPOSE_FILE=compose.yaml:"+host, "ONHAND_IMAGE=onhand-test", "ONHAND_SUBNET="+network,
		"ONHAND_PORT="+port, "ONHAND_POSTGRES_PORT=0", "ONHAND_REDIS_PORT=0")
	script := `#!/bin/sh` + "\n" + `exec docker compose "$@"` + "\n"
	if exec.Command("docker", "compose", "version").Run() != nil {
		path, err := exec.Command("go", "tool", "-n", "github.com/docker/compose/v2/cmd").Output()
		require.NoError(t, err)
		script = "#!/bin/sh\nexec " + strings.TrimSpace(string(path)) + ` "$@"` + "\n"
	}
	require.NoError(t, os.WriteFile(s.compose, []byte(script), 0o755))
	out, err := exec.Command("bash", "-euo", "pipefail", "-c", `cd ../.. && git clone --quiet . "$1" && (git diff --name-only -z --diff-filter=d HEAD; git ls-files -z --others --exclude-standard) | xargs -0 --no-run-if-empty cp --parents --target-directory="$1"`, "bash", s.folder).CombinedOutput()
	require.NoError(t, err, "%s", out)
	// The module proxy is reached as this machine reaches it.
	require.NoError(t, os.WriteFile(host, []byte("services: {migrate: {build: &build {network: host}}, onhand1: {build: *build}, onhand2: {build: *build}}\n"), 0o600))
	t.Log(s.shell("deploy/containers/images"))
	t.Cleanup(func() {
		down := exec.Command(s.compose, "--profile", "shop", "down", "--volumes", "--timeout=1")
		down.Dir, down.Env = s.folder, s.env
		assert.NoError(t, down.Run())
	})
	return s
}

// ask sends a request through haproxy.
func (s *stack) ask(ctx context.Context, accept, document string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+"/graphql", strings.NewReader(fmt.Sprintf(`{"query": %q}`, document)))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", accept)
	request.Header.Set("Authorization", "Bearer "+s.token)
	return http.DefaultClient.Do(request)
}

// answer is what the server says, or why there is no answer.
func (s *stack) answer(document string) (string, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	response, err := s.ask(ctx, "application/json", document)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || strings.Contains(string(body), `"errors"`)) {
		err = errors.New(response.Status + ": " + string(body))
	}
	return string(body), err
}

func reserving(key string) string {
	return fmt.Sprintf(`mutation { reserveStock(input: {idempotencyKey: %q, lines: [{productId: "22423", quantity: 1}]}) { reservation { id } } }`, key)
}

// watch returns the quantities that a subscription sends.
func (s *stack) watch() <-chan string {
	s.t.Helper()
	response, err := s.ask(s.t.Context(), "text/event-stream", `subscription { stockChanged(productIds: ["22423"]) { quantityAvailable } }`)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = response.Body.Close() })
	require.Equal(s.t, http.StatusOK, response.StatusCode)
	quantities := make(chan string, 100)
	go func() {
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if found := regexp.MustCompile(`"quantityAvailable":(\d+)`).FindStringSubmatch(lines.Text()); found != nil {
				quantities <- found[1]
			}
		}
	}()
	return quantities
}

func (s *stack) next(quantities <-chan string) string {
	s.t.Helper()
	select {
	case quantity := <-quantities:
		return quantity
	case <-time.After(patience):
		require.Fail(s.t, "nothing is sent")
		return ""
	}
}

// TestStack follows the comments of compose.yaml: secrets, all of it, a new version without a failed request. Then the database is
// restarted, and all stops.
func TestStack(t *testing.T) {
	s := newStack(t)
	text, err := os.ReadFile(filepath.Join(s.folder, "compose.yaml"))
	require.NoError(t, err)
	comments := regexp.MustCompile(`(?m)^#   ((?:until )?docker compose .*?)(?:  .*)?$`).FindAllStringSubmatch(string(text), -1)
	require.Len(t, comments, 6)
	began := time.Now()
	s.shell("scripts/secrets; docker compose --profile shop build")
	t.Logf("both stages of the Containerfile: %.0f s", time.Since(began).Seconds())
	began = time.Now()
	s.shell(comments[0][1])
	assert.Equal(t, "postgres\nredis", s.shell("docker compose ps --services --status=running | sort"))
	s.shell(comments[1][1])
	t.Logf("up: %.1f s", time.Since(began).Seconds())
	s.shell("docker compose run --rm migrate demo")
	if s.shell("git status --porcelain") == "" {
		assert.NotContains(t, s.shell("docker run --rm onhand-test version"), "dirty", "the image is built without files of the repository")
	}
	s.token = s.shell("docker compose exec -T onhand1 /onhand token tester --scope=read:inventory,write:inventory")

	quantities := s.watch()
	assert.Equal(t, "58", s.next(quantities))
	_, err = s.answer(reserving("first"))
	require.NoError(t, err)
	assert.Equal(t, "57", s.next(quantities))

	var requests atomic.Int64
	var load sync.WaitGroup
	stop := make(chan struct{})
	ask := func(document string, pause time.Duration) {
		for ; ; requests.Add(1) {
			select {
			case <-stop:
				return
			case <-time.After(pause):
			}
			_, err := s.answer(document)
			assert.NoError(t, err)
		}
	}
	for range 4 {
		load.Go(func() { ask(`{ stock(productId: "22423") { quantityAvailable } }`, 20*time.Millisecond) })
	}
	load.Go(func() { ask(reserving("first"), 500*time.Millisecond) }) // the limit of writes allows no more
	s.shell(comments[2][1])
	s.shell(`printf 'FROM onhand-test\nLABEL of=another\n' | docker build --quiet --tag onhand-test -`) // another image, as a new version gives
	for _, comment := range comments[3:] {
		s.shell(comment[1])
	}
	before := requests.Load()
	require.Eventually(t, func() bool { return requests.Load() > before+100 }, patience, 10*time.Millisecond)
	close(stop)
	load.Wait()
	t.Logf("%d requests while both instances were replaced", requests.Load())
	assert.Equal(t, "another another", s.shell(`docker inspect --format='{{.Config.Labels.of}}' $(docker compose ps --quiet onhand1 onhand2) | xargs`))

	s.shell("docker compose restart postgres")
	require.Eventually(t, func() bool {
		_, err := s.answer(reserving("second"))
		return err == nil
	}, patience, 100*time.Millisecond)
	assert.Equal(t, "56", s.next(s.watch()))

	containers := s.shell("docker compose ps --quiet onhand1 onhand2 | xargs")
	s.shell("docker compose stop onhand1 onhand2")
	assert.Equal(t, "0 0", s.shell("docker inspect --format='{{.State.ExitCode}}' "+containers+" | xargs"))
	s.shell("docker compose --profile shop down")
	assert.Empty(t, s.shell("docker compose --profile shop ps --all --quiet"))
}
