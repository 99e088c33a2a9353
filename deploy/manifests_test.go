package deploy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"onhand/cli/configfile"
)

// root is the top of the repository.
const root = ".."

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	require.NoError(t, err)
	return string(text)
}

// settings are the names of the program's settings, from the page that it writes.
func settings(t *testing.T) (variables []string) {
	t.Helper()
	for _, found := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|").FindAllStringSubmatch(read(t, "docs", "settings.md"), -1) {
		variables = append(variables, found[1])
	}
	require.Greater(t, len(variables), 30)
	return variables
}

// testModules are the folders of deploy that have tests of their own and nothing that is deployed.
var testModules = []string{"deploy/containers", "deploy/validate"}

// files lists what is deployed, by its path from the top.
func files(t *testing.T) (paths []string) {
	t.Helper()
	paths = []string{"compose.yaml", "Containerfile", ".goreleaser.yaml", filepath.Join("scripts", "secrets")}
	require.NoError(t, filepath.WalkDir(root+"/deploy", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch path = strings.TrimPrefix(path, root+"/"); {
		case slices.Contains(testModules, path):
			return filepath.SkipDir
		case !entry.IsDir() && filepath.Ext(path) != ".go":
			paths = append(paths, path)
		}
		return nil
	}))
	require.Greater(t, len(paths), 30)
	return paths
}

// notOurs are variables of others: of the Go runtime, of the images of Postgres, Redis and haproxy.
var notOurs = []string{"GOMEMLIMIT", "POSTGRES_DB", "POSTGRES_PASSWORD", "ONHAND_OWNER_PASSWORD", "ONHAND_SERVER_PASSWORD", "REDIS_PASSWORD", "ONHAND_BIND", "ONHAND_1", "ONHAND_2"}

// TestVariablesAreSettings: every environment variable that a file gives a process is a setting of the program.
func TestVariablesAreSettings(t *testing.T) {
	t.Parallel()
	known, used := settings(t), map[string]bool{}
	for _, path := range files(t) {
		pattern := regexp.MustCompile(`(?m)^\s+- name: ([A-Z][A-Z0-9_]+)$|^Environment=([A-Z_]+)=|^ENV ([A-Z_]+)=`)
		if path == "compose.yaml" {
			pattern = regexp.MustCompile(`(?m)^ {4,6}([A-Z][A-Z0-9_]+): `)
		}
		for _, found := range pattern.FindAllStringSubmatch(read(t, path), -1) {
			name := strings.Join(found[1:], "")
			if !slices.Contains(notOurs, name) {
				assert.Contains(t, known, name, path)
				used[name] = true
			}
		}
	}
	for _, name := range []string{"ONHAND_CONFIG", "DATABASE_URL", "DATABASE_URL_FILE", "AUTH_SECRET", "AUTH_SECRET_FILE", "LISTEN_ADDR"} {
		assert.True(t, used[name], name)
	}
}

// document is a YAML document of any kind.
type document = map[string]any

// at walks into a document by keys and, where a list is, by numbers.
func at(t *testing.T, value any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			inner, ok := value.(document)
			require.True(t, ok, "%v in %v", step, path)
			value = inner[step]
		case int:
			list, ok := value.([]any)
			require.True(t, ok && step < len(list), "%v in %v", step, path)
			value = list[step]
		}
	}
	require.NotNil(t, value, "%v", path)
	return value
}

func parsed(t *testing.T, path ...string) (d document) {
	t.Helper()
	require.NoError(t, yaml.Unmarshal([]byte(read(t, path...)), &d), path)
	return d
}

// TestConfigurationFiles: the configuration files of Kubernetes and of the chart have names of settings only.
func TestConfigurationFiles(t *testing.T) {
	t.Parallel()
	var names []string
	for _, variable := range settings(t) {
		names = append(names, strings.ToLower(strings.ReplaceAll(variable, "_", "-")))
	}
	chart, err := yaml.Marshal(at(t, parsed(t, "deploy/helm/onhand/values.yaml"), "config"))
	require.NoError(t, err)
	values := filepath.Join(t.TempDir(), "values.yaml")
	require.NoError(t, os.WriteFile(values, chart, 0o600))
	for _, path := range []string{root + "/deploy/kubernetes/base/onhand.yaml", root + "/deploy/kubernetes/overlays/production/onhand.yaml", values} {
		file, err := configfile.Read(path, names)
		require.NoError(t, err)
		assert.Contains(t, file.Names(), "shutdown-delay", path)
	}
}

