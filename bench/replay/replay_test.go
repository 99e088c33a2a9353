package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/store/stockfile"
)

const (
	yearInvoices = 300
	yearSales    = 240
	yearReturns  = 30
	yearWriteOff = 30
)

// writeYear writes a small year: sales of up to nine lines with repeated products, returns and write-offs.
func writeYear(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n")
	for i := range yearInvoices {
		at := time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC).Add(time.Duration(i) * time.Minute).Format("2006-01-02T15:04:05")
		number, sign, lines := fmt.Sprint(1000+i), 1, i%9+1
		switch i % 10 {
		case 4:
			number, sign = "C"+number, -1
		case 7:
			sign, lines = -1, 1
		}
		for j := range lines {
			fmt.Fprintf(&b, "%s,P%d,THING,%d,%s,1,%d,UK\n", number, (i*7+j*j)%23, sign*(1+(i+j)%5), at, i%17)
		}
	}
	path := filepath.Join(t.TempDir(), "year.csv")
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}

// open prepares a server with the opening stock of the file, and the configuration to replay it with.
func open(t *testing.T, file, opening string) (*fakeServer, Config) {
	t.Helper()
	o, err := stockfile.ParseOpening(opening)
	require.NoError(t, err)
	config := Config{
		File: file, Opening: o, Customers: 8, RetryFor: 10 * time.Second, Location: stockfile.OnlineRetailLocation().LocationID,
	}
	rows, _, err := readOpening(config)
	require.NoError(t, err)
	s, url := newFakeServer(t, rows)
	config.URL = url
	return s, config
}

func TestReplay(t *testing.T) {
	t.Parallel()
	every := func(n int, what callFault) func(int, string) callFault {
		return func(call int, _ string) callFault {
			if call%n == 0 {
				return what
			}
			return none
		}
	}
	for name, c := range map[string]struct {
		opening string
		faultOf func(int, string) callFault
		retries string // the kind there must be
		config  func(*Config)
	}{
		"quiet":            {opening: "full"},
		"one customer":     {opening: "full", config: func(c *Config) { c.Customers = 1 }},
		"by the clock":     {opening: "full", config: func(c *Config) { c.Speed = 1e6 }},
		"shortages":        {opening: "0.4"},
		"lost requests":    {opening: "full", faultOf: every(5, lostRequest), retries: "network"},
		"lost answers":     {opening: "full", faultOf: every(5, lostAnswer), retries: "network"},
		"lost and short":   {opening: "0.4", faultOf: every(3, lostAnswer), retries: "network"},
		"unavailable":      {opening: "full", faultOf: every(5, unavailable), retries: "UNAVAILABLE"},
		"bad gateway":      {opening: "full", faultOf: every(5, badGateway), retries: "HTTP 502"},
		"concurrent":       {opening: "full", faultOf: mutations(every(5, sameKeyAtOnce)), retries: "CONCURRENT_REQUEST"},
		"short at the end": {opening: "0.000001"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, config := open(t, writeYear(t), c.opening)
			if c.faultOf != nil {
				s.faultOf = c.faultOf
			}
			if c.config != nil {
				c.config(&config)
			}
			r, err := Replay(t.Context(), config, io.Discard)
			require.NoError(t, err)
			require.Zero(t, r.Audit.Differences, r.Audit.First)
			require.Equal(t, 23, r.Audit.Products)
			require.Equal(t, yearInvoices, r.Invoices)
			require.Equal(t, yearSales, r.Sales+r.Shortages)
			require.Equal(t, yearReturns, r.Returns)
			require.Equal(t, yearWriteOff, r.WriteOffs+r.ShortWriteOffs)
			require.Equal(t, c.opening != "full", r.Shortages > 0)
			require.Empty(t, r.Errors)
			if c.retries == "" {
				require.Empty(t, r.Retries)
			} else {
				require.Positive(t, r.Retries[c.retries])
			}
			require.Equal(t, yearSales, r.Reserve.Count)
			require.Equal(t, r.Sales, r.Commit.Count)
		})
	}
}

// mutations keeps faults away from the queries of the audit.
func mutations(of func(int, string) callFault) func(int, string) callFault {
	return func(call int, operation string) callFault {
		if operation == "Products" || operation == "Stocks" {
			return none
		}
		return of(call, operation)
	}
}

