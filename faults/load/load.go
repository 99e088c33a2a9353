package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onhand/faults/wait"
)

const (
	// pageInterval is how long a shopper looks at a page before the next.
	pageInterval = 10 * time.Millisecond
	// MoreLimit bounds the wait for operations under load.
	MoreLimit = 60 * time.Second
)

// Load is customers and shoppers at work.
type Load struct {
	// Attempts are the customers' attempts without a definite answer.
	Attempts Attempts
	// PageAttempts are the shoppers' pages that were not answered.
	PageAttempts Attempts

	target *Target
	retry  context.Context // ends when customers must give up
	giveUp context.CancelFunc
	stop   context.CancelFunc
	people sync.WaitGroup
	done   atomic.Int64

	mu      sync.Mutex
	pages   []pageRead
	slowest time.Duration // of the customers' attempts
}

// pageRead is one page that a shopper read.
type pageRead struct {
	took     time.Duration
	answered bool
}

// Start starts customers with a habit, and shoppers.
func Start(target *Target, customers, shoppers int, habit Habit) *Load {
	l := &Load{target: target}
	l.retry, l.giveUp = context.WithCancel(context.Background())
	ctx, stop := context.WithCancel(l.retry)
	l.stop = stop
	for n := range customers {
		c := newCustomer(l, n)
		l.people.Go(func() { c.run(ctx, habit) })
	}
	for n := range shoppers {
		l.people.Go(func() { l.browse(ctx, n) })
	}
	target.T.Cleanup(func() { l.giveUp(); l.people.Wait() })
	return l
}

// attempted notes how long one attempt of a customer took, whatever its result.
func (l *Load) attempted(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowest = max(l.slowest, took)
}

// Slowest is the longest attempt of a customer since it was asked last.
func (l *Load) Slowest() (took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	took, l.slowest = l.slowest, 0
	return took.Round(time.Millisecond)
}

// Done is how many operations have ended.
func (l *Load) Done() int { return int(l.done.Load()) }

// More waits until n more operations have ended.
func (l *Load) More(n int) {
	l.target.T.Helper()
	n += l.Done()
	wait.Until(l.target.T, MoreLimit, "more operations", func() bool { return l.Done() >= n })
}

// During lets the load go on for the length of a fault.
func (l *Load) During(length time.Duration) { time.Sleep(length) }

// Stop ends the load. Operations in flight are finished, or given up after RetryLimit.
func (l *Load) Stop() {
	l.stop()
	l.people.Wait()
	l.giveUp()
	l.target.Client.Close()
	l.target.Shoppers.Close()
	l.target.T.Logf("%d operations; attempts without an answer: %s; pages: %s", l.Done(), &l.Attempts, l.Pages(0))
}

// browse reads pages from one instance after the other, each once.
func (l *Load) browse(ctx context.Context, first int) {
	for n := first; ctx.Err() == nil; n++ {
		var data PageData
		began := time.Now()
		err := l.target.Shoppers.Ask(ctx, l.target.url(n), PageDocument, map[string]any{"ids": l.target.Products}, &data)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.PageAttempts.add(err)
		}
		l.mu.Lock()
		l.pages = append(l.pages, pageRead{time.Since(began), err == nil})
		l.mu.Unlock()
		sleep(ctx, pageInterval)
	}
}

// PagesRead is how many pages have been read: the number of the next one.
func (l *Load) PagesRead() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pages)
}

// Pages are what shoppers read.
type Pages struct {
	Read, Failed  int
	P50, P99, Max time.Duration
}

// Pages sums up the pages from a number on.
func (l *Load) Pages(from int) Pages {
	l.mu.Lock()
	defer l.mu.Unlock()
	var p Pages
	var took []time.Duration
	for _, page := range l.pages[from:] {
		p.Read++
		if !page.answered {
			p.Failed++
		}
		took = append(took, page.took)
	}
	if len(took) > 0 {
		p.P50, p.P99, p.Max = percentile(took, 50), percentile(took, 99), slices.Max(took)
	}
	return p
}

// String is the summary in a line.
func (p Pages) String() string {
	return fmt.Sprintf("%d read, %d not answered, p50 %s, p99 %s, longest %s", p.Read, p.Failed,
		p.P50.Round(time.Millisecond/10), p.P99.Round(time.Millisecond/10), p.Max.Round(time.Millisecond/10))
}

// percentile sorts the durations, of which there is at least one.
func percentile(list []time.Duration, percent int) time.Duration {
	slices.Sort(list)
	return list[len(list)*percent/100]
}

// CheckUndisturbed fails the test when a page was not answered, or a customer had to ask again.
func (l *Load) CheckUndisturbed(t *testing.T) {
	t.Helper()
	if failed := l.Pages(0).Failed; failed > 0 {
		t.Errorf("%d pages were not answered: %s", failed, &l.PageAttempts)
	}
	if attempts := l.Attempts.String(); attempts != "" {
		t.Errorf("customers had to ask again: %s", attempts)
	}
}

// CheckRetryable fails the test for a code that tells a client to give up.
func (l *Load) CheckRetryable(t *testing.T) {
	t.Helper()
	for _, code := range append(l.Attempts.Unexpected(), l.PageAttempts.Unexpected()...) {
		t.Errorf("a client got a code to give up: %s", code)
	}
}
