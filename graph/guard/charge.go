package guard

import (
	"context"
	"errors"
	"net/http"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

const (
	// FreeBytes is the length up to which a body, or a message of a stream, costs nothing:
	// decoding it takes no longer than what surrounds it.
	FreeBytes = 4 << 10
	// compressedBytes is what a compressed body counts as before its length is known.
	compressedBytes = 64 << 10
)

// BodyCharge takes the cost of the bytes of a body from the caller's quota, before they
// are decoded. It returns nil, or why the caller must wait: RATE_LIMITED.
type BodyCharge func(ctx context.Context, bytes int64) error

// ChargeBody charges for a body, or a message of a stream, that is longer than FreeBytes.
// It does nothing where no caller is bounded.
//
// Errors: RATE_LIMITED.
func ChargeBody(ctx context.Context, bytes int64) error {
	if bytes <= FreeBytes {
		return nil
	}
	if facts := factsIn(ctx); facts != nil && facts.charge != nil {
		return facts.charge(ctx, bytes)
	}
	return nil
}

// costingBytes is the length that a body counts as before it is read.
func costingBytes(r *http.Request) int64 {
	if r.ContentLength != 0 && len(r.Header["Content-Encoding"]) > 0 {
		return max(r.ContentLength, compressedBytes)
	}
	return max(r.ContentLength, 0)
}

// refuseExcess answers a request of a caller that has used up a quota.
func refuseExcess(w http.ResponseWriter, err error) {
	if says, ok := errors.AsType[HeaderWriter](err); ok {
		says.WriteHeaders(w.Header())
	}
	shown := refusal(models.CodeRateLimited, "%s", err.Error())
	if own, ok := errors.AsType[*gqlerror.Error](err); ok {
		shown = own
	}
	writeRefusal(w, http.StatusTooManyRequests, shown)
}
