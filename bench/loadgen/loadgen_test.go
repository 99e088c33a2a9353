package loadgen

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"onhand/graph/generated"
	"onhand/models"
)

// TestDocumentFitsTheSchema validates the document against the schema that the server serves.
func TestDocumentFitsTheSchema(t *testing.T) {
	t.Parallel()
	_, errs := gqlparser.LoadQueryWithRules(generated.NewExecutableSchema(generated.Config{}).Schema(), Document, rules.NewDefaultRules())
	require.Empty(t, errs)
}

// TestHistogram: percentiles are right to a step of their power of two.
func TestHistogram(t *testing.T) {
	t.Parallel()
	var h Histogram
	require.Zero(t, h.Snapshot().Percentile(99))
	for i := 1; i <= 1000; i++ {
		h.Add(time.Duration(i) * time.Millisecond)
	}
	for _, s := range []*Snapshot{h.Snapshot(), h.Drain()} {
		require.Equal(t, 1000, s.Count)
		require.InEpsilon(t, 0.5, s.Percentile(50).Seconds(), 0.04)
		require.InEpsilon(t, 0.99, s.Percentile(99).Seconds(), 0.04)
		require.Equal(t, time.Second, s.Percentile(100))
		require.Equal(t, time.Second, s.Max)
	}
	require.Equal(t, Snapshot{}, *h.Snapshot(), "Drain empties it")

	for us := 0; us < 100_000; us += 7 {
		d := time.Duration(us) * time.Microsecond
		b := bucketOf(d)
		require.LessOrEqual(t, d, bucketEnd(b))
		if b > 0 {
			require.Greater(t, d, bucketEnd(b-1))
		}
	}
	require.Less(t, bucketOf(1<<63-1), bucketCount)
}

// TestRunMeasuresOnlyTheWindow: calls of the warm-up are acknowledged and not measured.
func TestRunMeasuresOnlyTheWindow(t *testing.T) {
	t.Parallel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	m, err := Run(Params{Callers: 1, Warm: 200 * time.Millisecond, Length: 200 * time.Millisecond}, "t", func(w *Worker) error {
		<-ticker.C
		w.Acknowledge(NewBasket([]models.RequestedLine{{Quantity: 2}, {Quantity: 3}}))
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []int{2 * m.Acknowledged, 5 * m.Acknowledged}, []int{m.Lines, m.Units})
	require.Less(t, m.PerSecond*0.2, float64(m.Acknowledged)*0.8)
}

// TestRunEnds: the first error ends a turn; a call that was given up does not count.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	_, err := Run(Params{Callers: 8, Length: time.Minute}, "t", func(*Worker) error { return context.Canceled })
	require.ErrorIs(t, err, context.Canceled)
	m, err := Run(Params{Callers: 8, Length: 50 * time.Millisecond}, "t", func(w *Worker) error {
		<-w.Turn.Done()
		return ErrOver
	})
	require.NoError(t, err)
	require.Zero(t, m.Acknowledged)
}

// TestBaskets: a basket has twenty different products, from a file's sales alone, and the same every time without one.
func TestBaskets(t *testing.T) {
	t.Parallel()
	generated, err := ReadBaskets("")
	require.NoError(t, err)
	require.Contains(t, generated.Source, "generated")
	again, err := ReadBaskets(filepath.Join(t.TempDir(), "none"))
	require.NoError(t, err)
	require.Equal(t, generated.List, again.List)
	requireBaskets(t, generated)

	var file strings.Builder
	file.WriteString("InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n")
	for i := range 25 {
		fmt.Fprintf(&file, "1,P%d,X,%d,2010-12-01T08:26:00,1.00,1,UK\n", i%22, 500*i+1)
		fmt.Fprintf(&file, "C2,P%d,X,-1,2010-12-01T08:26:00,1.00,1,UK\n", i)
	}
	path := filepath.Join(t.TempDir(), "sales.csv")
	require.NoError(t, os.WriteFile(path, []byte(file.String()), 0o600))
	read, err := ReadBaskets(path)
	require.NoError(t, err)
	require.Len(t, read.List, 1)
	requireBaskets(t, read)
	require.Equal(t, models.RequestedLine{ProductID: "P1", Quantity: UnitsMax}, read.List[0].Lines[1])
}

func requireBaskets(t *testing.T, baskets Baskets) {
	t.Helper()
	known := map[string]bool{}
	for _, id := range baskets.Products {
		known[id] = true
	}
	for _, b := range baskets.List {
		require.Len(t, b.Lines, BasketLines)
		seen, units := map[string]bool{}, 0
		for _, line := range b.Lines {
			require.False(t, seen[line.ProductID])
			require.True(t, known[line.ProductID])
			require.Positive(t, line.Quantity)
			seen[line.ProductID] = true
			units += line.Quantity
		}
		require.Equal(t, units, b.units)
		var lines []models.RequestedLine
		require.NoError(t, json.Unmarshal(b.json, &lines))
		require.Equal(t, b.Lines, lines)
	}
}

// TestConnection: a request is what the API reads, and only a new reservation is acknowledged.
func TestConnection(t *testing.T) {
	t.Parallel()
	var body string
	answer := `{"data":{"reserveStock":{"reservation":{"state":"ACTIVE"},"replayed":false,"errors":[]}}}`
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		body = string(raw)
		if calls.Add(1) == 3 {
			answer = `{"data":{"reserveStock":{"reservation":null,"replayed":false,"errors":[{"message":"not enough"}]}}}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	pool, err := DialPool([]string{strings.TrimPrefix(server.URL, "http://")}, 1)
	require.NoError(t, err)
	w := &Worker{prefix: "run-"}
	reserve := pool.ReserveForOwners([]Basket{NewBasket([]models.RequestedLine{{ProductID: `a"b`, Quantity: 2}, {ProductID: "c", Quantity: 1}})})
	require.NoError(t, reserve(w))
	require.NoError(t, reserve(w))
	var sent struct {
		Query     string
		Variables struct {
			Input struct {
				IdempotencyKey, OwnerRef string
				Lines                    []models.RequestedLine
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &sent))
	require.Equal(t, Document, sent.Query)
	require.Equal(t, "run-0-2", sent.Variables.Input.IdempotencyKey)
	require.Equal(t, "run-0-2", sent.Variables.Input.OwnerRef)
	require.Equal(t, []models.RequestedLine{{ProductID: `a"b`, Quantity: 2}, {ProductID: "c", Quantity: 1}}, sent.Variables.Input.Lines)
	require.Equal(t, []int{4, 6}, []int{w.lines, w.units})
	require.ErrorContains(t, reserve(w), "not enough")
	require.Equal(t, []int{4, 6}, []int{w.lines, w.units})
	require.NoError(t, pool.Close())
	require.Error(t, reserve(w))
}

// TestRequester: an answer is read whole, with a length or in chunks, and an answer with another status is an error.
func TestRequester(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789", 10_000)
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch calls.Add(1) {
		case 1:
			_, _ = w.Write(body)
		case 2:
			_, _ = io.WriteString(w, large) // in chunks, for it is larger than the server's buffer
		case 3:
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, "why")
		}
	}))
	t.Cleanup(server.Close)
	c, err := DialRequester(strings.TrimPrefix(server.URL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	for _, want := range []string{"hello", large} {
		answer, err := c.Do(c.AppendRequest(nil, []byte("hello")))
		require.NoError(t, err)
		require.Equal(t, want, string(answer))
	}
	_, err = c.Do(c.AppendRequest(nil, nil))
	require.ErrorContains(t, err, "why")
}
