package transport

import (
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"onhand/graph/transport/mediarange"
)

// The media types of answers.
const (
	mediaJSON    = "application/json"
	mediaGraphQL = "application/graphql-response+json"
	mediaEvents  = "text/event-stream"
	mediaHTML    = "text/html"
)

// eventUse says which operations a client wants answered with an event stream.
type eventUse int

const (
	eventsNever         eventUse = iota
	eventsForStreams             // subscriptions: the client prefers JSON where it can have it
	eventsForEverything          // as graphql-sse's clients want
)

// acceptance is what a client accepts as an answer.
type acceptance struct {
	kind   string // of a single answer: mediaJSON or mediaGraphQL
	json   bool   // false where the client accepts events only
	events eventUse
	page   bool // the client is a browser that shows a page
}

// Bounds of knownAcceptances. There are some tens of clients, and each sends one value.
const acceptancesMax, acceptBytesMax = 64, 256

// knownAcceptances has what was read of the first values of the header. A value that
// comes later is read each time.
var knownAcceptances acceptances

type acceptances struct {
	mu    sync.Mutex // for writers
	known atomic.Pointer[map[string]acceptance]
}

func (k *acceptances) all() map[string]acceptance {
	if known := k.known.Load(); known != nil {
		return *known
	}
	return nil
}

func (k *acceptances) add(value string, a acceptance) {
	if len(value) > acceptBytesMax || len(k.all()) == acceptancesMax {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	more := map[string]acceptance{}
	maps.Copy(more, k.all())
	if len(more) < acceptancesMax {
		more[strings.Clone(value)] = a
		k.known.Store(&more)
	}
}

// acceptanceOf reads the Accept header.
func acceptanceOf(r *http.Request) acceptance {
	var value string
	switch values := r.Header.Values("Accept"); len(values) {
	case 0:
	case 1:
		value = values[0]
	default:
		value = strings.Join(values, ",")
	}
	if a, found := knownAcceptances.all()[value]; found {
		return a
	}
	a := readAcceptance(value)
	knownAcceptances.add(value, a)
	return a
}

// readAcceptance reads the value of an Accept header, as RFC 9110 says: the type with the highest q
// wins; of equal ones a type that is named, and then the first. A stream, or a page, is
// sent only to a client that names its type. A client that accepts nothing that Onhand
// sends gets JSON: a body with an error is of more use than an empty 406.
func readAcceptance(value string) acceptance {
	ranges := mediarange.Parse(value)
	plain, newer := ranges.Preference(mediaJSON), ranges.Preference(mediaGraphQL)
	events, page := ranges.Preference(mediaEvents), ranges.Preference(mediaHTML)
	a := acceptance{kind: mediaJSON, json: plain.Quality > 0 || newer.Quality > 0}
	best := plain
	if newer.Over(plain) {
		a.kind, best = mediaGraphQL, newer
	}
	switch {
	case !events.Named || events.Quality == 0:
		a.json = true
	case !a.json || events.Over(best):
		a.events = eventsForEverything
	default:
		a.events = eventsForStreams
	}
	a.page = page.Named && page.Quality > 0 && page.Over(best)
	return a
}

// PrefersEvents reports whether a client wants every answer as an event stream.
func PrefersEvents(r *http.Request) bool {
	return acceptanceOf(r).events == eventsForEverything
}
