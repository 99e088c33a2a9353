package cli

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/settings.md from the flags")

// settingsPage is the page of the settings, before and after the table.
const settingsPageHead = `# Settings

A setting is a flag (` + "`--listen-addr`" + `), an environment variable (` + "`LISTEN_ADDR`" + `) or an entry of the configuration file (` + "`listen-addr`" + `), in this order:
the flag counts before the variable, the variable before the file, the file before the default.
` + "`onhand serve --help`" + ` prints the same list. ` + "`go test ./cli -run TestSettingsPage -update`" + ` writes this page from the code.
A duration is a number with its unit, such as ` + "`90s`, `15m` or `24h`" + `.

| setting | default | meaning |
|---|---|---|
`

const settingsPageTail = `
## The configuration file

` + "`--config FILE`" + `, or ` + "`ONHAND_CONFIG`" + `, names a file in YAML (or JSON, which is YAML):

` + "```yaml" + `
listen-addr: 0.0.0.0:8080
allowed-hosts: [shop.example.com, "*.example.com"]
auth-secret-file: /run/secrets/onhand_auth_secret
database-url-file: /run/secrets/onhand_database_url
redis-url-file: /run/secrets/onhand_redis_url
reservation-ttl: 20m
log-format: json
` + "```" + `

- The names are those of the flags. A name that is no setting is refused, with its line and the nearest name.
- All commands take the same file: each one reads the settings that it has.
- Values are taken as they are written: ` + "`off` is the word, `010`" + ` has three characters. A list stands for a value with commas.
- The file is read once, at the start, and has 256 KiB at most. It contains neither anchors nor several documents.

## Secrets

There is no default secret. A secret may be in a file of its own, so that neither the process list nor the environment shows it:
` + "`AUTH_SECRET_FILE`, `DATABASE_URL_FILE`, `REDIS_URL_FILE`, `GATEWAY_KEY_FILE`, `SIMULATED_SHOPPERS_TOKEN_FILE`, `OTEL_EXPORTER_OTLP_HEADERS_FILE`" + `. A setting and its file do not go together on one level; a flag or variable with one of
the two counts before the other one in the configuration file. To make a secret: ` + "`openssl rand -hex 32`" + `.
`

// TestSettingsPage: docs/settings.md is what the flags give.
func TestSettingsPage(t *testing.T) {
	t.Parallel()
	parser, err := newParser(&commandLine{})
	require.NoError(t, err)
	var page strings.Builder
	page.WriteString(settingsPageHead)
	for _, setting := range serveFlags(parser.Model) {
		meaning := asCode(setting.Help, setting.Enum)
		if more := setting.Tag.Get("more"); more != "" {
			meaning = strings.TrimSuffix(meaning, ".") + " (" + more + ")."
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s |\n", setting.Envs[0], defaultOf(setting), meaning)
	}
	page.WriteString(settingsPageTail)
	path := filepath.Join("..", "docs", "settings.md")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(page.String()), 0o644))
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, page.String(), string(got), "docs/settings.md is out of date: go test ./cli -run TestSettingsPage -update")
}

func defaultOf(setting *kong.Flag) string {
	if setting.Default == "" {
		return "none"
	}
	return "`" + setting.Default + "`"
}

// code matches what a page shows as code: values with a colon, names of variables, headers, schemes and host names with
// a star.
var code = regexp.MustCompile(`(redis|rediss|postgres|https?|sqlite):[^\s,;)]*|\b[a-z]+:[a-z]+\b|[*\w.]+\.example\.com(:\d+)?|\?[a-z]+=\w+|\b[A-Z]+_[A-Z_]+\b|\bX-[A-Z][\w-]+|\B/[a-z]{3,}(\.[a-z]+)?\b`)

func asCode(help, enum string) string {
	help = code.ReplaceAllStringFunc(help, func(found string) string {
		trimmed := strings.TrimRight(found, ".")
		if !strings.Contains(found, "::") {
			trimmed = strings.TrimRight(trimmed, ":")
		}
		return "`" + trimmed + "`" + found[len(trimmed):]
	})
	if enum == "" {
		return help
	}
	return regexp.MustCompile(`\b(`+strings.ReplaceAll(enum, ",", "|")+`)( or|[,:.])`).ReplaceAllString(help, "`$1`$2")
}

// TestConfigFile: every command takes the configuration file, named by the flag or the variable, and reads what it has.
func TestConfigFile(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "settings.md"))
	require.NoError(t, err)
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	require.NotNil(t, example)
	home := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(home, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	url := write("url", "sqlite:shop.db\n")
	text := regexp.MustCompile(`/run/secrets/\w+_url`).ReplaceAllString(string(example[1]), url)
	path := write("onhand.yaml", text)
	c, _, err := parse(t, "--config="+path, "--reservation-ttl=90s")
	require.NoError(t, err)
	require.Equal(t, []string{"0.0.0.0:8080", "json", "sqlite:shop.db", "1m30s"}, []string{c.Serve.ListenAddr, c.LogFormat, c.DatabaseURL, c.Serve.ReservationTTL.String()})
	require.Equal(t, []string{"shop.example.com", "*.example.com"}, c.Serve.AllowedHosts)

	t.Setenv("ONHAND_CONFIG", path)
	t.Setenv("LOG_FORMAT", "text")
	c, _, err = parse(t, "migrate", "--redis-url=redis://other")
	require.NoError(t, err)
	require.Equal(t, []string{"text", "sqlite:shop.db", "redis://other"}, []string{c.LogFormat, c.DatabaseURL, c.RedisURL})
	c, _, err = parse(t, "token", "anna")
	require.NoError(t, err)
	require.Equal(t, "/run/secrets/onhand_auth_secret", c.Token.AuthSecretFile)

	_, _, err = parse(t, "--config="+write("wrong.yaml", "logformat: json"))
	require.ErrorContains(t, err, `line 1: "logformat" is no setting; is it log-format?`)
	_, _, err = parse(t, "--config="+write("value.yaml", "log-level: loud"))
	require.ErrorContains(t, err, `must be one of "debug","info","warn","error"`)
	_, _, err = parse(t, "--config="+write("self.yaml", "config: other.yaml"))
	require.ErrorContains(t, err, `"config" is no setting`)
}
