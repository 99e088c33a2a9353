package process

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// BuildTag selects a build of the server.
type BuildTag string

// The builds that scenarios start.
const (
	// Usual is the program as it is shipped.
	Usual BuildTag = ""
	// PlantedRace is the program with a check-then-act race in it: levels are read without their locks. Only the test of
	// the checkers starts it.
	PlantedRace BuildTag = "plantedrace"
)

var serverRace = flag.Bool("server-race", false, "build the server with the race detector")

// builds are the built programs, one for each tag, in one directory that is removed with the test process.
var builds struct {
	mu        sync.Mutex
	directory string
	paths     map[BuildTag]string
}

// Build returns the path of the program. It is built once.
func Build(t testing.TB, tag BuildTag) string {
	t.Helper()
	builds.mu.Lock()
	defer builds.mu.Unlock()
	if path := builds.paths[tag]; path != "" {
		return path
	}
	if builds.directory == "" {
		directory, err := os.MkdirTemp("", "onhand-faults-")
		if err != nil {
			t.Fatalf("a directory for the program: %v", err)
		}
		builds.directory, builds.paths = directory, map[BuildTag]string{}
	}
	path := filepath.Join(builds.directory, "onhand"+string(tag))
	arguments := append([]string{"build", "-o", path}, raceFlag()...)
	if tag != Usual {
		arguments = append(arguments, "-tags", string(tag))
	}
	goTool(t, append(arguments, ".")...)
	builds.paths[tag] = path
	return path
}

// RemoveBuilds removes the programs at the end of the test process.
func RemoveBuilds() error {
	builds.mu.Lock()
	defer builds.mu.Unlock()
	if builds.directory == "" {
		return nil
	}
	if err := os.RemoveAll(builds.directory); err != nil {
		return fmt.Errorf("the built programs: %w", err)
	}
	return nil
}

// HasRaceDetector reports whether the server is built with the race detector.
func HasRaceDetector() bool { return *serverRace }

// raceFlag is what -server-race adds to a build.
func raceFlag() []string {
	if *serverRace {
		return []string{"-race"}
	}
	return nil
}

// moduleRoot is the directory of the product's module: the parent of the directory of this module's go.mod.
var moduleRoot = sync.OnceValues(func() (string, error) {
	directory, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; directory = filepath.Dir(directory) {
		if _, err := os.Stat(filepath.Join(directory, "go.mod")); err == nil {
			return filepath.Dir(directory), nil
		}
		if directory == filepath.Dir(directory) {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
	}
})

// goTool runs the go command in the product's module. The race detector needs cgo, which the Makefile switches off.
func goTool(t testing.TB, arguments ...string) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", arguments...)
	command.Dir = root
	if *serverRace {
		command.Env = append(os.Environ(), "CGO_ENABLED=1")
	}
	var complaints strings.Builder
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", arguments[0], err, complaints.String())
	}
	return string(output)
}
