package cli

import (
	"fmt"
	"io"
	"runtime/debug"
)

type versionCommand struct{}

// Run prints the version that the Go tool chain recorded in the binary.
func (*versionCommand) Run(stdout io.Writer) error {
	version := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	fmt.Fprintln(stdout, "onhand", version)
	return nil
}
