package testbed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// buildTimeout bounds a build of the server.
const buildTimeout = 5 * time.Minute

// RunCommand runs the command of a benchmark. Ctrl-C ends its context, and a second one
// the program. After an error the program exits with 1.
func RunCommand(parsed *kong.Context) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// BuildServer builds the server of this repository in a temporary folder, which remove
// removes, with these build tags. It returns the path of the program.
func BuildServer(ctx context.Context, tags ...string) (program string, remove func(), err error) {
	folder, err := os.MkdirTemp("", "onhand-bench-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(folder) } // a temporary folder
	program = filepath.Join(folder, "onhand")
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	if output, err := exec.CommandContext(ctx, "go", "build", "-tags="+strings.Join(tags, ","), "-o", program, "onhand").CombinedOutput(); err != nil {
		remove()
		return "", nil, fmt.Errorf("build the server: %w: %s", err, output)
	}
	return program, remove, nil
}
