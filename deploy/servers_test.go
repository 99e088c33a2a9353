package deploy_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/deploy"
	"onhand/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

func script(t *testing.T, environment []string, path ...string) *exec.Cmd {
	t.Helper()
	full, err := filepath.Abs(filepath.Join(append([]string{root}, path...)...))
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), full)
	command.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environment...)
	command.Dir = t.TempDir()
	return command
}

// TestSecrets: the script makes every variable that compose.yaml requires, others each time, readable by its owner alone, and
// replaces none. Without it compose.yaml says to run it.
func TestSecrets(t *testing.T) {
	t.Parallel()
	compose := read(t, "compose.yaml")
	made := func() (text, path string) {
		command := script(t, nil, "scripts", "secrets")
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s", out)
		path = filepath.Join(command.Dir, ".env")
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		again := script(t, nil, "scripts", "secrets")
		again.Dir = command.Dir
		out, err = again.CombinedOutput()
		require.NoError(t, err)
		assert.Contains(t, string(out), "stays as it is")
		same, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, raw, same)
		return string(raw), path
	}
	text, path := made()
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	other, _ := made()
	value := func(text, name string) string {
		found := regexp.MustCompile(`(?m)^export ` + name + `='([0-9a-f]{48})'$`).FindStringSubmatch(text)
		require.NotNil(t, found, name)
		return found[1]
	}
	required := regexp.MustCompile(`\$\{(\w+):\?run scripts/secrets first\}`).FindAllStringSubmatch(compose, -1)
	require.Len(t, required, strings.Count(compose, "${")-6, "all but three ports, the image and twice the network")
	for _, found := range required {
		assert.NotEqual(t, value(text, found[1]), value(other, found[1]), found[1])
	}
	assert.Contains(t, text, "DATABASE_URL='postgres://onhand_owner:"+value(text, "ONHAND_OWNER_PASSWORD")+"@127.0.0.1:5432/onhand?")
	assert.Contains(t, text, "REDIS_URL='redis://onhand:"+value(text, "ONHAND_REDIS_PASSWORD")+"@127.0.0.1:6379/0'")
	assert.Contains(t, read(t, ".gitignore"), "\n.env\n")
	assert.Contains(t, read(t, ".dockerignore"), ".env\n")
}

// TestCompose: ports are on loopback addresses, versions are those that the README asks for, and the two instances differ in
// nothing.
func TestCompose(t *testing.T) {
	t.Parallel()
	compose := parsed(t, "compose.yaml")
	services := at(t, compose, "services").(document)
	assert.Equal(t, services["onhand1"], services["onhand2"])
	readme := read(t, "README.md")
	for _, name := range []string{"postgres", "redis"} {
		image := strings.Split(at(t, services, name, "image").(string), ":")
		least := regexp.MustCompile(`(?i)` + name + ` (\d+) or newer`).FindStringSubmatch(readme)
		require.NotNil(t, least, name)
		assert.GreaterOrEqual(t, image[1], least[1], name)
		assert.NotContains(t, services[name], "profiles", "it starts without a profile")
	}
	published := 0
	for name, service := range services {
		if ports, ok := service.(document)["ports"]; ok {
			published++
			assert.True(t, strings.HasPrefix(at(t, ports, 0).(string), "127.0.0.1:"), name)
		}
		if name != "postgres" && name != "redis" {
			assert.Equal(t, []any{"shop"}, at(t, service, "profiles"), name)
		}
	}
	assert.Equal(t, 3, published)
	subnet := at(t, compose, "networks", "default", "ipam", "config", 0, "subnet")
	assert.Equal(t, subnet, at(t, services, "onhand1", "environment", "TRUSTED_PROXIES"))
	for i, file := range []string{"postgres/accounts.sql", "postgres/passwords.sh"} {
		assert.True(t, strings.HasPrefix(at(t, services, "postgres", "volumes", i+1).(string), "./deploy/"+file+":"), file)
	}
}

// TestPasswordsOfPostgres: the script gives both accounts a password, and without one says how to make it.
func TestPasswordsOfPostgres(t *testing.T) {
	t.Parallel()
	server := storetest.PrivatePostgres(t)
	config, err := pgx.ParseConfig(server.DSN("postgres"))
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(hostOf(server.DSN("postgres")))
	require.NoError(t, err)
	address := []string{"PGHOST=" + config.Host, "PGPORT=" + port, "PGUSER=postgres", "PGDATABASE=postgres"}
	out, err := script(t, address, "deploy", "postgres", "passwords.sh").CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "openssl rand -hex 32")
	out, err = script(t, append(address, "ONHAND_OWNER_PASSWORD=it's", `ONHAND_SERVER_PASSWORD=a"b`), "deploy", "postgres", "passwords.sh").CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Empty(t, string(out))
	connection, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	defer func() { _ = connection.Close(context.Background()) }()
	var encrypted int
	require.NoError(t, connection.QueryRow(t.Context(), `SELECT count(*) FROM pg_authid WHERE rolname IN ('onhand_owner', 'onhand_server') AND rolpassword LIKE 'SCRAM-SHA-256$%'`).Scan(&encrypted))
	assert.Equal(t, 2, encrypted)
}

