package serving

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"onhand/cli/serving/telemetry"
	"onhand/graph/ratelimit"
	"onhand/graph/transport"
	"onhand/models/quota"
	"onhand/store"
)

// deployed is the folder of what operators install.
const deployed = "../../deploy/"

// wholeRegistry has every metric of a server: one that checks quotas and sends traces.
func wholeRegistry(t *testing.T) *prometheus.Registry {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	traces := (&telemetry.TraceSettings{Endpoint: "http://127.0.0.1:1"}).Open(log)
	t.Cleanup(traces.Close)
	st := demoStore(t, store.Config{})
	registry := newRegistry(st)
	routes(st, transport.NewClosing(), log, routeConfig{
		sites: localSites(t), registry: registry, open: newConnections(0), traces: traces,
		limiter: ratelimit.New(ratelimit.LimiterConfig{Quotas: map[ratelimit.Class]quota.Quota{ratelimit.Reads: {Cost: 1, Window: time.Minute}}}),
	})
	return registry
}

// labelsOf are the labels of the metrics that a server exports, by the names of their series.
func labelsOf(t *testing.T, registry *prometheus.Registry) map[string]map[string]bool {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	exported := map[string]map[string]bool{"up": {}}
	for _, family := range families {
		labels, names := map[string]bool{}, []string{family.GetName()}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = true
			}
		}
		switch family.GetType() {
		case dto.MetricType_HISTOGRAM:
			labels["le"] = true
			names = []string{family.GetName() + "_bucket", family.GetName() + "_sum", family.GetName() + "_count"}
		case dto.MetricType_SUMMARY:
			labels["quantile"] = true
		}
		for _, name := range names {
			exported[name] = labels
		}
	}
	return exported
}

var (
	metricName = regexp.MustCompile(`\b(?:(?:onhand|go|process)_[a-z0-9_]+|up)\b`)
	selector   = regexp.MustCompile(`\b([a-z0-9_]+)\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"[^"]*"`)
	grouping   = regexp.MustCompile(`\bby \(([^)]*)\)`)
	quoted     = regexp.MustCompile(`"[^"]*"`)
)

// unknownNames are the metrics and labels of an expression that no server exports.
func unknownNames(exported map[string]map[string]bool, expression string) (unknown []string) {
	every := map[string]bool{}
	for _, name := range metricName.FindAllString(quoted.ReplaceAllString(expression, `""`), -1) {
		if exported[name] == nil {
			unknown = append(unknown, name)
		}
		maps.Copy(every, exported[name])
	}
	has := func(labels map[string]bool, label string) bool {
		return label == "job" || label == "instance" || labels[label]
	}
	for _, match := range selector.FindAllStringSubmatch(expression, -1) {
		for _, label := range matcher.FindAllStringSubmatch(match[2], -1) {
			if !has(exported[match[1]], label[1]) {
				unknown = append(unknown, match[1]+"{"+label[1]+"}")
			}
		}
	}
	for _, match := range grouping.FindAllStringSubmatch(expression, -1) {
		for label := range strings.SplitSeq(match[1], ",") {
			if label = strings.TrimSpace(label); !has(every, label) {
				unknown = append(unknown, "by "+label)
			}
		}
	}
	return unknown
}

// TestUnknownNames: the check of the expressions finds what is wrong with one.
func TestUnknownNames(t *testing.T) {
	t.Parallel()
	exported := map[string]map[string]bool{"up": {}, "onhand_a_total": {"code": true}, "onhand_b_bucket": {"le": true}}
	for expression, want := range map[string][]string{
		`sum by (job, code) (rate(onhand_a_total{code=~"x|onhand_c", job="onhand"}[5m])) / up > 1`: nil,
		`histogram_quantile(0.99, sum by (le) (rate(onhand_b_bucket[5m])))`:                        nil,
		`rate(onhand_c_total[5m])`:                      {"onhand_c_total"},
		`rate(onhand_a_total{reason="x"}[5m])`:          {"onhand_a_total{reason}"},
		`sum by (class) (rate(onhand_a_total[5m]))`:     {"by class"},
		`onhand_a_total{code="a"} / go_made_up{le="1"}`: {"go_made_up", "go_made_up{le}"},
	} {
		assert.Equal(t, want, unknownNames(exported, expression), expression)
	}
}

// alertRule is a rule of the file of alerts.
type alertRule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alertRules(t *testing.T) (rules []alertRule) {
	t.Helper()
	text, err := os.ReadFile(deployed + "prometheus/alerts.yaml")
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Rules []alertRule `yaml:"rules"`
		} `yaml:"groups"`
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	require.NotEmpty(t, rules)
	return rules
}