// TestStopsInTime: everywhere, the process has 30 s more than the shutdown delay before it is killed, and the delay is longer
// than the load balancer needs to notice.
func TestStopsInTime(t *testing.T) {
	t.Parallel()
	const rest = 30 * time.Second
	deployment := parsed(t, "deploy/kubernetes/base/deployment.yaml")
	pod := at(t, deployment, "spec", "template", "spec")
	probe := at(t, pod, "containers", 0, "readinessProbe")
	notice := time.Duration(at(t, probe, "periodSeconds").(int)*at(t, probe, "failureThreshold").(int)) * time.Second
	grace := time.Duration(at(t, pod, "terminationGracePeriodSeconds").(int)) * time.Second
	chart := parsed(t, "deploy/helm/onhand/values.yaml")
	for _, delay := range []any{
		parsed(t, "deploy/kubernetes/base/onhand.yaml")["shutdown-delay"],
		parsed(t, "deploy/kubernetes/overlays/production/onhand.yaml")["shutdown-delay"], at(t, chart, "config", "shutdown-delay"),
	} {
		length, err := time.ParseDuration(delay.(string))
		require.NoError(t, err)
		assert.Greater(t, length, notice)
		assert.GreaterOrEqual(t, grace, length+rest)
	}
	assert.Equal(t, at(t, pod, "terminationGracePeriodSeconds"), at(t, chart, "terminationGracePeriodSeconds"))

	seconds := func(text, pattern string) time.Duration {
		t.Helper()
		found := regexp.MustCompile(pattern).FindStringSubmatch(text)
		require.NotNil(t, found, pattern)
		length, err := time.ParseDuration(found[1])
		require.NoError(t, err)
		return length
	}
	haproxy := read(t, "deploy/haproxy/haproxy.cfg")
	fall, err := strconv.Atoi(regexp.MustCompile(` fall (\d+)`).FindStringSubmatch(haproxy)[1])
	require.NoError(t, err)
	notice = seconds(haproxy, ` inter (\S+)`) + time.Duration(fall-1)*seconds(haproxy, ` fastinter (\S+)`)
	compose, unit := read(t, "compose.yaml"), read(t, "deploy/systemd/onhand.service")
	delay := seconds(compose, `SHUTDOWN_DELAY: (\S+)`)
	assert.Greater(t, delay, notice)
	assert.Greater(t, seconds(compose, `stop_grace_period: (\S+)`), delay+rest)
	assert.Greater(t, seconds(unit, `TimeoutStopSec=(\S+)`), seconds(unit, `SHUTDOWN_DELAY=(\S+)`)+rest)
}

// TestPods: probes, ports and rights of the pods. Package validate compares the chart with them.
func TestPods(t *testing.T) {
	t.Parallel()
	base := parsed(t, "deploy/kubernetes/base/onhand.yaml")
	pod := at(t, parsed(t, "deploy/kubernetes/base/deployment.yaml"), "spec", "template", "spec")
	container := at(t, pod, "containers", 0)
	for probe, path := range map[string]string{"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"} {
		assert.Equal(t, document{"path": path, "port": "http"}, at(t, container, probe, "httpGet"), probe)
	}
	for i, setting := range []string{"listen-addr", "admin-addr"} {
		_, port, _ := strings.Cut(base[setting].(string), ":")
		assert.Equal(t, port, strconv.Itoa(at(t, container, "ports", i, "containerPort").(int)), setting)
	}
	job := at(t, parsed(t, "deploy/kubernetes/migrate/job.yaml"), "spec", "template", "spec")
	for _, pod := range []any{pod, job} {
		assert.Equal(t, true, at(t, pod, "securityContext", "runAsNonRoot"))
		assert.Equal(t, 65532, at(t, pod, "securityContext", "runAsUser"), "the account of the image")
		assert.Equal(t, false, at(t, pod, "automountServiceAccountToken"))
		assert.Equal(t, document{"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": document{"drop": []any{"ALL"}}}, at(t, pod, "containers", 0, "securityContext"))
	}
	assert.Contains(t, read(t, "Containerfile"), "USER 65532:65532")
	metric := at(t, parsed(t, "deploy/kubernetes/base/horizontalpodautoscaler.yaml"), "spec", "metrics", 1, "pods", "metric", "name")
	assert.Contains(t, read(t, "cli/serving/telemetry/metrics.go"), strconv.Quote(metric.(string)), "the autoscaler's metric")
}

// TestNoSecretLiterals: no file has a password or a secret in it, and no account is let in without one.
func TestNoSecretLiterals(t *testing.T) {
	t.Parallel()
	inURL := regexp.MustCompile(`://[^/\s:@'"]+:([^@/\s]+)@`)
	assigned := regexp.MustCompile(`(?im)^[^#\n]*\b\w*(password|auth[_-]secret)['"]?\s*[:=]\s*(\S.*)$`)
	for _, path := range files(t) {
		text := regexp.MustCompile(`\$\{[^}]*\}`).ReplaceAllString(read(t, path), "$$")
		for _, found := range inURL.FindAllStringSubmatch(text, -1) {
			assert.Regexp(t, `^(\$|…)`, found[1], path)
		}
		for _, found := range assigned.FindAllStringSubmatch(text, -1) {
			assert.Regexp(t, `^\\?['"]?(\$|/|\w+';$)`, found[2], "%s: %s", path, found[0]) // a variable, a path, a variable of psql
		}
		assert.NotRegexp(t, `(?m)^user \w+ on (nopass|>)`, text, path)
	}
}
