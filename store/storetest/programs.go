package storetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	// postgresMajorMin is the oldest Postgres that Onhand is tested against.
	postgresMajorMin = 15
	// redisMajorMin is the oldest Redis that Onhand is tested against.
	redisMajorMin = 7
)

// ErrNotInstalled says that the machine lacks the program of a server, or has only one that is too old.
var ErrNotInstalled = errors.New("not installed")

const installAdvice = "install it (Debian: apt-get install postgresql redis-server; macOS: brew install postgresql@17 redis), " +
	"or set ONHAND_TEST_SERVERS=embedded to skip the tests that need it"

// findPostgres returns the directory that holds initdb and postgres.
func findPostgres() (string, error) {
	directory, err := findProgram("postgres", postgresMajorMin, postgresDirectories())
	if err != nil {
		return "", fmt.Errorf("PostgreSQL %d or newer: %w", postgresMajorMin, err)
	}
	return directory, nil
}

// findRedis returns the directory that holds redis-server.
func findRedis() (string, error) {
	directories := append(filepath.SplitList(os.Getenv("PATH")), "/opt/homebrew/bin", "/usr/local/bin", "/usr/bin")
	directory, err := findProgram("redis-server", redisMajorMin, directories)
	if err != nil {
		return "", fmt.Errorf("Redis %d or newer: %w", redisMajorMin, err)
	}
	return directory, nil
}

// findProgram returns the first of directories with a program of that name and a version of at least majorMin.
func findProgram(program string, majorMin int, directories []string) (string, error) {
	var refused []string
	for _, directory := range directories {
		path := filepath.Join(directory, program)
		if _, err := exec.LookPath(path); err != nil {
			continue
		}
		output, err := exec.Command(path, "--version").Output()
		major := majorVersion(string(output))
		switch {
		case err != nil:
			refused = append(refused, fmt.Sprintf("%s does not run: %v", path, err))
		case major < majorMin:
			refused = append(refused, fmt.Sprintf("%s is version %d", path, major))
		default:
			return directory, nil
		}
	}
	found := ""
	if len(refused) > 0 {
		found = " (" + strings.Join(slices.Compact(refused), ", ") + ")"
	}
	return "", fmt.Errorf("%w%s: %s", ErrNotInstalled, found, installAdvice)
}

// postgresDirectories lists where packages put the server, the likeliest first: Debian and Homebrew do not put it on the
// PATH.
func postgresDirectories() []string {
	var directories []string
	if output, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		directories = append(directories, strings.TrimSpace(string(output)))
	}
	directories = append(directories, filepath.SplitList(os.Getenv("PATH"))...)
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		matches, _ := filepath.Glob(pattern) // the only error is a bad pattern
		slices.SortFunc(matches, func(a, b string) int { return majorVersion(b) - majorVersion(a) })
		directories = append(directories, matches...)
	}
	return directories
}

var firstNumber = regexp.MustCompile(`[0-9]+`)

// majorVersion reads the first number of "postgres (PostgreSQL) 15.4", "Redis server v=7.0.15 sha=…" or a path with a
// version; 0 when there is none.
func majorVersion(text string) int {
	major, err := strconv.Atoi(firstNumber.FindString(text))
	if err != nil {
		return 0
	}
	return major
}
