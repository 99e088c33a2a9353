package guard

import "context"

// Caller is whose idempotency keys and reservations the request's are: the subject of its
// token. It is empty for anonymous callers, and for all callers where no tokens are
// configured.
func Caller(ctx context.Context) string {
	if !TokensConfigured(ctx) {
		return ""
	}
	return Subject(ctx)
}
