package configfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/cli/configfile"
)

var names = []string{"listen-addr", "auth-secret", "auth-secret-file", "rate-reads", "playground"}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "onhand.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// TestRefusedFiles: every mistake of a file is told with its line, and no message has a value in it.
func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"listen-adr: hunter2\nplay-ground: hunter2\n": `line 1: "listen-adr" is no setting; is it listen-addr?` + "\n" + `line 2: "play-ground" is no setting; is it playground?`,
		"LISTEN_ADDR: hunter2":                        `line 1: "LISTEN_ADDR" is no setting; is it listen-addr?`,
		"nothing-like-it-at-all: hunter2":             `line 1: "nothing-like-it-at-all" is no setting`,
		"auth-secret: hunter2\nauth-secret: hunter2":  "line 2: auth-secret is there twice",
		"\nauth-secret: {value: hunter2}":             "line 2: auth-secret must be one value or a list of values",
		"auth-secret:":                                "line 1: auth-secret must be one value or a list of values",
		"auth-secret: [[hunter2]]":                    "line 1: auth-secret has an item that is no single value",
		"auth-secret: ['hunter2,hunter2']":            "line 1: auth-secret has an item that is no single value",
		"auth-secret: &a hunter2\nrate-reads: *a":     "line 2: rate-reads must be one value or a list of values",
		"- hunter2":                                  "it must be a mapping from names of settings to values",
		"a: b\nauth-secret: [hunter2":                "it is no YAML: line 1",
		"auth-secret: *hunter2":                      "it is no YAML",
		"auth-secret: " + strings.Repeat("h", 1<<18): "is larger than 262144 bytes",
	} {
		_, err := configfile.Read(file(t, text), names)
		if assert.ErrorContains(t, err, want, text) {
			assert.NotContains(t, err.Error(), "hunter2", text)
		}
	}
	_, err := configfile.Read(filepath.Join(t.TempDir(), "none.yaml"), names)
	require.ErrorContains(t, err, "none.yaml")
}

// TestAcceptedFiles: YAML and JSON, an empty file, and one with comments alone.
func TestAcceptedFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":               nil,
		"# nothing\n":    nil,
		"---\n":          nil,
		"playground: on": {"playground"},
		`{"playground": "on", "listen-addr": "a:1"}`: {"listen-addr", "playground"},
	} {
		read, err := configfile.Read(file(t, text), names)
		if text == "---\n" {
			require.ErrorContains(t, err, "must be a mapping")
			continue
		}
		require.NoError(t, err, text)
		assert.Equal(t, want, read.Names(), text)
	}
}

// TestResolve: values are taken as they are written, and a setting of the command line or the environment counts before
// the file, also with the other one of a pair.
func TestResolve(t *testing.T) {
	var line struct {
		ListenAddr     string   `env:"TEST_LISTEN_ADDR" default:"default"`
		Playground     string   `env:"TEST_PLAYGROUND"`
		AuthSecret     string   `env:"TEST_AUTH_SECRET"`
		AuthSecretFile string   `env:"TEST_AUTH_SECRET_FILE"`
		RateReads      []string `env:"TEST_RATE_READS"`
		Format         string   // of this command alone
	}
	read := func(text string, args ...string) {
		t.Helper()
		resolver, err := configfile.Read(file(t, text), append(names, "format"))
		require.NoError(t, err)
		parser, err := kong.New(&line, kong.Resolvers(resolver))
		require.NoError(t, err)
		_, err = parser.Parse(args)
		require.NoError(t, err)
	}
	read("playground: off\nlisten-addr: 010\nrate-reads: [1/1m, 2]\nauth-secret: s\nformat: csv")
	assert.Equal(t, []string{"off", "010", "1/1m 2", "s", ""}, []string{line.Playground, line.ListenAddr, strings.Join(line.RateReads, " "), line.AuthSecret, line.Format})
	read("")
	assert.Equal(t, "default", line.ListenAddr)
	read("listen-addr: file", "--listen-addr=flag")
	assert.Equal(t, "flag", line.ListenAddr)
	read("auth-secret: file", "--auth-secret-file=flag")
	assert.Equal(t, []string{"", "flag"}, []string{line.AuthSecret, line.AuthSecretFile})
	t.Setenv("TEST_LISTEN_ADDR", "variable")
	t.Setenv("TEST_AUTH_SECRET", "variable")
	read("listen-addr: file\nauth-secret-file: file")
	assert.Equal(t, []string{"variable", "variable", ""}, []string{line.ListenAddr, line.AuthSecret, line.AuthSecretFile})
}
