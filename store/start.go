package store

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"onhand/models"
	"onhand/store/backoff"
	"onhand/store/database"
)

// Bounds of the wait for a database that is not there yet.
const (
	startWait     = 30 * time.Second // altogether
	startInterval = time.Second      // between two attempts, give or take a tenth
	startSay      = 10               // attempts after which the same reason is said again
)

// Prepare brings the database's tables up to date. A server that is not up yet
// is waited for, half a minute at most, and the log says for what. What waiting
// cannot mend, such as a wrong password, is an error at once, in plain words.
func (s *Store) Prepare(ctx context.Context) (applied int, err error) {
	return s.prepare(ctx, startWait, startInterval)
}

func (s *Store) prepare(ctx context.Context, wait, interval time.Duration) (applied int, err error) {
	deadline := time.Now().Add(wait)
	said := ""
	for attempt := 0; ; attempt++ {
		applied, err = s.Migrate(ctx)
		if err == nil {
			return applied, nil
		}
		reason, passes := database.Explain(err)
		switch {
		case ctx.Err() != nil:
			return 0, fmt.Errorf("told to stop before the database was ready: %s", cmp.Or(said, reason))
		case !passes:
			s.log.Debug("the database cannot be used", "error", err)
			return 0, fmt.Errorf("the database cannot be used: %s", reason)
		case !time.Now().Before(deadline):
			return 0, models.Unavailable(fmt.Sprintf("waited %s for the database: %s", wait, reason), nil)
		}
		if reason != said || attempt%startSay == 0 {
			s.log.Warn("waiting for the database", "because", reason, "for", time.Until(deadline).Round(time.Second))
			said = reason
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff.Jitter(interval)):
		}
	}
}