func hostOf(dsn string) string {
	_, rest, _ := strings.Cut(dsn, "@")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// TestStartOfRedis: the script starts a Redis that evicts and keeps nothing, which lets the account onhand in with its
// password and nobody else. Without a password it says how to make one.
func TestStartOfRedis(t *testing.T) {
	t.Parallel()
	storetest.Redis(t) // skips where there is none and none is needed
	out, err := script(t, nil, "deploy", "redis", "start.sh").CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "openssl rand -hex 32")
	assert.NotRegexp(t, `[>#]\S`, strings.Fields(deploy.RedisUsers)[3], "a password")

	directory := t.TempDir()
	socket := filepath.Join(directory, "s")
	command := script(t, []string{"REDIS_PASSWORD=correct", "REDIS_DIRECTORY=" + directory}, "deploy", "redis", "start.sh")
	command.Args = append(command.Args, "--port", "0", "--unixsocket", socket)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	client := func(account, password string) *redis.Client {
		c := redis.NewClient(&redis.Options{Network: "unix", Addr: socket, Username: account, Password: password, Protocol: 2, DisableIdentity: true, MaxRetries: -1})
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	onhand := client("onhand", "correct")
	require.Eventually(t, func() bool { return onhand.Ping(t.Context()).Err() == nil }, patience, 10*time.Millisecond)
	require.NoError(t, onhand.HSet(t.Context(), "inventory:mug", "quantity", 1).Err())
	require.ErrorContains(t, onhand.FlushAll(t.Context()).Err(), "NOPERM")
	require.ErrorContains(t, client("", "").Ping(t.Context()).Err(), "NOAUTH")
	require.ErrorContains(t, client("onhand", "wrong").Ping(t.Context()).Err(), "WRONGPASS")
	info := onhand.Info(t.Context(), "memory", "persistence").Val()
	for _, want := range []string{"maxmemory:268435456", "maxmemory_policy:allkeys-lru", "aof_enabled:0"} {
		assert.Contains(t, info, want)
	}
}

// TestConfigurationsAreValid: haproxy and systemd accept their files, where they are installed.
func TestConfigurationsAreValid(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]func(t *testing.T, program string) *exec.Cmd{
		"haproxy": func(t *testing.T, program string) *exec.Cmd {
			command := exec.CommandContext(t.Context(), program, "-c", "-f", root+"/deploy/haproxy/haproxy.cfg")
			command.Env = []string{"ONHAND_BIND=127.0.0.1:8080", "ONHAND_1=127.0.0.1:8081", "ONHAND_2=127.0.0.1:8082"}
			return command
		},
		"systemd-analyze": func(t *testing.T, program string) *exec.Cmd {
			folder := t.TempDir()
			arguments := []string{"verify", "--man=no"}
			for _, unit := range []string{"onhand.service", "onhand-migrate.service"} {
				path := filepath.Join(folder, unit) // with a program that exists here
				text := strings.ReplaceAll(read(t, "deploy/systemd", unit), "/usr/local/bin/onhand", program)
				require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
				arguments = append(arguments, path)
			}
			return exec.CommandContext(t.Context(), program, arguments...)
		},
		// The exposure that docs/running.md names, in tenths.
		"systemd-analyze security": func(t *testing.T, program string) *exec.Cmd {
			help, err := exec.CommandContext(t.Context(), program, "--help").Output()
			require.NoError(t, err)
			if !strings.Contains(string(help), "--offline") {
				t.Skip("skipped: systemd older than 250 does not rate files")
			}
			return exec.CommandContext(t.Context(), program, "security", "--offline=true", "--threshold=12", root+"/deploy/systemd/onhand.service", root+"/deploy/systemd/onhand-migrate.service")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, _, _ := strings.Cut(name, " ")
			program, err := exec.LookPath(file)
			if err != nil {
				if program, err = exec.LookPath("/usr/sbin/" + file); err != nil {
					t.Skip("skipped: no ", file)
				}
			}
			out, err := check(t, program).CombinedOutput()
			require.NoError(t, err, "%s", out)
			assert.NotContains(t, string(out), "Unknown", "%s", out)
		})
	}
}
