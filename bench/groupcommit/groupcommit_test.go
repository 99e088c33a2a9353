package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"onhand/bench/fixture"
	"onhand/bench/loadgen"
	"onhand/bench/testbed"
	"onhand/models"
	"onhand/store/storetest"
)

// TestMain also is the program, for the children that a variant starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"serve", "instance"}, os.Args[1]) {
		main()
		return
	}
	storetest.Main(m)
}

func newRun(t *testing.T) *measureCommand {
	t.Helper()
	servers, err := testbed.Start(false)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Close()) })
	return &measureCommand{servers: servers}
}

// TestVariantsCountWhatTheySell runs every variant for a moment on real servers. The audit must find what was
// acknowledged, and miss one reservation more or one unit more.
func TestVariantsCountWhatTheySell(t *testing.T) {
	t.Parallel()
	c := newRun(t)
	baskets := loadgen.Generate()
	few := func(*measureCommand) (loadgen.Baskets, error) { return within(baskets, baskets.Products[:200]), nil }
	every := func(string) bool { return true }
	for name, open := range map[string]opener{
		"single lines": openInProcess(hotBaskets), "carts": openInProcess(few), "graphql": openServed(few), "two instances": openInstances,
	} {
		list, closeAll, err := open(t.Context(), c, workload{callers: 4}, every)
		require.NoError(t, err, name)
		for _, v := range list {
			if name == "carts" && v.name != onhand && v.name != transactionEach {
				continue // these sell single lines
			}
			m, err := v.turn(loadgen.Params{Callers: 4, Length: 100 * time.Millisecond})
			require.NoError(t, err, "%s: %s", name, v.name)
			require.Positive(t, m.Acknowledged, "%s: %s", name, v.name)
			if v.audit == nil {
				require.Contains(t, []string{nothingServed, nothingServedTwice, oneInstance}, v.name)
				continue
			}
			require.NoError(t, v.audit(t.Context(), m), "%s: %s", name, v.name)
			if name == "two instances" {
				continue // its audit sums up the turns itself
			}
			m.Units++
			m.Acknowledged++
			require.ErrorContains(t, v.audit(t.Context(), m), "audit", "%s: %s", name, v.name)
		}
		require.NoError(t, closeAll(), name)
	}
}

// within keeps the baskets that reserve several of these products.
func within(baskets loadgen.Baskets, products []string) loadgen.Baskets {
	kept := loadgen.Baskets{Products: products}
	for _, b := range baskets.List {
		var some []models.RequestedLine
		for _, line := range b.Lines {
			if slices.Contains(products, line.ProductID) {
				some = append(some, line)
			}
		}
		if len(some) > 1 {
			kept.List = append(kept.List, loadgen.NewBasket(some))
		}
	}
	return kept
}

// TestOneEachRefuses: a floor that sold what is not there would be none.
func TestOneEachRefuses(t *testing.T) {
	t.Parallel()
	c := newRun(t)
	var closing closers
	f, e, err := closing.oneEach(t.Context(), c, []string{"a", "b"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, closing.close()) })
	reserve := func(key string, lines ...models.RequestedLine) error {
		_, err := e.Write(t.Context(), models.Reserve{IdempotencyKey: key, Lines: lines, TTL: time.Minute})
		return err
	}
	require.ErrorContains(t, reserve("1", models.RequestedLine{ProductID: "a", Quantity: fixture.OpeningStock + 1}), "not enough")
	require.ErrorContains(t, reserve("2", models.RequestedLine{ProductID: "a", Quantity: 1}, models.RequestedLine{ProductID: "b", Quantity: fixture.OpeningStock + 1}), "not enough")
	require.NoError(t, reserve("3", models.RequestedLine{ProductID: "a", Quantity: 1}, models.RequestedLine{ProductID: "b", Quantity: 2}))
	require.ErrorContains(t, reserve("3", models.RequestedLine{ProductID: "a", Quantity: 1}, models.RequestedLine{ProductID: "b", Quantity: 2}), "used before")
	require.NoError(t, f.Audit(t.Context(), loadgen.Measurement{Acknowledged: 1, Lines: 2, Units: 3}))
}

