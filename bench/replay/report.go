package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"onhand/bench/loadgen"
)

// Report is what a run counted, in the order it is printed.
type Report struct {
	Run       string    `json:"run"`
	URL       string    `json:"url"`
	Opening   string    `json:"opening"`
	Customers int       `json:"customers"`
	Speed     float64   `json:"speed"`
	Started   time.Time `json:"started"`
	Seconds   float64   `json:"seconds"`

	Invoices       int `json:"invoices"` // finished, whatever the outcome
	Lines          int `json:"lines"`
	Calls          int `json:"calls"` // HTTP requests, repeats included
	Sales          int `json:"sales"`
	Shortages      int `json:"shortages"` // sales refused because there was not enough
	Returns        int `json:"returns"`
	WriteOffs      int `json:"writeOffs"`
	ShortWriteOffs int `json:"shortWriteOffs"` // write-offs of more than there was
	Refused        int `json:"refused"`        // invoices refused for another reason
	Unknown        int `json:"unknown"`        // invoices whose outcome is not known
	Split          int `json:"split"`          // invoices too large for one call
	Replayed       int `json:"replayed"`       // calls answered a second time, without a second effect

	UnitsSold       int `json:"unitsSold"`
	UnitsReturned   int `json:"unitsReturned"`
	UnitsWrittenOff int `json:"unitsWrittenOff"`

	InvoicesPerSecond float64 `json:"invoicesPerSecond"`
	LinesPerSecond    float64 `json:"linesPerSecond"`
	CallsPerSecond    float64 `json:"callsPerSecond"`
	// LagMaxMs is how late the run was by the file's clock, with --speed.
	LagMaxMs float64 `json:"lagMaxMs"`

	Reserve Latency `json:"reserve"`
	Commit  Latency `json:"commit"`
	Adjust  Latency `json:"adjust"`
	Invoice Latency `json:"invoice"` // from first call to last

	Retries map[string]int `json:"retries"` // by kind
	Errors  map[string]int `json:"errors"`  // by call and kind

	Audit AuditFindings `json:"audit"`
}

// Latency sums up how long calls took, in milliseconds, retries included.
type Latency struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50Ms"`
	P95   float64 `json:"p95Ms"`
	P99   float64 `json:"p99Ms"`
	Max   float64 `json:"maxMs"`
}

func latencyOf(s *loadgen.Snapshot) Latency {
	return Latency{
		Count: s.Count, Max: milliseconds(s.Max),
		P50: milliseconds(s.Percentile(50)), P95: milliseconds(s.Percentile(95)), P99: milliseconds(s.Percentile(99)),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func newReport(config Config, s *sender, started time.Time, took time.Duration) Report {
	t, sum := s.tally, s.expected.total()
	seconds := max(took.Seconds(), 1e-6)
	r := Report{
		Run: config.Run, URL: config.URL, Opening: config.Opening.String(), Customers: config.Customers, Speed: config.Speed,
		Started: started.UTC(), Seconds: seconds,
		Invoices: int(t.invoices.Load()), Lines: int(t.lines.Load()), Calls: int(s.client.calls.Load()),
		Sales: int(t.sales.Load()), Shortages: int(t.shortages.Load()), Returns: int(t.returns.Load()),
		WriteOffs: int(t.writeOffs.Load()), ShortWriteOffs: int(t.shortWriteOffs.Load()),
		Refused: int(t.refused.Load()), Unknown: int(t.unknown.Load()),
		Split: int(t.split.Load()), Replayed: int(t.replayed.Load()),
		UnitsSold: sum.sold, UnitsReturned: sum.returned, UnitsWrittenOff: sum.writtenOff,
		LagMaxMs: milliseconds(time.Duration(t.lagMax.Load())),
		Reserve:  latencyOf(t.reserve.Snapshot()), Commit: latencyOf(t.commit.Snapshot()), Adjust: latencyOf(t.adjust.Snapshot()),
		Invoice: latencyOf(t.whole.Snapshot()),
		Retries: t.retries.all(), Errors: t.errors.all(),
	}
	r.InvoicesPerSecond = float64(r.Invoices) / seconds
	r.LinesPerSecond = float64(r.Lines) / seconds
	r.CallsPerSecond = float64(r.Calls) / seconds
	return r
}

// verdict is the error of a run that ended and must not pass.
func (r Report) verdict() error {
	var errs []error
	if r.Unknown > 0 {
		errs = append(errs, fmt.Errorf("%d invoices have no outcome", r.Unknown))
	}
	if r.Refused > 0 {
		errs = append(errs, fmt.Errorf("%d invoices were refused for other reasons than a shortage", r.Refused))
	}
	if r.Audit.Differences > 0 {
		errs = append(errs, fmt.Errorf("the audit found %d differences", r.Audit.Differences))
	}
	return errors.Join(errs...)
}

// print writes the report for people.
func (r Report) print(out io.Writer) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) } // there is nowhere else to report it
	p("\n%d invoices, %d lines, %d calls in %.1f s", r.Invoices, r.Lines, r.Calls, r.Seconds)
	p("throughput   %.0f invoices/s, %.0f lines/s, %.0f calls/s", r.InvoicesPerSecond, r.LinesPerSecond, r.CallsPerSecond)
	p("sales        %d done (%d units), %d short", r.Sales, r.UnitsSold, r.Shortages)
	p("returns      %d done (%d units)", r.Returns, r.UnitsReturned)
	p("write-offs   %d done (%d units), %d short", r.WriteOffs, r.UnitsWrittenOff, r.ShortWriteOffs)
	p("refused      %d, unknown %d, split %d, replayed %d", r.Refused, r.Unknown, r.Split, r.Replayed)
	if r.Speed > 0 {
		p("speed        %.0f times the file's clock, at most %.0f ms late", r.Speed, r.LagMaxMs)
	}
	for _, l := range []struct {
		name string
		Latency
	}{{"reserve", r.Reserve}, {"commit", r.Commit}, {"adjust", r.Adjust}, {"invoice", r.Invoice}} {
		p("%-12s p50 %.1f ms, p95 %.1f ms, p99 %.1f ms, max %.1f ms (%d)", l.name, l.P50, l.P95, l.P99, l.Max, l.Count)
	}
	printCounts(p, "retries", r.Retries)
	printCounts(p, "errors", r.Errors)
	r.Audit.print(p)
}

func printCounts(p func(string, ...any), name string, byKind map[string]int) {
	if len(byKind) == 0 {
		p("%-12s none", name)
	}
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		p("%-12s %d %s", name, byKind[kind], kind)
	}
}

// write saves the report as JSON.
func (r Report) write(path string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}

// startProgress prints a line a second until the returned function is called.
func startProgress(out io.Writer, t *tally, started time.Time) (stop func()) {
	var running sync.WaitGroup
	done := make(chan struct{})
	running.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		before := 0
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				before = printProgress(out, t, time.Since(started), before)
			}
		}
	})
	return func() { close(done); running.Wait() }
}

// printProgress prints one line; rate and latencies are those since the line before.
func printProgress(out io.Writer, t *tally, since time.Duration, before int) int {
	now, l := int(t.invoices.Load()), latencyOf(t.recent.Drain())
	_, _ = fmt.Fprintf(out, "%4.0f s  invoices %d  %.0f/s  shortages %d  retries %d  p50 %.1f ms  p99 %.1f ms\n",
		since.Seconds(), now, float64(now-before)/progressEvery.Seconds(), t.shortages.Load(), t.retries.total(), l.P50, l.P99)
	return now
}
