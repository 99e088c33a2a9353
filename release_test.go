package main

import (
	"debug/buildinfo"
	"debug/elf"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var binaries = flag.Bool("binaries", false, "build the released binaries of two systems, which takes minutes")

// binaryBytesMax bounds a released binary. docs/running.md says what its size is made of.
const binaryBytesMax = 64 << 20

// release is what these tests need of .goreleaser.yaml. Module deploy/validate reads it as goreleaser does.
type release struct {
	Builds []struct {
		Main, Binary               string
		Env, Flags, Ldflags        []string
		Goos, Goarch               []string
		Goarm, Tags, Ignore, Hooks any
	}
	Archives []struct{ Files []string }
}

func releaseConfiguration(t *testing.T) (r release) {
	t.Helper()
	require.NoError(t, yaml.Unmarshal([]byte(document(t, ".goreleaser.yaml")), &r))
	require.Len(t, r.Builds, 1)
	require.Len(t, r.Archives, 1)
	return r
}

// TestRelease: binaries are released for the systems that `make cross` builds, and the files of an archive exist.
func TestRelease(t *testing.T) {
	t.Parallel()
	r := releaseConfiguration(t)
	var platforms []string
	for _, system := range r.Builds[0].Goos {
		for _, processor := range r.Builds[0].Goarch {
			platforms = append(platforms, system+"/"+processor)
		}
	}
	found := regexp.MustCompile(`(?m)^PLATFORMS \?= (.*)$`).FindStringSubmatch(document(t, "Makefile"))
	require.NotNil(t, found)
	assert.ElementsMatch(t, strings.Fields(found[1]), platforms)
	for _, pattern := range r.Archives[0].Files {
		matches, err := filepath.Glob(pattern)
		require.NoError(t, err)
		assert.NotEmpty(t, matches, pattern)
	}
}

// TestReleaseBinaries builds two of them with the flags of the configuration: they are static, stripped, not too large, know
// nothing of the machine that built them, and run.
func TestReleaseBinaries(t *testing.T) {
	t.Parallel()
	if !*binaries {
		t.Skip("make binaries builds them")
	}
	build := releaseConfiguration(t).Builds[0]
	for processor, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		path := filepath.Join(t.TempDir(), build.Binary+"-"+processor)
		arguments := append([]string{"build"}, build.Flags...)
		arguments = append(arguments, "-ldflags="+strings.Join(build.Ldflags, " "), "-o", path, build.Main)
		command := exec.CommandContext(t.Context(), "go", arguments...)
		command.Env = append(append(os.Environ(), build.Env...), "GOOS=linux", "GOARCH="+processor)
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s", out)
		binary, err := elf.Open(path)
		require.NoError(t, err)
		assert.Equal(t, machine, binary.Machine)
		for _, program := range binary.Progs {
			assert.NotContains(t, []elf.ProgType{elf.PT_INTERP, elf.PT_DYNAMIC}, program.Type, "%s is not static", processor)
		}
		for _, section := range []string{".symtab", ".debug_info", ".zdebug_info"} {
			assert.Nil(t, binary.Section(section), "%s is not stripped of %s", processor, section)
		}
		for _, section := range []string{".text", ".gopclntab", ".rodata"} {
			t.Logf("%s: %s %.1f MB", processor, section, float64(binary.Section(section).Size)/1e6)
		}
		require.NoError(t, binary.Close())
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Less(t, info.Size(), int64(binaryBytesMax))
		t.Logf("%s: %.1f MB", processor, float64(info.Size())/1e6)
		built, err := buildinfo.ReadFile(path)
		require.NoError(t, err)
		assert.Contains(t, built.String(), "-trimpath=true")
		assert.Contains(t, built.String(), "CGO_ENABLED=0")
		if processor == runtime.GOARCH && runtime.GOOS == "linux" {
			out, err := exec.CommandContext(t.Context(), path, "version").CombinedOutput()
			require.NoError(t, err, "%s", out)
			assert.Regexp(t, `^onhand \S+\n$`, string(out))
		}
	}
}
