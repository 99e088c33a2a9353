package validate

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// readDashboard reads a dashboard as Grafana's own types do: an unknown field and a value of another type are errors, in
// the options of each kind of panel and in queries too.
func readDashboard(text []byte) (*dashboard.Dashboard, error) {
	plugins.RegisterDefaultPlugins()
	if err := (&dashboard.Dashboard{}).UnmarshalJSONStrict(text); err != nil && err.Error() != "" { // an empty list of errors is none
		return nil, err
	}
	read := &dashboard.Dashboard{} // the strict reader leaves panels out
	if err := json.Unmarshal(text, read); err != nil {
		return nil, err
	}
	return read, read.Validate()
}

// TestDashboardFitsTheSchema: Grafana's types accept the dashboard, every panel is of a known kind, and every query is one of
// Prometheus.
func TestDashboardFitsTheSchema(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../grafana/dashboard.json")
	require.NoError(t, err)
	read, err := readDashboard(text)
	require.NoError(t, err)
	panels := 0
	for _, one := range read.Panels {
		if one.RowPanel != nil {
			continue
		}
		panels++
		require.NotNil(t, one.Panel)
		assert.Contains(t, []string{"stat", "timeseries"}, one.Panel.Type)
		require.NotEmpty(t, one.Panel.Targets, *one.Panel.Title)
		for _, target := range one.Panel.Targets {
			query, ok := target.(*prometheus.Dataquery)
			require.True(t, ok, "%s: %T", *one.Panel.Title, target)
			assert.NotEmpty(t, query.Expr, *one.Panel.Title)
		}
	}
	assert.Greater(t, panels, 40)
}

// TestDashboardMistakes: the check finds mistakes.
func TestDashboardMistakes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../grafana/dashboard.json")
	require.NoError(t, err)
	for name, change := range map[string][2]string{
		"an unknown field":            {`"graphTooltip"`, `"graphToolTip"`},
		"a text in place of a number": {`"schemaVersion": 39`, `"schemaVersion": "39"`},
		"an unknown option":           {`"drawStyle"`, `"drawStile"`},
		"an unknown field of a query": {`"legendFormat"`, `"legend"`},
		"a text in place of a place":  {`"gridPos": {`, `"gridPos": "top", "x": {`},
	} {
		wrong := strings.Replace(string(text), change[0], change[1], 1)
		require.NotEqual(t, string(text), wrong, name)
		require.True(t, json.Valid([]byte(wrong)), name)
		_, err := readDashboard([]byte(wrong))
		assert.Error(t, err, name)
	}
}
