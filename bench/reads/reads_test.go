package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"onhand/bench/fixture"
	"onhand/bench/results"
	"onhand/bench/testbed"
	"onhand/graph/generated"
	"onhand/models"
	"onhand/store/storetest"
)

// TestMain also is the program, for the floors that a variant starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "floor" {
		main()
		return
	}
	storetest.Main(m)
}

// TestDocumentsFitTheSchema validates the documents against the schema that the server serves.
func TestDocumentsFitTheSchema(t *testing.T) {
	t.Parallel()
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	for _, w := range workloads() {
		_, errs := gqlparser.LoadQueryWithRules(schema, w.ask.document, rules.NewDefaultRules())
		require.Empty(t, errs, w.name)
	}
}

// TestWorkloads: names of rows are unique, and a row compares two things.
func TestWorkloads(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, name := range rowNames() {
		require.False(t, seen[name], name)
		seen[name] = true
	}
	for _, w := range workloads() {
		for _, r := range w.rows {
			require.NotEqual(t, r.Ours, r.Beside, r.Full(w.name))
		}
	}
}

// TestRowsAreMeasured runs every workload for a moment, on real servers and the built program. Every floor must answer
// as Onhand does.
func TestRowsAreMeasured(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	program := filepath.Join(t.TempDir(), "onhand")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "onhand").CombinedOutput()
	require.NoError(t, err, "%s", out)
	servers, err := testbed.Start(false)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Close()) })
	var log bytes.Buffer
	c := &readCommand{
		Row: ".", Rounds: 3, Length: 50 * time.Millisecond, Warm: 10 * time.Millisecond, Products: 2_000, Server: program,
		out: &log, started: time.Now(), servers: servers, cold: 500,
	}
	selected, err := c.selectRows()
	require.NoError(t, err)
	for i := range selected {
		selected[i].callers = min(selected[i].callers, 4) // with more, a turn of the slowest floor has no answer
	}
	list, err := c.measure(t.Context(), selected)
	require.NoError(t, err, "%s", &log)
	require.Len(t, list, len(rowNames()))
	for _, r := range list {
		if !strings.Contains(r.Row, oldest) && !strings.Contains(r.Row, databaseReads) {
			require.Positive(t, r.Ours, r.Row)
			require.Positive(t, r.Beside, r.Row)
		}
	}
}

// TestAgeOfAnAnswer: an answer is as old as the oldest sale that it should show and does not.
func TestAgeOfAnAnswer(t *testing.T) {
	t.Parallel()
	now := time.Now()
	first := &snapshot{at: now.Add(-3 * time.Second), sold: []int64{1, 0}}
	second := &snapshot{at: now.Add(-2 * time.Second), sold: []int64{1, 5}}
	second.before.Store(first)
	third := &snapshot{at: now.Add(-time.Second), sold: []int64{2, 6}}
	third.before.Store(second)
	answer := func(sold ...int) []byte {
		var b bytes.Buffer
		for _, n := range sold {
			b.WriteString(`{"quantityAvailable":`)
			b.WriteString(strings.TrimSpace(string(appendNumber(nil, fixture.ShopQuantity-n))))
			b.WriteString(`,"version":1}`)
		}
		return b.Bytes()
	}
	for _, test := range []struct {
		sold []int
		age  time.Duration
	}{
		{[]int{2, 6}, 0}, {[]int{9, 9}, 0}, {[]int{1, 6}, time.Second}, {[]int{2, 4}, 2 * time.Second}, {[]int{0, 6}, 3 * time.Second},
	} {
		s := &sales{sold: make([]atomic.Int64, 2)}
		require.NoError(t, s.check(prepared{numbers: []int{0, 1}, before: third, sent: now}, answer(test.sold...)))
		require.Equal(t, test.age, time.Duration(s.oldest.Load()), "%v", test.sold)
	}
	require.Error(t, (&sales{}).check(prepared{numbers: []int{0, 1}}, answer(1)))
}

func appendNumber(to []byte, n int) []byte {
	if n >= 10 {
		to = appendNumber(to, n/10)
	}
	return append(to, byte('0'+n%10))
}

// TestSalesStop: a reservation that fails ends the sales with its error.
func TestSalesStop(t *testing.T) {
	t.Parallel()
	failing := make(chan struct{})
	s := &sales{sold: make([]atomic.Int64, 3), write: func(context.Context, models.Write) (models.WriteResult, error) {
		select {
		case failing <- struct{}{}:
		default:
		}
		return models.WriteResult{}, context.DeadlineExceeded
	}}
	stop := s.begin(t.Context())
	<-failing
	require.ErrorIs(t, stop(), context.DeadlineExceeded)
	require.Zero(t, s.count.Load())
}

// TestCheck: an answer without data, with errors, or without a product is refused.
func TestCheck(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkFast([]byte(`{"data":{"stocks":[]}}`)))
	require.Error(t, checkFast([]byte(`{"errors":[{"message":"no"}]}`)))
	require.Error(t, checkFast([]byte(`{"data":{"stocks":null},"errors":[{"message":"no"}]}`)))
	require.NoError(t, threeFields.check([]byte(`{"data":{"stocks":[{"productId":"a"},{"productId":"b"}]}}`), []string{"a", "b"}))
	require.Error(t, threeFields.check([]byte(`{"data":{"stocks":[{"productId":"a"},null]}}`), []string{"a", "b"}))
}

// TestPopular: requests are JSON of different products within the shop, and differ from each other.
func TestPopular(t *testing.T) {
	t.Parallel()
	next := popular(threeFields, 1_000, 1)
	seen := map[string]bool{}
	for range 100 {
		p := next()
		require.JSONEq(t, string(threeFields.body(manyIDs(products(p.numbers)))), string(p.body))
		require.False(t, seen[string(p.body)])
		seen[string(p.body)] = true
		numbers := map[int]bool{}
		for _, n := range p.numbers {
			require.Less(t, n, 1_000)
			numbers[n] = true
		}
		require.Len(t, numbers, pageLength)
	}
}

// TestKeptTable: the table of --growth that is kept has the columns and lines that a run measures.
func TestKeptTable(t *testing.T) {
	t.Parallel()
	kept, err := results.ReadGrowth(filepath.Join("..", "..", results.GrowthPath))
	require.NoError(t, err)
	require.NoError(t, kept["products"].Whole(growthColumns, len(growthSizesFull)))
}
