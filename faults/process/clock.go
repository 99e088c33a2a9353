package process

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Go asks the kernel for the time without any library in between, so LD_PRELOAD and time namespaces do not move its wall
// clock. An instance with a wrong clock is therefore the same program linked with another package time, whose Now is off.
// Only that package is compiled again. The monotonic clock, and with it every timer, is right.

// clockLine is the line of time.Now that is changed.
const clockLine = "\tsec, nsec, mono := runtimeNow()\n"

// objectStart begins a compiled package. The linker compares the eight bytes that follow with those that importers were
// compiled against. They depend on the whole source, although nothing that importers see has changed.
var objectStart = regexp.MustCompile(`\x00go[0-9]+ld(?s:.{8})`)

// linkScript replaces the package time when the program is linked, and runs every other tool unchanged.
const linkScript = `#!/bin/sh
tool=$1
shift
case "$tool" in */link)
	before=
	for argument; do
		if [ "$before" = -importcfg ]; then
			sed "s|^packagefile time=.*|packagefile time=%s|" "$argument" >"$argument.offset" && mv "$argument.offset" "$argument" || exit 1
		fi
		before=$argument
	done ;;
esac
exec "$tool" "$@"
`

// BuildWithClock builds the program with a wall clock that is off by offset. The test is skipped where the toolchain is
// not as we know it.
func BuildWithClock(t testing.TB, offset time.Duration) string {
	t.Helper()
	directory := t.TempDir()
	in := func(name string) string { return filepath.Join(directory, name) }
	source := filepath.Join(strings.TrimSpace(goTool(t, "env", "GOROOT")), "src", "time", "time.go")
	text := readFile(t, source)
	if strings.Count(text, clockLine) != 1 {
		t.Skipf("skipped: %s is not as this test knows it", source)
	}
	changed := strings.TrimSuffix(clockLine, "\n") + fmt.Sprintf("; sec += %d\n", int(offset.Seconds()))
	writeFile(t, in("time.go"), strings.Replace(text, clockLine, changed, 1))
	overlay, _ := json.Marshal(map[string]any{"Replace": map[string]string{source: in("time.go")}}) // strings; cannot fail
	writeFile(t, in("overlay.json"), string(overlay))
	compile := func(arguments ...string) string {
		arguments = append(append([]string{"list", "-export", "-f", "{{.Export}}"}, raceFlag()...), arguments...)
		return readFile(t, strings.TrimSpace(goTool(t, append(arguments, "time")...)))
	}
	right, wrong := compile(), compile("-overlay", in("overlay.json"))
	expected, own := objectStart.FindString(right), objectStart.FindString(wrong)
	if right == wrong || expected == "" || own == "" {
		t.Skip("skipped: compiled packages are not as this test knows them")
	}
	writeFile(t, in("time.a"), strings.Replace(wrong, own, expected, 1))
	writeFile(t, in("link.sh"), fmt.Sprintf(linkScript, in("time.a")))
	goTool(t, append(append([]string{"build"}, raceFlag()...), "-toolexec", in("link.sh"), "-o", in("onhand"), ".")...)
	return in("onhand")
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// writeFile writes a file that may be run.
func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}
