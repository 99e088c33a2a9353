package cli

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/store"
)

// TestBrokenURLs: a broken URL is refused, and the message has no password.
func TestBrokenURLs(t *testing.T) {
	t.Parallel()
	for _, s := range []settings{
		{DatabaseURL: "mysql://root:hunter2@localhost/x"},
		{DatabaseURL: "postgres://u:hunter2@localhost:port/x"},
		{DatabaseURL: "sqlite:"},
		{DatabaseURL: "sqlite::memory:", RedisURL: "http://u:hunter2@localhost"},
		{DatabaseURL: "sqlite::memory:", RedisURL: "redis://u:hunter2@localhost:port"},
	} {
		st, err := s.open(store.Config{})
		if st != nil {
			st.Close()
		}
		if assert.Error(t, err, "%+v", s) {
			assert.NotContains(t, err.Error(), "hunter2")
		}
	}
}

// TestSettings: flags reach the commands, and bad ones are refused.
func TestSettings(t *testing.T) {
	t.Parallel()
	c, _, err := parse(t, "--listen-addr=127.0.0.1:1", "--reservation-ttl=90s", "--reservation-ttl-max=2h", "--database-url=sqlite:x.db", "--redis-url=redis://r", "--log-level=warn", "--log-format=json", "--compiled-reads=off", "--near-cache-bytes=7")
	require.NoError(t, err)
	want := usualSettings(t, "127.0.0.1:1")
	want.ReservationTTL, want.ReservationTTLMax, want.CompiledReads, want.NearCacheBytes = 90*time.Second, 2*time.Hour, "off", 7
	assert.Equal(t, want, c.Serve.Settings)
	assert.Equal(t, settings{DatabaseURL: "sqlite:x.db", RedisURL: "redis://r", LogLevel: "warn", LogFormat: "json"}, c.settings)
	assert.True(t, c.logger().Enabled(t.Context(), slog.LevelWarn))
	assert.False(t, c.logger().Enabled(t.Context(), slog.LevelInfo))

	for _, args := range [][]string{
		{"--log-level=loud"}, {"--log-format=xml"}, {"--compiled-reads=maybe"}, {"--profile=staging"}, {"--playground=admin"}, {"--trusted-documents-only=yes"}, {"--reservation-ttl=soon"}, {"--reservation-ttl=15"}, {"--no-such-flag"}, {"no-such-command"},
		{"import"}, {"import", "settings.go", "--opening=2"}, {"import", "settings.go", "--format=xml"},
	} {
		_, _, err := parse(t, args...)
		assert.Error(t, err, "%v", args)
	}
}

// TestDemoShop: whether an empty database gets the demo shop depends on the database
// alone, with tokens or without.
func TestDemoShop(t *testing.T) {
	t.Parallel()
	for url, demo := range map[string]bool{"": true, "sqlite::memory:": true, "sqlite:shop.db": false, "postgres://db.example/stock": false} {
		for _, args := range [][]string{{}, {"--auth-secret=" + strings.Repeat("s", 32)}, {"--profile=production", "--playground=off"}, {"--redis-url=redis://r"}} {
			c, _, err := parse(t, append(args, "--database-url="+url)...)
			require.NoError(t, err)
			assert.Equal(t, demo, c.usesDemo(), "%q %v", url, args)
		}
	}
}

// TestLogFormat: the log is text, or one JSON object a line; so is the error with
// which a command ends.
func TestLogFormat(t *testing.T) {
	t.Parallel()
	lines := func(args ...string) string {
		var text strings.Builder
		c, _, err := parse(t, args...)
		require.NoError(t, err)
		c.loggerTo(&text).Info("started", "address", "127.0.0.1:8080")
		(&Command{line: c}).Report(&text, errors.New("no such database"))
		return text.String()
	}
	text := lines("--log-level=info")
	assert.Contains(t, text, "level=INFO msg=started address=127.0.0.1:8080\n")
	assert.Contains(t, text, "\nonhand: no such database\n")
	var messages []string
	for line := range strings.Lines(lines("--log-format=json", "--compiled-reads=off")) {
		var entry struct{ Level, Msg, Address, Error string }
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		messages = append(messages, entry.Level+" "+entry.Msg+" "+entry.Address+entry.Error)
	}
	assert.Equal(t, []string{"INFO started 127.0.0.1:8080", "ERROR ended no such database"}, messages)
}