// TestAlerts: an alert asks for metrics that a server exports, has a test, and has a section
// of the guide for operators, which says what to look at and what to do. No section is left
// over.
func TestAlerts(t *testing.T) {
	t.Parallel()
	exported := labelsOf(t, wholeRegistry(t))
	guide, err := os.ReadFile("../../docs/operators.md")
	require.NoError(t, err)
	tests, err := os.ReadFile(deployed + "prometheus/alerts_test.yaml")
	require.NoError(t, err)
	sections := map[string]string{}
	for section := range strings.SplitSeq(string(guide), "\n### ") {
		name, text, _ := strings.Cut(section, "\n")
		text, _, _ = strings.Cut(text, "\n## ")
		if strings.HasPrefix(name, "Onhand") {
			sections[name] = strings.TrimSpace(text)
		}
	}
	for _, rule := range alertRules(t) {
		assert.Empty(t, unknownNames(exported, rule.Expr), rule.Alert)
		assert.Contains(t, string(tests), "alertname: "+rule.Alert, "has no test")
		assert.Equal(t, "docs/operators.md#"+strings.ToLower(rule.Alert), rule.Annotations["runbook_url"], rule.Alert)
		assert.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
		section := sections[rule.Alert]
		severity, _, _ := strings.Cut(section, ".")
		assert.Equal(t, rule.Labels["severity"], strings.ToLower(severity), rule.Alert)
		assert.Contains(t, section, "\n- Look at: ", rule.Alert)
		assert.Contains(t, section, "\n- Do: ", rule.Alert)
		delete(sections, rule.Alert)
	}
	assert.Empty(t, sections, "sections without an alert")
}

// gridPlace is where a panel of the dashboard is.
type gridPlace struct{ X, Y, W, H int }

// dashboardPanel is what the tests read of a panel.
type dashboardPanel struct {
	ID         int
	Type       string
	Title      string
	Datasource struct{ UID string }
	GridPos    gridPlace
	Targets    []struct{ Expr, RefID string }
}

func dashboardPanels(t *testing.T) []dashboardPanel {
	t.Helper()
	text, err := os.ReadFile(deployed + "grafana/dashboard.json")
	require.NoError(t, err)
	var dashboard struct {
		Title, UID string
		Panels     []dashboardPanel
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	require.Equal(t, "onhand", dashboard.UID)
	require.NotEmpty(t, dashboard.Panels)
	return dashboard.Panels
}

// TestDashboard: a panel asks for metrics that a server exports, has an id and a place of its
// own, and takes the data source that is chosen. Every metric of Onhand is on the dashboard.
func TestDashboard(t *testing.T) {
	t.Parallel()
	exported := labelsOf(t, wholeRegistry(t))
	ids, shown, taken := map[int]bool{}, map[string]bool{}, map[[2]int]string{}
	for _, panel := range dashboardPanels(t) {
		assert.False(t, ids[panel.ID], panel.Title)
		ids[panel.ID] = true
		at := panel.GridPos
		assert.LessOrEqual(t, at.X+at.W, 24, panel.Title)
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				assert.Empty(t, taken[[2]int{x, y}], panel.Title)
				taken[[2]int{x, y}] = panel.Title
			}
		}
		if panel.Type == "row" {
			continue
		}
		assert.Equal(t, "${datasource}", panel.Datasource.UID, panel.Title)
		assert.NotEmpty(t, panel.Targets, panel.Title)
		for _, target := range panel.Targets {
			assert.Empty(t, unknownNames(exported, target.Expr), panel.Title)
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				shown[familyOf(name)] = true
			}
		}
	}
	for name := range exported {
		if strings.HasPrefix(name, "onhand_") && !slices.Contains(notShown, familyOf(name)) {
			assert.True(t, shown[familyOf(name)], "%s is on no panel", name)
		}
	}
}

// notShown are metrics that other ones say better.
var notShown = []string{
	"onhand_near_cache_entries", "onhand_near_cache_fills_total", "onhand_near_cache_connections_total", "onhand_audit_last_pass_differences",
}

// familyOf is the name of a metric without what its series add.
func familyOf(name string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// TestPrometheusTakesTheRules: Prometheus' own tool accepts the alerts and runs their tests,
// and it parses the expressions of the dashboard.
func TestPrometheusTakesTheRules(t *testing.T) {
	t.Parallel()
	rules := "groups:\n  - name: dashboard\n    rules:\n"
	variables := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*", "$job", "onhand")
	for _, panel := range dashboardPanels(t) {
		for i, target := range panel.Targets {
			expression, err := json.Marshal(variables.Replace(target.Expr))
			require.NoError(t, err)
			rules += fmt.Sprintf("      - {record: panel_%d_%d, expr: %s}\n", panel.ID, i, expression)
		}
	}
	dashboard := filepath.Join(t.TempDir(), "dashboard.yaml")
	require.NoError(t, os.WriteFile(dashboard, []byte(rules), 0o600))
	for _, arguments := range [][]string{
		{"check", "rules", deployed + "prometheus/alerts.yaml"},
		{"test", "rules", deployed + "prometheus/alerts_test.yaml"},
		{"check", "rules", dashboard},
	} {
		promtool(t, arguments...)
	}
}
