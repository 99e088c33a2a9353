package transport

import (
	"maps"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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
	ranges := mediaRanges(value)
	plain, newer := ranges.preference(mediaJSON), ranges.preference(mediaGraphQL)
	events, page := ranges.preference(mediaEvents), ranges.preference(mediaHTML)
	a := acceptance{kind: mediaJSON, json: plain.quality > 0 || newer.quality > 0}
	best := plain
	if newer.over(plain) {
		a.kind, best = mediaGraphQL, newer
	}
	switch {
	case !events.named || events.quality == 0:
		a.json = true
	case !a.json || events.over(best):
		a.events = eventsForEverything
	default:
		a.events = eventsForStreams
	}
	a.page = page.named && page.quality > 0 && page.over(best)
	return a
}

// PrefersEvents reports whether a client wants every answer as an event stream.
func PrefersEvents(r *http.Request) bool {
	return acceptanceOf(r).events == eventsForEverything
}

// mediaRange is one member of an Accept header, such as text/*;q=0.5.
type mediaRange struct {
	kind    string
	quality float64
}

type mediaRangeList []mediaRange

// mediaRanges reads the Accept header. A member that cannot be read is left out.
func mediaRanges(value string) (ranges mediaRangeList) {
	for part := range strings.SplitSeq(value, ",") {
		kind, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		quality := 1.0
		if text, given := parameters["q"]; given {
			if quality, err = strconv.ParseFloat(text, 64); err != nil || !(quality >= 0 && quality <= 1) {
				continue
			}
		}
		ranges = append(ranges, mediaRange{kind, quality})
	}
	return ranges
}

// preference is how much a client wants one media type.
type preference struct {
	quality float64
	named   bool // by itself, not by a wildcard
	at      int  // the place of the range in the header
}

// preference returns that of a media type. The most specific range decides.
func (l mediaRangeList) preference(kind string) preference {
	group, _, _ := strings.Cut(kind, "/")
	for _, pattern := range []string{kind, group + "/*", "*/*"} {
		for at, r := range l {
			if r.kind == pattern {
				return preference{quality: r.quality, named: pattern == kind, at: at}
			}
		}
	}
	return preference{}
}

// over reports whether a client wants p rather than other.
func (p preference) over(other preference) bool {
	switch {
	case p.quality != other.quality:
		return p.quality > other.quality
	case p.named != other.named:
		return p.named
	}
	return p.at < other.at
}
