package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// The variants of the server that scenarios start.
const (
	// Usual is the program as it is shipped.
	Usual = ""
	// PlantedRace is the program with a check-then-act race in it: levels are read without their locks. Only the test of
	// the checkers starts it.
	PlantedRace = "plantedrace"
)

// parent is the directory of the product's module, seen from where go test runs this package.
const parent = ".."

// binaries are the built programs, one a variant, in one directory that goes with the test process.
var binaries struct {
	mu        sync.Mutex
	directory string
	built     map[string]string
}

// binary returns the path of the program, built when it is first asked for.
func binary(t testing.TB, variant string) string {
	t.Helper()
	binaries.mu.Lock()
	defer binaries.mu.Unlock()
	if path := binaries.built[variant]; path != "" {
		return path
	}
	if binaries.directory == "" {
		directory, err := os.MkdirTemp("", "onhand-faults-")
		if err != nil {
			t.Fatalf("a place for the program: %v", err)
		}
		binaries.directory, binaries.built = directory, map[string]string{}
	}
	path := filepath.Join(binaries.directory, "onhand"+variant)
	arguments := []string{"build", "-o", path}
	if *serverRace {
		arguments = append(arguments, "-race")
	}
	if variant != Usual {
		arguments = append(arguments, "-tags", variant)
	}
	command := exec.Command("go", append(arguments, ".")...)
	command.Dir = parent
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v\n%s", err, output)
	}
	binaries.built[variant] = path
	return path
}

// removeBinaries tidies up at the end of the test process.
func removeBinaries() error {
	binaries.mu.Lock()
	defer binaries.mu.Unlock()
	if binaries.directory == "" {
		return nil
	}
	if err := os.RemoveAll(binaries.directory); err != nil {
		return fmt.Errorf("the built programs: %w", err)
	}
	return nil
}