// TestServersWithoutSecrets: the log says where database and Redis are, without
// passwords.
func TestServersWithoutSecrets(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"sqlite::memory:":             "sqlite::memory:",
		"sqlite:/var/lib/onhand.db":   "sqlite:/var/lib/onhand.db",
		"postgres://db.example/stock": "postgres://db.example/stock",
		"postgres://u:hunter2@a:5432,b:5432/stock?target_session_attrs=primary": "postgres://a:5432,b:5432/stock",
		"postgres://u:hunter2/@x@a/stock":                                       "postgres://a/stock",
		"postgres:///stock?host=/run&password=hunter2":                          "postgres:///stock",
	} {
		database, redis := (&settings{DatabaseURL: url}).servers()
		assert.Equal(t, want, database)
		assert.Equal(t, "inside this process", redis)
	}
	_, redis := (&settings{DatabaseURL: memoryDatabase, RedisURL: "rediss://:hunter2@a:6379,b:6379/0?cluster=true"}).servers()
	assert.Equal(t, "rediss://a:6379,b:6379/0", redis)
}

// TestEverySettingHasItsVariable: each flag of the server has an environment
// variable of the same name; CONFIG alone would be any program's.
func TestEverySettingHasItsVariable(t *testing.T) {
	t.Parallel()
	parser, err := newParser(&commandLine{})
	require.NoError(t, err)
	for _, command := range parser.Model.Leaves(false) {
		if command.Name != "serve" {
			continue
		}
		for _, flag := range slices.Concat(command.AllFlags(false)...) {
			if flag.Name == "help" {
				continue
			}
			want := strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
			if flag.Name == configFlag {
				want = "ONHAND_CONFIG"
			}
			assert.Equal(t, []string{want}, flag.Envs)
			assert.NotEmpty(t, flag.Help, want)
		}
	}
}

// TestEverySecretHasItsFile: a setting that may have a secret has another one that names a file with
// it. Those are the URLs of the servers and what the help calls visible as a flag.
func TestEverySecretHasItsFile(t *testing.T) {
	t.Parallel()
	parser, err := newParser(&commandLine{})
	require.NoError(t, err)
	names, secrets := map[string]bool{}, []string{"database-url", "database-read-url", "redis-url"}
	for _, flag := range serveFlags(parser.Model) {
		names[flag.Name] = true
		if strings.Contains(flag.Help, "visible to other users") {
			secrets = append(secrets, flag.Name)
		}
	}
	require.Subset(t, secrets, []string{"auth-secret", "simulated-shoppers-token", "otel-exporter-otlp-headers"})
	for _, name := range secrets {
		assert.True(t, names[name+"-file"], name)
	}
}

// TestURLsInFiles: a URL with a password may be in a file. The help shows no value of the
// environment.
func TestURLsInFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(path, []byte("postgres://u:hunter2@db/x\n"), 0o600))
	c, _, err := parse(t, "--database-url-file="+path)
	require.NoError(t, err)
	assert.Equal(t, "postgres://u:hunter2@db/x", c.DatabaseURL)
	_, _, err = parse(t, "--database-url-file="+path, "--database-url=sqlite:x.db")
	require.ErrorContains(t, err, "database-url and database-url-file do not go together")
	_, _, err = parse(t, "--redis-url-file="+path+".none")
	require.ErrorContains(t, err, "redis-url-file")

	for _, name := range []string{"DATABASE_URL", "REDIS_URL", "AUTH_SECRET", "SIMULATED_SHOPPERS_TOKEN", "OTEL_EXPORTER_OTLP_HEADERS"} {
		t.Setenv(name, "hunter2")
	}
	for _, command := range []string{"serve", "migrate", "token"} {
		var help strings.Builder
		parser, err := newParser(&commandLine{}, kong.Exit(func(int) {}), kong.Writers(&help, &help))
		require.NoError(t, err)
		_, _ = parser.Parse([]string{command, "--help"})
		assert.Contains(t, help.String(), "DATABASE_URL")
		assert.NotContains(t, help.String(), "hunter2")
	}
}

// TestDurationsInTheLog: a duration is the same text in both formats of the log.
func TestDurationsInTheLog(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{"json": `"for":"1.5s"`, "text": `for=1.5s`} {
		var log strings.Builder
		(&settings{LogFormat: format}).loggerTo(&log).Info("waiting", "for", 1500*time.Millisecond, slog.Group("more", "for", time.Minute))
		assert.Contains(t, log.String(), want)
		assert.Contains(t, log.String(), "1m0s")
	}
}
