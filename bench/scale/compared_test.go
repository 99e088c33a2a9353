package main

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/bench/results"
	"onhand/bench/testbed"
	"onhand/store/storetest"
)

func TestMain(m *testing.M) {
	configuration = filepath.Join("..", "..", configuration)
	storetest.Main(m)
}

// TestComparison: ways take turns in an order that alternates, a line has the medians of its own figures, and a way that
// cannot be measured has a place.
func TestComparison(t *testing.T) {
	t.Parallel()
	c := &comparison{scaleCommand: &scaleCommand{}, Growth: &results.Growth{Columns: []string{columnRate, columnP50}}, rounds: 3}
	var order []string
	turn := func(_ context.Context, w way) (figures, error) {
		order = append(order, w.name)
		return figures{columnRate: float64(len(order)), columnP50: -float64(len(order))}, nil
	}
	ways := []way{{name: "a", shop: &shop{}}, {name: "missing"}, {name: "b", shop: &shop{}}}
	require.NoError(t, c.measure(t.Context(), ways, turn))
	require.Equal(t, []string{"a", "b", "b", "a", "a", "b"}, order)
	require.NoError(t, c.measure(t.Context(), []way{{name: "c", shop: &shop{}}}, turn))
	require.Equal(t, []results.GrowthLine{
		{Size: 0, Name: "a", Figures: []float64{4, -4}}, {Size: 2, Name: "b", Figures: []float64{3, -3}}, {Size: 3, Name: "c", Figures: []float64{8, -8}},
	}, c.Lines)
	failed := errors.New("failed")
	require.ErrorIs(t, c.measure(t.Context(), ways, func(context.Context, way) (figures, error) { return nil, failed }), failed)
}

// TestWaysAreMeasured measures a shop behind everything that can be before it for a moment: pgbouncer, Sentinels, haproxy;
// then one that reads from a replica.
func TestWaysAreMeasured(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it starts servers")
	}
	c := &scaleCommand{Programs: t.TempDir(), Length: 250 * time.Millisecond, warm: 100 * time.Millisecond, Quick: true, out: new(bytes.Buffer)}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(c.Programs, "onhand"), "onhand").CombinedOutput()
	require.NoError(t, err, "%s", out)
	c.servers, err = testbed.Start(false)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.servers.Close()) })
	k := c.compare("")
	t.Cleanup(func() { require.NoError(t, k.close()) })
	s, err := k.open(t.Context(), shopParams{products: 50, instances: 2, redis: testbed.SentinelRedis, pooled: true, settings: balancedSettings})
	require.NoError(t, err)
	if s == nil {
		t.Skip("skipped: ", c.out)
	}
	w := s.directly("directly")
	if err := s.balance(t.Context()); !errors.Is(err, storetest.ErrNotInstalled) {
		require.NoError(t, err)
		w = s.balanced("balanced")
	}
	f, err := w.reserve(t.Context(), load{callers: 4, rate: 100, warm: c.warm, length: 4 * c.Length}, w.baskets)
	require.NoError(t, err)
	for _, column := range append(costColumns, columnPooler) {
		require.NotZero(t, f[column], column)
	}
	f, err = k.pages(t.Context(), w)
	require.NoError(t, err)
	for _, column := range []string{columnPages, columnPage, columnP99} {
		require.NotZero(t, f[column], column)
	}
	requireReplica(t, c, k)
}

// requireReplica measures lists from a read replica for a moment.
func requireReplica(t *testing.T, c *scaleCommand, k *comparison) {
	s, err := k.open(t.Context(), shopParams{products: 50})
	require.NoError(t, err)
	w, err := c.replicated(t.Context(), s)
	require.NoError(t, err)
	bodies, err := listPages(w.called[0], productsDocument)
	require.NoError(t, err)
	f, err := w.ask(t.Context(), load{callers: 4, warm: c.warm, length: c.Length}, bodies)
	require.NoError(t, err)
	t.Logf("%.0f %% from the replica", f[columnReplied])
	for _, column := range []string{columnReplied, columnReplica, columnPrimary} {
		require.NotZero(t, f[column], column)
	}
}

// TestPublishTo: every subscriber gets every message, and Redis says what that cost.
func TestPublishTo(t *testing.T) {
	t.Parallel()
	redis, err := testbed.StartRedis(t.Context(), testbed.OneRedis)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, redis.Close()) })
	all, busiest, err := publishTo(t.Context(), redis, 3, publishedPipeline)
	require.NoError(t, err)
	require.Positive(t, all)
	require.Equal(t, all, busiest)
}
