package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Go asks the kernel for the time without any library in between, so that nothing can be put there (LD_PRELOAD, time
// namespaces). A copy with a wrong clock is therefore the same program linked with a package time whose Now is ahead or
// behind; only that package is compiled anew. The monotonic clock, and with it every timer, is right.

// clockLine is the line of time.Now that is changed.
const clockLine = "\tsec, nsec, mono := runtimeNow()\n"

// objectStart begins a compiled package. The linker compares the eight bytes that follow with what importers have seen;
// they are of the whole source, although nothing that importers see has changed.
var objectStart = regexp.MustCompile(`\x00go[0-9]+ld(?s:.{8})`)

// linkWith replaces the package time when the program is linked, and runs every other tool as it is.
const linkWith = `#!/bin/sh
tool=$1
shift
case "$tool" in */link)
	before=
	for argument; do
		if [ "$before" = -importcfg ]; then
			sed "s|^packagefile time=.*|packagefile time=%s|" "$argument" >"$argument.skewed" && mv "$argument.skewed" "$argument" || exit 1
		fi
		before=$argument
	done ;;
esac
exec "$tool" "$@"
`

// skewed builds the program with a wall clock that is off by so much.
func skewed(t testing.TB, by time.Duration) string {
	t.Helper()
	directory := t.TempDir()
	in := func(name string) string { return filepath.Join(directory, name) }
	source := filepath.Join(strings.TrimSpace(goTool(t, "env", "GOROOT")), "src", "time", "time.go")
	text := read(t, source)
	if strings.Count(text, clockLine) != 1 {
		t.Skipf("skipped: %s is not as this test knows it", source)
	}
	write(t, in("time.go"), strings.Replace(text, clockLine, strings.TrimSuffix(clockLine, "\n")+fmt.Sprintf("; sec += %d\n", int(by.Seconds())), 1))
	listed, _ := json.Marshal(map[string]any{"Replace": map[string]string{source: in("time.go")}}) // strings; cannot fail
	write(t, in("overlay.json"), string(listed))
	race := []string{}
	if *serverRace {
		race = append(race, "-race")
	}
	compiled := func(arguments ...string) string {
		arguments = append(append([]string{"list", "-export", "-f", "{{.Export}}"}, race...), arguments...)
		return read(t, strings.TrimSpace(goTool(t, append(arguments, "time")...)))
	}
	right, wrong := compiled(), compiled("-overlay", in("overlay.json"))
	seen, own := objectStart.FindString(right), objectStart.FindString(wrong)
	if right == wrong || seen == "" || own == "" {
		t.Skip("skipped: compiled packages are not as this test knows them")
	}
	write(t, in("time.a"), strings.Replace(wrong, own, seen, 1))
	write(t, in("link.sh"), fmt.Sprintf(linkWith, in("time.a")))
	goTool(t, append(append([]string{"build"}, race...), "-toolexec", in("link.sh"), "-o", in("onhand"), ".")...)
	return in("onhand")
}

func read(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// goTool runs the go command in the product's module.
func goTool(t testing.TB, arguments ...string) string {
	t.Helper()
	command := exec.Command("go", arguments...)
	command.Dir = parent
	var complaints strings.Builder
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", arguments[0], err, complaints.String())
	}
	return string(output)
}
