package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"onhand/graph/generated"
	"onhand/models"
	"onhand/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// TestDocumentFitsTheSchema holds the document against the schema that the server serves.
func TestDocumentFitsTheSchema(t *testing.T) {
	t.Parallel()
	_, errs := gqlparser.LoadQueryWithRules(generated.NewExecutableSchema(generated.Config{}).Schema(), document, rules.NewDefaultRules())
	require.Empty(t, errs)
}

// TestContendersCountWhatTheySell runs every contender for a moment on real servers: what was acknowledged must be found,
// and one reservation more or one unit more must be missed.
func TestContendersCountWhatTheySell(t *testing.T) {
	t.Parallel()
	servers, err := startServers(false)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.close()) })
	carts, products := madeUp()
	all := func(string) bool { return true }
	for name, open := range map[string]opener{
		"single lines": openDirect([]string{"hot"}, nil), "carts": openDirect(products[:200], within(carts, products[:200])), "graphql": openServed,
	} {
		b := &bench{servers: servers, databases: len(name) * 100} // names of its own
		list, closeAll, err := open(t.Context(), b, all)
		require.NoError(t, err, name)
		for _, c := range list {
			if name == "carts" && c.name != ours && c.name != oneEach {
				continue // these sell single lines
			}
			m, err := c.turn(load{callers: 4, length: 100 * time.Millisecond})
			require.NoError(t, err, "%s: %s", name, c.name)
			require.Positive(t, m.Acknowledged, c.name)
			require.NoError(t, c.audit(t.Context(), m), "%s: %s", name, c.name)
			if c.name == nothingServed {
				continue
			}
			m.Units++
			m.Acknowledged++
			require.ErrorContains(t, c.audit(t.Context(), m), "audit", "%s: %s", name, c.name)
		}
		require.NoError(t, closeAll())
	}
}

// within keeps the carts that buy only these products.
func within(carts [][]models.Line, products []string) (kept [][]models.Line) {
	known := map[string]bool{}
	for _, id := range products {
		known[id] = true
	}
	for _, lines := range carts {
		var some []models.Line
		for _, line := range lines {
			if known[line.ProductID] {
				some = append(some, line)
			}
		}
		if len(some) > 1 {
			kept = append(kept, some)
		}
	}
	return kept
}

// TestSingleRefuses: a competitor that sold what is not there would be no floor.
func TestSingleRefuses(t *testing.T) {
	t.Parallel()
	servers, err := startServers(false)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.close()) })
	var o opened
	each, err := o.single(t.Context(), &bench{servers: servers}, []string{"a", "b"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.close()) })
	reserve := func(key string, lines ...models.Line) error {
		_, err := each.Write(t.Context(), models.Reserve{IdempotencyKey: key, Lines: lines, TTL: time.Minute})
		return err
	}
	require.ErrorContains(t, reserve("1", models.Line{ProductID: "a", Quantity: opening + 1}), "not enough")
	require.ErrorContains(t, reserve("2", models.Line{ProductID: "a", Quantity: 1}, models.Line{ProductID: "b", Quantity: opening + 1}), "not enough")
	require.NoError(t, reserve("3", models.Line{ProductID: "a", Quantity: 1}, models.Line{ProductID: "b", Quantity: 2}))
	require.ErrorContains(t, reserve("3", models.Line{ProductID: "a", Quantity: 1}, models.Line{ProductID: "b", Quantity: 2}), "used before")
	require.NoError(t, each.audit(t.Context(), measure{Acknowledged: 1, Lines: 2, Units: 3}))
}

// TestHistogram: percentiles are right to a step of their power of two.
func TestHistogram(t *testing.T) {
	t.Parallel()
	var h histogram
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Millisecond)
	}
	require.Equal(t, 1000, h.count())
	require.InEpsilon(t, 0.5, h.percentile(50).Seconds(), 0.04)
	require.InEpsilon(t, 0.99, h.percentile(99).Seconds(), 0.04)
}

