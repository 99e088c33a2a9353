package serving

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"onhand/graph/transport"
	"onhand/store"
	"onhand/store/openingstock"
	"onhand/store/stockfile"
	"onhand/store/storetest"
)

// alertInstance is the label that the series of a test have for the scraped server.
const alertInstance = "127.0.0.1:8081"

// TestEveryAlertIsTested: the tests of the alert rules have for each alert a moment at which it fires and one at which it
// does not.
func TestEveryAlertIsTested(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(deployed + "prometheus/alerts_test.yaml")
	require.NoError(t, err)
	var file struct {
		Tests []struct {
			Cases []struct {
				Alert  string `yaml:"alertname"`
				Firing []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, unit := range file.Tests {
		for _, one := range unit.Cases {
			if len(one.Firing) > 0 {
				fires[one.Alert] = true
			} else {
				silent[one.Alert] = true
			}
		}
	}
	for _, rule := range alertRules(t) {
		assert.True(t, fires[rule.Alert], "no test sees %s fire", rule.Alert)
		assert.True(t, silent[rule.Alert], "no test sees %s silent", rule.Alert)
	}
}

// alertServer is a server over Postgres and Redis that a test stops.
type alertServer struct {
	t        *testing.T
	handler  http.Handler
	redis    *storetest.RedisServer
	postgres *storetest.PostgresServer
}

func startAlertServer(t *testing.T) *alertServer {
	t.Helper()
	s := &alertServer{t: t, redis: storetest.Redis(t), postgres: storetest.PrivatePostgres(t)}
	require.NoError(t, s.postgres.CreateDatabase(t.Context(), "alerts"))
	owner, err := store.Open(store.Config{DatabaseURL: storetest.OwnerAccount(s.postgres.DSN("alerts"))})
	require.NoError(t, err)
	_, err = owner.MigrateWhenUp(t.Context())
	require.NoError(t, err)
	rows, locations, channels := stockfile.Demo()
	_, err = owner.Seed(t.Context(), openingstock.OpeningShop{Counts: rows, Locations: locations, Channels: channels, Demo: true})
	owner.Close()
	require.NoError(t, err)
	st, err := store.Open(store.Config{DatabaseURL: storetest.ServerAccount(s.postgres.DSN("alerts")), RedisURL: s.redis.ServerURL(), NearCacheBytes: 1 << 20, AuditInterval: 50 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(st.Close)
	require.NoError(t, st.Start())
	s.handler = routes(st, transport.NewClosing(), slog.New(slog.DiscardHandler), routeConfig{sites: localSites(t), registry: newRegistry(st), open: newConnections(0)})
	return s
}

// scrape waits until the metrics are as wanted, and returns their values by series.
func (s *alertServer) scrape(wanted func(map[string]float64) bool) map[string]float64 {
	s.t.Helper()
	values := map[string]float64{}
	require.Eventually(s.t, func() bool {
		for name, found := range scrapedSeries([]string{served(s.t, s.handler, local(s.t, http.MethodGet, "/metrics")).Body.String()}) {
			if value, err := strconv.ParseFloat(found[0], 64); err == nil && value == value {
				values[name] = value
			}
		}
		return wanted(values)
	}, 2*patience, 50*time.Millisecond)
	return values
}

// ofAlertServer is a series without labels of its own.
func ofAlertServer(name string) string {
	return fmt.Sprintf("%s{job=%q,instance=%q}", name, "onhand", alertInstance)
}

// alertUnit is a test of promtool, over two hours: series that go from the values of one scrape to those of another in a
// quarter of a minute, and then grow as much in each quarter if they count, or else stay.
func alertUnit(from, to map[string]float64, cases []map[string]any) map[string]any {
	text := func(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }
	series := []map[string]any{{"series": fmt.Sprintf("up{job=%q,instance=%q}", "onhand", alertInstance), "values": "1x480"}}
	for name, before := range from {
		after, there := to[name]
		if !there {
			continue
		}
		grows := 0.0
		family, _, _ := strings.Cut(name, "{")
		for _, suffix := range []string{"_total", "_count", "_sum", "_bucket"} {
			if strings.HasSuffix(family, suffix) {
				grows = max(0, after-before)
			}
		}
		series = append(series, map[string]any{"series": name, "values": text(before) + " " + text(after) + "+" + text(grows) + "x480"})
	}
	return map[string]any{"name": "a server", "interval": "15s", "input_series": series, "alert_rule_test": cases}
}

// testAlerts runs a unit with the rules.
func testAlerts(t *testing.T, unit map[string]any) {
	t.Helper()
	rules, err := filepath.Abs(deployed + "prometheus/alerts.yaml")
	require.NoError(t, err)
	text, err := yaml.Marshal(map[string]any{"rule_files": []string{rules}, "evaluation_interval": "15s", "tests": []any{unit}})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "alerts.yaml")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	promtool(t, "test", "rules", path)
}

// TestAlertsOfAServer: on the metrics of a server that is well and has no customers, no alert fires in two hours. Once
// Redis and then the database are away, the alerts that say so fire.
func TestAlertsOfAServer(t *testing.T) {
	t.Parallel()
	s := startAlertServer(t)
	audited := ofAlertServer("onhand_audit_products_total")
	first := s.scrape(func(values map[string]float64) bool {
		return values[audited] > 0 && values[ofAlertServer("onhand_feed_connected")] == 1
	})
	quiet := s.scrape(func(values map[string]float64) bool { return values[audited] > first[audited] })
	var silent []map[string]any
	for _, rule := range alertRules(t) {
		silent = append(silent, map[string]any{"eval_time": "110m", "alertname": rule.Alert, "exp_alerts": []any{}})
	}
	testAlerts(t, alertUnit(first, quiet, silent))

	require.NoError(t, s.redis.Stop())
	away := func(names ...string) func(map[string]float64) bool {
		return func(values map[string]float64) bool {
			for _, name := range names {
				if values[ofAlertServer(name)] != 0 {
					return false
				}
			}
			return true
		}
	}
	s.scrape(away("onhand_redis_up", "onhand_feed_connected"))
	require.NoError(t, s.postgres.Stop())
	broken := s.scrape(away("onhand_redis_up", "onhand_feed_connected", "onhand_database_up"))
	firing := map[string]bool{"OnhandRedisDown": true, "OnhandFeedDisconnected": true, "OnhandDatabaseDown": true}
	cases := []map[string]any{{"eval_time": "30m", "alertname": "OnhandInstanceDown", "exp_alerts": []any{}}}
	for _, rule := range alertRules(t) {
		if firing[rule.Alert] {
			summary := strings.ReplaceAll(rule.Annotations["summary"], "{{ $labels.instance }}", alertInstance)
			cases = append(cases, map[string]any{"eval_time": "30m", "alertname": rule.Alert, "exp_alerts": []any{map[string]any{
				"exp_labels":      map[string]string{"severity": rule.Labels["severity"], "job": "onhand", "instance": alertInstance},
				"exp_annotations": map[string]string{"summary": summary, "runbook_url": rule.Annotations["runbook_url"]},
			}}})
		}
	}
	require.Len(t, cases, 1+len(firing))
	testAlerts(t, alertUnit(quiet, broken, cases))
}
