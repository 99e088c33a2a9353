package faults

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/load"
	"onhand/faults/process"
)

const (
	// quietStretch and floodStretch are how long shoppers are timed, alone and beside the floods.
	quietStretch, floodStretch = 4 * time.Second, 8 * time.Second
	// sharedLimit is how soon a quota must be used up at one instance, and at the other. They exchange four times a second.
	sharedLimit = 30 * time.Second
	// probeEvery is how often the other instance is asked: so many probes use up a third of a quota by themselves.
	probeEvery = 500 * time.Millisecond
	// pageSlowdownMax and pageDelayMore are by how much longer a page may take beside the floods: the clients of the floods
	// take time of the same processors.
	pageSlowdownMax, pageDelayMore = 3, 50 * time.Millisecond
)

// TestF21Floods: two instances that check tokens, and four clients that send without end: pages of made-up
// products, tokens of another secret, documents that are not valid, long bodies of junk. Each is refused (429) most of the
// time, over both instances together. Shoppers of other addresses, customers and subscribers notice next to nothing.
func TestF21Floods(t *testing.T) {
	if process.HasRaceDetector() {
		t.Skip("skipped: with the race detector the server is too slow for a flood to keep a quota used up at both instances")
	}
	s := Open(t, Setup{Tokens: true, Customers: 4, Shoppers: 4, ThinkTime: 20 * time.Millisecond})
	l := s.Load()
	l.More(100)
	from := l.PagesRead()
	l.During(quietStretch)
	quiet := l.Pages(from)

	const madeUp = "127.0.0.3"
	floods := map[string]*load.Flood{
		"made-up ids": load.StartFlood(s.Target, madeUp, s.Target.URLs[:1], load.MadeUpIDs),
	}
	other := load.From(madeUp)
	ctx, cancel := reading()
	defer cancel()
	s.Await(sharedLimit, "a quota used up at one instance is used up at the other", func() bool {
		time.Sleep(probeEvery)
		return load.Send(ctx, other, s.Target.URLs[1], load.MadeUpIDs(-1)) == http.StatusTooManyRequests
	})
	floods["bad tokens"] = load.StartFlood(s.Target, "127.0.0.4", s.Target.URLs, load.BadTokens)
	floods["bad documents"] = load.StartFlood(s.Target, "127.0.0.5", s.Target.URLs, load.BadDocuments)
	floods["junk"] = load.StartFlood(s.Target, "127.0.0.6", s.Target.URLs, load.Junk)
	from = l.PagesRead()
	l.During(floodStretch)
	beside := l.Pages(from)
	for name, flood := range floods {
		flood.Stop()
		limited, all := flood.Limited()
		t.Logf("%s: %d requests, answers by status: %v", name, all, flood.Answers())
		assert.Greater(t, limited, all/2, "%s: most are refused", name)
	}
	l.Stop()
	t.Logf("pages alone: %s", quiet)
	t.Logf("pages beside the floods: %s", beside)
	assert.LessOrEqual(t, beside.P99, max(pageSlowdownMax*quiet.P99, quiet.P99+pageDelayMore))
	for _, sub := range s.Subscribers {
		assert.Equal(t, 1, sub.Sessions(), "%s", sub)
	}
	l.CheckUndisturbed(t)
	s.Check()
}
