package main

import (
	"os"
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
		"single lines": openInProcess(hotBaskets), "carts": openInProcess(few), "graphql": openServed(few, servedVariants), "two instances": openInstances,
		"judged": openJudged,
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

// TestRuns: the number of runs has a bound.
func TestRuns(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, (&measureCommand{Row: ".", Runs: runsMax + 1}).Validate(), "--runs")
	require.ErrorContains(t, (&measureCommand{Row: "."}).Validate(), "--runs")
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
	for _, w := range append(workloads(), judgedWorkloads()...) {
		require.NotEmpty(t, w.rows, w.name)
		for _, r := range w.rows {
			require.False(t, seen[r.Full(w.name)], r.Full(w.name))
			seen[r.Full(w.name)] = true
			require.NotEqual(t, r.Ours, r.Beside, r.Full(w.name))
		}
	}
}
