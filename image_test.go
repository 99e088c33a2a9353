package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var image = flag.Bool("image", false, "make the image with podman, and run a container of it")

// hybrid are the words with which crun refuses a machine with control groups of both versions.
const hybrid = "cgroups in hybrid mode not supported"

// unified runs a command where only control groups of version 2 are seen.
const unified = `umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"`

// containers runs podman with a store of its own.
type containers struct {
	t      *testing.T
	folder string
	prefix []string
}

func (c *containers) command(arguments ...string) *exec.Cmd {
	arguments = append([]string{"podman", "--root=" + c.folder + "/store", "--runroot=" + c.folder + "/run", "--storage-driver=vfs", "--cgroup-manager=cgroupfs"}, arguments...)
	arguments = append(c.prefix[:len(c.prefix):len(c.prefix)], arguments...)
	return exec.CommandContext(c.t.Context(), arguments[0], arguments[1:]...)
}

// run starts a container: read-only, without rights, on the network of this machine.
func (c *containers) run(arguments ...string) *exec.Cmd {
	return c.command(append([]string{"run", "--cgroups=disabled", "--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--cap-drop=ALL", "--read-only"}, arguments...)...)
}

// TestImage makes the image of the Containerfile and runs a container of it. The image of Go cannot be had everywhere, so the
// binary and the certificates of the first stage come from this machine; the second stage is taken as it is.
func TestImage(t *testing.T) {
	if !*image {
		t.Skip("make image runs it")
	}
	if _, err := exec.LookPath("podman"); err != nil || os.Getuid() != 0 {
		t.Skip("no podman (Debian: apt-get install podman crun), or not root")
	}
	c := &containers{t: t, folder: t.TempDir()}
	_, last, found := strings.Cut(document(t, "Containerfile"), "\nFROM scratch\n")
	require.True(t, found)
	binary, err := program()
	require.NoError(t, err)
	stage := filepath.Join(c.folder, "context")
	require.NoError(t, os.MkdirAll(filepath.Join(stage, "etc/ssl/certs"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(stage, "etc/ssl/certs/ca-certificates.crt"), nil, 0o600))
	raw, err := os.ReadFile(binary)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(stage, "onhand"), raw, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(c.folder, "Containerfile"), []byte("FROM scratch AS build\nCOPY . /\n\nFROM scratch\n"+last), 0o600))
	out, err := c.command("build", "--isolation=chroot", "--file="+c.folder+"/Containerfile", "--tag=onhand", stage).CombinedOutput()
	require.NoError(t, err, "%s", out)

	out, err = c.run("--rm", "onhand", "version").CombinedOutput()
	if strings.Contains(string(out), hybrid) {
		c.prefix = []string{"unshare", "--mount", "bash", "-c", unified, "bash"}
		out, err = c.run("--rm", "onhand", "version").CombinedOutput()
	}
	if err != nil && strings.Contains(string(out), "crun") {
		t.Skipf("this machine runs no container: %s", out)
	}
	require.NoError(t, err, "%s", out)
	assert.Regexp(t, `^onhand \S+\n$`, string(out))

	out, err = c.run("--rm", "onhand").CombinedOutput()
	require.Error(t, err, "there is no default secret")
	assert.Contains(t, string(out), "AUTH_SECRET")

	address := freeAddress(t)
	running := c.run("--rm", "--name=onhand", "--env=LISTEN_ADDR="+address, "--env=DATABASE_URL=sqlite::memory:", "onhand")
	running.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, running.Start())
	shop := &server{t: t, address: address}
	require.Eventually(t, func() bool {
		return exec.CommandContext(t.Context(), "curl", "-sf", "http://"+address+"/readyz").Run() == nil
	}, patience, 50*time.Millisecond)
	assert.Contains(t, shop.post(`{ stock(productId: "22423") { quantityAvailable } }`), "58")
	out, err = c.command("stop", "--time=30", "onhand").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, running.Wait(), "a container that is stopped ends with 0")
}
