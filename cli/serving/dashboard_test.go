package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"onhand/cli/serving/telemetry"
	"onhand/graph/ratelimit"
	"onhand/graph/transport"
	"onhand/models/quota"
	"onhand/store"
)

// promtool runs the tool of Prometheus, and skips the test where there is none.
func promtool(t *testing.T, arguments ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	output, err := exec.CommandContext(ctx, "../../scripts/promtool", arguments...).CombinedOutput()
	var failed *exec.ExitError
	if errors.As(err, &failed) && failed.ExitCode() == 69 {
		t.Skipf("%s", output)
	}
	require.NoError(t, err, "%v: %s", arguments, output)
}

// sampleLine is a line of /metrics with a value.
var sampleLine = regexp.MustCompile(`^([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)$`)

// scrapedSeries are what Prometheus makes of scrapes of one instance: the values of each series in order. A series that was
// not there yet has no value.
func scrapedSeries(scrapes []string) map[string][]string {
	series := map[string][]string{}
	for i, text := range scrapes {
		for line := range strings.SplitSeq(text, "\n") {
			found := sampleLine.FindStringSubmatch(line)
			if found == nil {
				continue
			}
			labels := `job="onhand",instance="127.0.0.1:8081"`
			if found[2] != "" {
				labels = found[2] + "," + labels
			}
			name := found[1] + "{" + labels + "}"
			for len(series[name]) < i {
				series[name] = append(series[name], "_")
			}
			series[name] = append(series[name], found[3])
		}
	}
	return series
}

// plain is a value as promtool's tests take it; "_" for none.
func plain(text string) string {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || value != value {
		return "_"
	}
	return strconv.FormatFloat(value, 'f', -1, 64)
}

// busyScrapes are the metrics of a server before, between and after operations of several kinds.
func busyScrapes(t *testing.T) (scrapes []string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	st := demoStore(t, store.Config{NearCacheBytes: 1 << 20})
	require.NoError(t, st.Start())
	traces := (&telemetry.TraceSettings{Endpoint: "http://127.0.0.1:1"}).Open(log)
	t.Cleanup(traces.Close)
	h := routes(st, transport.NewClosing(), log, routeConfig{
		sites: localSites(t), registry: newRegistry(st), open: newConnections(0), traces: traces,
		limiter: ratelimit.New(ratelimit.LimiterConfig{Quotas: map[ratelimit.Class]quota.Quota{ratelimit.Reads: {Cost: quota.CostMax, Window: time.Minute}}}),
	})
	for i := range 3 {
		for range 3 {
			query := fmt.Sprintf(`query Page { stocks(productIds: [%q, "no-such-product"]) { quantityAvailable } }`, []string{"22423", "85123A", "22423"}[i])
			require.Equal(t, http.StatusOK, served(t, h, local(t, http.MethodGet, "/graphql?query="+url.QueryEscape(query))).Code)
		}
		for _, quantity := range []int{1, 1_000_000} { // more than there are: a write that is refused
			write := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", strings.NewReader(fmt.Sprintf(
				`{"query": "mutation Cart { reserveStock(input: {idempotencyKey: \"%d at %d\", lines: [{productId: \"22423\", quantity: %d}]}) { errors { code } } }"}`, quantity, i, quantity)))
			write.Host = "127.0.0.1:8080"
			write.Header.Set("Content-Type", "application/json")
			require.Equal(t, http.StatusOK, served(t, h, write).Code)
		}
		scrapes = append(scrapes, served(t, h, local(t, http.MethodGet, "/metrics")).Body.String())
	}
	return scrapes
}

// TestPanelsShowData: Prometheus' own engine evaluates every query of the dashboard on the metrics of a server that reads and
// writes, and has a number for it. A query for what is above zero is evaluated for what is not below.
func TestPanelsShowData(t *testing.T) {
	t.Parallel()
	type series struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	}
	type sample struct {
		Labels string  `yaml:"labels"`
		Value  float64 `yaml:"value"`
	}
	type evaluation struct {
		Expr     string   `yaml:"expr"`
		EvalTime string   `yaml:"eval_time"`
		Samples  []sample `yaml:"exp_samples"`
	}
	type unit struct {
		Name        string       `yaml:"name"`
		Interval    string       `yaml:"interval"`
		Series      []series     `yaml:"input_series"`
		Evaluations []evaluation `yaml:"promql_expr_test"`
	}
	test := unit{Name: "dashboard", Interval: "30s", Series: []series{{`up{job="onhand",instance="127.0.0.1:8081"}`, "1 1 1"}}}
	for name, values := range scrapedSeries(busyScrapes(t)) {
		for i, value := range values {
			values[i] = plain(value)
		}
		test.Series = append(test.Series, series{name, strings.Join(values, " ")})
	}
	variables := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*", "$job", "onhand", "> 0", ">= 0")
	for _, panel := range dashboardPanels(t) {
		for _, target := range panel.Targets {
			expression := variables.Replace(target.Expr)
			test.Evaluations = append(test.Evaluations, evaluation{
				fmt.Sprintf("count((%s) == (%s)) > bool 0", expression, expression), "1m", []sample{{"{}", 1}}, // NaN does not equal itself
			})
		}
	}
	text, err := yaml.Marshal(map[string]any{"tests": []unit{test}})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "panels.yaml")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	promtool(t, "test", "rules", path)
}
