package main

import (
	"bufio"
	"net"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func composeFile(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("compose.yaml")
	require.NoError(t, err)
	return string(raw)
}

// TestComposeIsWhatTheREADMESays compares the images and the account, and requires
// that every port is bound to loopback.
func TestComposeIsWhatTheREADMESays(t *testing.T) {
	t.Parallel()
	text := composeFile(t)
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	images := regexp.MustCompile(`(?m)^    image: (\S+)$`).FindAllStringSubmatch(text, -1)
	require.Len(t, images, 2)
	for i, program := range []string{"postgres", "redis"} {
		needed := regexp.MustCompile(`(?i)` + program + ` (\d+) or newer`).FindSubmatch(readme)
		require.NotNil(t, needed, program)
		least, err := strconv.Atoi(string(needed[1]))
		require.NoError(t, err)
		name, tag, _ := strings.Cut(images[i][1], ":")
		assert.Equal(t, program, name)
		version, err := strconv.Atoi(tag)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, version, least, program)
	}
	assert.Contains(t, string(readme), "[compose.yaml](compose.yaml)")

	ports := regexp.MustCompile(`(?m)^    ports: \["([^"]+)"\]$`).FindAllStringSubmatch(text, -1)
	require.Len(t, ports, strings.Count(text, "ports:"))
	for _, port := range ports {
		assert.True(t, strings.HasPrefix(port[1], "127.0.0.1:"), port[1])
	}

	found := regexp.MustCompile(`DATABASE_URL='([^']+)'`).FindStringSubmatch(text)
	require.NotNil(t, found)
	address, err := url.Parse(found[1])
	require.NoError(t, err)
	password, _ := address.User.Password()
	assert.Contains(t, text, "POSTGRES_USER: "+address.User.Username()+"\n")
	assert.Contains(t, text, "POSTGRES_PASSWORD: ${ONHAND_POSTGRES_PASSWORD:-"+password+"}\n")
	assert.Contains(t, text, "POSTGRES_DB: "+strings.TrimPrefix(address.Path, "/")+"\n")
}

// TestComposeRedisStarts runs the Redis command of compose.yaml, and reads back the
// settings that it gives.
func TestComposeRedisStarts(t *testing.T) {
	t.Parallel()
	list := regexp.MustCompile(`(?ms)^    command:\n(.*?)^    \w`).FindStringSubmatch(composeFile(t))
	require.NotNil(t, list)
	var words []string
	for _, item := range regexp.MustCompile(`(?m)^      - (""|"no"|\S+)`).FindAllStringSubmatch(list[1], -1) {
		words = append(words, strings.Trim(item[1], `"`))
	}
	require.Equal(t, "redis-server", words[0])
	path, err := exec.LookPath(words[0])
	if err != nil && os.Getenv("ONHAND_TEST_SERVERS") == "embedded" {
		t.Skip("skipped, for ONHAND_TEST_SERVERS=embedded: ", err)
	}
	require.NoError(t, err)
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), path, append(words[1:], "--port", port, "--bind", "127.0.0.1")...)
	c.Dir = t.TempDir()
	output, err := c.StdoutPipe()
	require.NoError(t, err)
	c.Stderr = c.Stdout
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	said := ""
	for lines := bufio.NewScanner(output); !strings.Contains(said, "Ready to accept connections"); said += lines.Text() + "\n" {
		require.True(t, lines.Scan(), "redis ended: %s", said)
	}
	connection, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer connection.Close()
	require.NoError(t, connection.SetDeadline(time.Now().Add(patience)))
	answers := bufio.NewReader(connection)
	for setting, want := range map[string]string{"maxmemory": "268435456", "maxmemory-policy": "allkeys-lru", "save": "", "appendonly": "no"} {
		_, err := connection.Write([]byte("CONFIG GET " + setting + "\r\n"))
		require.NoError(t, err)
		var got string // *2, $n, name, $n, value
		for range 5 {
			got, err = answers.ReadString('\n')
			require.NoError(t, err)
		}
		assert.Equal(t, want, strings.TrimSpace(got), setting)
	}
}