// TestRunMeasuresOnlyTheWindow: calls while warming up are acknowledged and not measured.
func TestRunMeasuresOnlyTheWindow(t *testing.T) {
	t.Parallel()
	pause := make(chan time.Time)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	go func() {
		for range 1000 {
			pause <- <-ticker.C
		}
	}()
	m, err := run(load{callers: 1, warm: 200 * time.Millisecond, length: 200 * time.Millisecond}, "t", func(w *worker) error {
		<-pause
		w.take([]models.Line{{Quantity: 2}, {Quantity: 3}})
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []int{2 * m.Acknowledged, 5 * m.Acknowledged}, []int{m.Lines, m.Units})
	require.Less(t, m.PerSecond*0.2, float64(m.Acknowledged)*0.8)
	_, err = run(load{callers: 8, length: time.Minute}, "t", func(*worker) error { return context.Canceled })
	require.ErrorIs(t, err, context.Canceled)
}

// TestResult: the ratio is the median of the rounds' ratios, and an aim may be a ceiling.
func TestResult(t *testing.T) {
	t.Parallel()
	rounds := []round{
		{ours: {PerSecond: 10}, oneEach: {PerSecond: 1}}, {ours: {PerSecond: 30}, oneEach: {PerSecond: 10}}, {ours: {PerSecond: 20}, oneEach: {PerSecond: 4}},
	}
	floor := row{name: "r", beside: oneEach, aim: 5}
	require.Equal(t, result{Row: "s: r", Ours: 20, Beside: 4, Ratio: 5, Aim: "≥ 5", Met: true, Unit: "reservations/s"}, floor.result(scene{name: "s"}, rounds))
	ceiling := row{name: "r", beside: oneEach, aim: 4, atMost: true}
	require.False(t, ceiling.result(scene{name: "s"}, rounds).Met)
}

// TestResultsStay: rows that were not run keep their figures, in the order of the scenes.
func TestResultsStay(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "results.json")
	s := scenes()[0]
	first, second := s.rows[0].full(s), s.rows[1].full(s)
	require.NoError(t, writeResults(path, []result{{Row: second, Ours: 1}}))
	require.NoError(t, writeResults(path, []result{{Row: first, Ours: 2}, {Row: "a row that is no more"}}))
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var got []result
	require.NoError(t, json.Unmarshal(raw, &got))
	require.Equal(t, []result{{Row: first, Ours: 2}, {Row: second, Ours: 1}}, got)
}

// TestCarts: twenty different products each, from a file's sales alone, and the same every time without one.
func TestCarts(t *testing.T) {
	t.Parallel()
	carts, products, from, err := readCarts("")
	require.NoError(t, err)
	require.Contains(t, from, "made up")
	again, _, _, err := readCarts(filepath.Join(t.TempDir(), "none"))
	require.NoError(t, err)
	require.Equal(t, carts, again)
	requireCarts(t, carts, products)

	var file strings.Builder
	file.WriteString("InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n")
	for i := range 25 {
		fmt.Fprintf(&file, "1,P%d,X,%d,2010-12-01T08:26:00,1.00,1,UK\n", i%22, 500*i+1)
		fmt.Fprintf(&file, "C2,P%d,X,-1,2010-12-01T08:26:00,1.00,1,UK\n", i)
	}
	path := filepath.Join(t.TempDir(), "sales.csv")
	require.NoError(t, os.WriteFile(path, []byte(file.String()), 0o600))
	carts, products, _, err = readCarts(path)
	require.NoError(t, err)
	require.Len(t, carts, 1)
	requireCarts(t, carts, products)
	require.Equal(t, models.Line{ProductID: "P1", Quantity: unitsMax}, carts[0][1])
}

func requireCarts(t *testing.T, carts [][]models.Line, products []string) {
	t.Helper()
	known := map[string]bool{}
	for _, id := range products {
		known[id] = true
	}
	for _, lines := range carts {
		require.Len(t, lines, cartLines)
		seen := map[string]bool{}
		for _, line := range lines {
			require.False(t, seen[line.ProductID])
			require.True(t, known[line.ProductID])
			require.Positive(t, line.Quantity)
			seen[line.ProductID] = true
		}
	}
}
