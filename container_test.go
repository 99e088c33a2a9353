package main

import (
	"bufio"
	"debug/elf"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestContainer builds the binary with the command of the Containerfile, and runs it as the
// image does: alone in the file system, which it may not write to, as an account without
// rights.
func TestContainer(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the image is for Linux")
	}
	raw, err := os.ReadFile("Containerfile")
	require.NoError(t, err)
	build := regexp.MustCompile(`(?m)^RUN CGO_ENABLED=0 go build (.*) -o /onhand \.$`).FindSubmatch(raw)
	require.NotNil(t, build)
	root := t.TempDir()
	path := filepath.Join(root, "onhand")
	command := exec.CommandContext(t.Context(), "go", append(append([]string{"build"}, strings.Fields(string(build[1]))...), "-o", path, ".")...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	binary, err := elf.Open(path)
	require.NoError(t, err)
	for _, program := range binary.Progs {
		assert.NotEqual(t, elf.PT_INTERP, program.Type, "an image from scratch has no dynamic linker")
	}
	require.NoError(t, binary.Close())

	if os.Getuid() != 0 {
		t.Skip("only root can give a process another root folder and account")
	}
	account := regexp.MustCompile(`(?m)^USER (\d+):`).FindSubmatch(raw)
	require.Equal(t, "65532", string(account[1]))
	for folder := root; folder != os.TempDir(); folder = filepath.Dir(folder) {
		require.NoError(t, os.Chmod(folder, 0o755)) // the folders above, which TempDir made for us alone
	}
	server := exec.CommandContext(t.Context(), "/onhand")
	server.Env = []string{"LISTEN_ADDR=127.0.0.1:0", "DATABASE_URL=sqlite::memory:"}
	server.Dir = "/"
	server.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	server.Stderr = os.Stderr
	stdout, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	address := regexp.MustCompile(`http://\S+`).FindString(line)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/graphql?query={stocks(productIds:[%2222423%22]){quantityAvailable}}", http.NoBody)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	require.NoError(t, answer.Body.Close())
	require.NoError(t, server.Process.Signal(syscall.SIGTERM))
	require.NoError(t, server.Wait())
	files, err := os.ReadDir(root)
	require.NoError(t, err)
	assert.Len(t, files, 1, "the server writes no file")
}