// TestResult: the ratio is the median of the rounds' ratios; an aim may be a ceiling, or missing.
func TestResult(t *testing.T) {
	t.Parallel()
	rounds := []round{
		{onhand: {PerSecond: 10}, transactionEach: {PerSecond: 1}},
		{onhand: {PerSecond: 30}, transactionEach: {PerSecond: 10}},
		{onhand: {PerSecond: 20}, transactionEach: {PerSecond: 4}},
	}
	met, missed := true, false
	want := result{Row: "w: r", Ratio: 5, Aim: "≥ 5", Met: &met, Ours: 20, Beside: 4, Unit: "reservations/s"}
	least := row{name: "r", beside: transactionEach, aim: 5}.withDefaults()
	require.Equal(t, want, least.result(workload{name: "w"}, rounds))
	want.Aim, want.Met = "≤ 4", &missed
	most := row{name: "r", beside: transactionEach, aim: 4, atMost: true}.withDefaults()
	require.Equal(t, want, most.result(workload{name: "w"}, rounds))
	want.Aim, want.Met = "", nil
	noAim := row{name: "r", beside: transactionEach}.withDefaults()
	require.Equal(t, want, noAim.result(workload{name: "w"}, rounds))
}

// TestMiddle: the result of a row is that of the run with the middle ratio, with the figures of that run.
func TestMiddle(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, (&measureCommand{Row: ".", Runs: runsMax + 1}).Validate(), "--runs")
	require.ErrorContains(t, (&measureCommand{Row: "."}).Validate(), "--runs")
	got := middle([]result{
		{Row: "a", Ratio: 3, Ours: 30}, {Row: "b", Ratio: 1, Ours: 1},
		{Row: "a", Ratio: 1, Ours: 10}, {Row: "b", Ratio: 2, Ours: 2},
		{Row: "a", Ratio: 2, Ours: 20}, {Row: "b", Ratio: 3, Ours: 3},
	})
	require.Equal(t, []result{{Row: "a", Ratio: 2, Ours: 20}, {Row: "b", Ratio: 2, Ours: 2}}, got)
	require.Equal(t, []result{{Row: "a", Ratio: 3}}, middle([]result{{Row: "a", Ratio: 3}}))
}

// TestWithout: only known optimisations can be switched off, and children get them as flags.
func TestWithout(t *testing.T) {
	t.Parallel()
	require.NoError(t, (&measureCommand{Row: ".", Runs: 1, Without: fixture.Switches()}).Validate())
	require.ErrorContains(t, (&measureCommand{Row: ".", Runs: 1, Without: []string{"fsync"}}).Validate(), "there are "+strings.Join(fixture.Switches(), ", "))
	var c commands
	parser, err := kong.New(&c, variables())
	require.NoError(t, err)
	flags := fixture.StoreFlags{Database: "d", Redis: "r", Prefix: "p", Without: []string{"prefetch", "ticker"}}
	_, err = parser.Parse(append([]string{"serve", "--writer", writerOnhand}, flags.Arguments()...))
	require.NoError(t, err)
	require.Equal(t, flags, c.Serve.StoreFlags)
}

// TestWorkloads: names of rows are unique, and each row names variants of its own.
func TestWorkloads(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, w := range workloads() {
		require.NotEmpty(t, w.rows, w.name)
		for _, r := range w.rows {
			require.False(t, seen[r.full(w)], r.full(w))
			seen[r.full(w)] = true
			require.NotEqual(t, r.ours, r.beside, r.full(w))
		}
	}
}

// TestResultsStay: rows that were not measured keep their figures, in the order of the workloads.
func TestResultsStay(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "results.json")
	w := workloads()[0]
	first, second := w.rows[0].full(w), w.rows[1].full(w)
	require.NoError(t, writeResults(path, []result{{Row: second, Ours: 1}}))
	require.NoError(t, writeResults(path, []result{{Row: first, Ours: 2}, {Row: "a row that no workload has"}}))
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var got []result
	require.NoError(t, json.Unmarshal(raw, &got))
	require.Equal(t, []result{{Row: first, Ours: 2}, {Row: second, Ours: 1}}, got)
}