func TestReplayTwiceUnderOneName(t *testing.T) {
	t.Parallel()
	for opening, what := range map[string]string{"full": "changes nothing", "0.4": "asks again for what was short"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			_, config := open(t, writeYear(t), opening)
			config.Run, config.Limit = "again", 100
			first, err := Replay(t.Context(), config, io.Discard)
			require.NoError(t, err)
			require.Equal(t, 100, first.Invoices)
			require.Zero(t, first.Replayed)
			second, err := Replay(t.Context(), config, io.Discard)
			require.NoError(t, err, "the audit found nothing that was done twice")
			require.GreaterOrEqual(t, second.Replayed, 2*first.Sales+first.Returns)
			require.GreaterOrEqual(t, second.Sales, first.Sales)
			if opening == "full" {
				require.Equal(t, first.UnitsSold, second.UnitsSold)
			}
		})
	}
}

func TestReplaySplitsWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	line := "1,A,x,1,2010-12-01T08:26:00,1,7,UK\n"
	file := filepath.Join(t.TempDir(), "large.csv")
	header := "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
	require.NoError(t, os.WriteFile(file, []byte(header+strings.Repeat(line, 2500)), 0o600))
	_, config := open(t, file, "full")
	r, err := Replay(t.Context(), config, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 1, r.Split)
	require.Equal(t, 1, r.Sales)
	require.Equal(t, 2, r.Reserve.Count)
	require.Equal(t, 2500, r.UnitsSold)
}

func TestReplayDoesNotGuess(t *testing.T) {
	t.Parallel()
	s, config := open(t, writeYear(t), "full")
	config.Limit = 20
	s.faultOf = func(_ int, operation string) callFault {
		if operation == "Commit" {
			return internal
		}
		return none
	}
	r, err := Replay(t.Context(), config, io.Discard)
	require.ErrorContains(t, err, "16 invoices have no outcome")
	require.ErrorContains(t, err, "the audit found", "the reservations are still there")
	require.Equal(t, 16, r.Unknown)
	require.Equal(t, map[string]int{"commit: INTERNAL": 16}, r.Errors)
	require.Zero(t, r.UnitsSold)
}

func TestReplayGivesUp(t *testing.T) {
	t.Parallel()
	s, config := open(t, writeYear(t), "full")
	config.RetryFor = 0
	s.faultOf = mutations(func(int, string) callFault { return lostRequest })
	r, err := Replay(t.Context(), config, io.Discard)
	require.ErrorIs(t, err, errGiveUp)
	require.Greater(t, r.Unknown, unknownMax)
	require.Less(t, r.Invoices, yearInvoices)
}

func TestReplayEndsEarlyWhenInterrupted(t *testing.T) {
	t.Parallel()
	s, config := open(t, writeYear(t), "full")
	ctx, interrupt := context.WithCancel(t.Context())
	s.faultOf = func(call int, _ string) callFault {
		if call == 50 {
			interrupt()
		}
		return none
	}
	r, err := Replay(ctx, config, io.Discard)
	require.ErrorContains(t, err, "interrupted")
	require.Less(t, r.Invoices, yearInvoices)
	require.Zero(t, r.Audit.Differences, "what was in flight was finished and audited")
	require.Zero(t, r.Unknown)
}

func TestReplayRefusesABrokenFileBeforeTheFirstCall(t *testing.T) {
	t.Parallel()
	file := writeYear(t)
	s, config := open(t, file, "full")
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("1,A,x,0\n")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	r, err := Replay(t.Context(), config, io.Discard)
	require.ErrorContains(t, err, `the Quantity "0" must be`)
	require.Zero(t, r)
	require.Zero(t, s.calls)
}

func TestReportAndProgress(t *testing.T) {
	t.Parallel()
	s, config := open(t, writeYear(t), "0.4")
	s.stock["P1"].Available++ // so that there is a difference to print
	r, err := Replay(t.Context(), config, io.Discard)
	require.ErrorContains(t, err, "the audit found 1 differences")
	var out bytes.Buffer
	r.print(&out)
	for _, want := range []string{
		"\n300 invoices, ", "throughput ", "short\n", "reserve      p50 ", "retries      none\n", "errors       none\n", `differs:   product "P1" has available `,
	} {
		require.Contains(t, out.String(), want)
	}
	path := filepath.Join(t.TempDir(), "report.json")
	require.NoError(t, r.write(path))
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"invoicesPerSecond": `)

	out.Reset()
	counted := newTally()
	counted.finish(stockfile.Invoice{Kind: stockfile.Sale}, short, time.Millisecond)
	counted.recent.Add(2 * time.Millisecond)
	require.Equal(t, 1, printProgress(&out, counted, 3*time.Second, 0))
	require.Equal(t, "   3 s  invoices 1  1/s  shortages 1  retries 0  p50 2.0 ms  p99 2.0 ms\n", out.String())
}
