package transport

import (
	"net/http"
	"strconv"
	"time"

	"onhand/graph/guard"
	"onhand/graph/transport/admission"
)

// Streams is what the streams of a server share. Make it with NewStreams.
type Streams struct {
	closing *Closing
	bounds  admission.StreamBounds
	limits  limits
	gate    *admission.Gate
}

// NewStreams returns what the streams of a server share. closing ends them and counts
// what happens to them.
func NewStreams(closing *Closing, bounds admission.StreamBounds) *Streams {
	return newStreams(closing, bounds, defaultLimits)
}

func newStreams(closing *Closing, bounds admission.StreamBounds, limits limits) *Streams {
	bounds = bounds.WithDefaults()
	if limits.lifetime == 0 {
		limits.lifetime = bounds.Lifetime
	}
	return &Streams{closing: closing, bounds: bounds, limits: limits, gate: admission.NewGate(bounds, closing.refused)}
}

// lifetime returns how long a new stream lives.
func (t *Streams) lifetime() time.Duration { return admission.Jittered(t.limits.lifetime) }

// enter admits a stream, or refuses the request and returns nil.
func (t *Streams) enter(w http.ResponseWriter, r *http.Request) *admission.Pass {
	pass, refusal := t.gate.Enter(r.Context())
	if refusal != nil {
		w.Header().Set("Retry-After", strconv.Itoa(refusal.RetryAfter()))
		guard.Refuse(w, refusal.Status, refusal.Code, refusal.Message)
	}
	return pass
}
