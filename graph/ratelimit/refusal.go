package ratelimit

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/graph/guard"
	"onhand/models"
	"onhand/models/quota"
)

// LimitRefusal says that a caller has used up a quota.
type LimitRefusal struct {
	Class Class
	Quota quota.Quota
	// RetryAfter is how long the same operation must wait.
	RetryAfter time.Duration
	// Left is what is left of the quota.
	Left int
}

// Error implements error, for the client.
func (r *LimitRefusal) Error() string {
	return fmt.Sprintf("too many %s: at most %d units within %s; try again in %s", classUses[r.Class], r.Quota.Cost, r.Quota.Window, r.RetryAfter)
}

// Unwrap returns the fault that the refusal is.
func (r *LimitRefusal) Unwrap() error {
	return &models.Fault{Code: models.CodeRateLimited, Message: r.Error()}
}

// WriteHeaders sets Retry-After, and RateLimit and RateLimit-Policy as
// draft-ietf-httpapi-ratelimit-headers-10 has them.
func (r *LimitRefusal) WriteHeaders(header http.Header) {
	seconds := strconv.Itoa(int((r.RetryAfter + time.Second - 1) / time.Second))
	header.Set("Retry-After", seconds)
	header.Set("RateLimit", fmt.Sprintf(`"%s";r=%d;t=%s`, r.Class, r.Left, seconds))
	header.Set("RateLimit-Policy", fmt.Sprintf(`"%s";q=%d;qu="complexity";w=%d`, r.Class, r.Quota.Cost, int(r.Quota.Window.Seconds())))
}

// presented returns the refusal as an error of GraphQL.
func (r *LimitRefusal) presented() *gqlerror.Error {
	if r == nil {
		return nil
	}
	return &gqlerror.Error{Err: r, Message: r.Error(), Extensions: map[string]any{
		"code": string(models.CodeRateLimited), "retryAfterMs": r.RetryAfter.Milliseconds(),
	}}
}

var _ guard.HeaderWriter = (*LimitRefusal)(nil)
