package store

import (
	"context"
	"errors"
	"time"

	"onhand/models"
	"onhand/store/rediscache"
)

// Bounds of the work in the background.
const (
	keepTimeout = 2 * time.Second
	// awayLooks is how many looks in a row must fail for Redis to be away.
	awayLooks      = 2
	forgetInterval = time.Hour
	// sweepMax is how many holds one sweep gives back; those that are left wait
	// for the next one.
	sweepMax = 100_000
)

// keep looks at what database and Redis say of themselves. Where either went
// back in time (restored, replaced, failed over without its last writes), it
// starts a new epoch, so that nothing kept from the lost history is believed.
// It also reloads the directory when that changed.
func (s *Store) keep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	s.keepClaim(ctx)
	// First the mark, then the database: a database that is read later can
	// only have moved on, unless it went back.
	mark, markErr := s.cache.Watermark(ctx)
	s.keepAway(markErr)
	meta, err := s.database.ReadMeta(ctx)
	if err != nil {
		s.log.Debug("the database does not answer", "error", err)
		return
	}
	if markErr == nil && mark.Epoch != meta.Epoch {
		// Another copy may have started an epoch between the two looks.
		mark, markErr = s.cache.Watermark(ctx)
	}
	if why := s.wentBack(mark, markErr, meta.Epoch, meta.Sequence); why != "" {
		s.log.Warn("starting a new epoch: everything cached is read again", "reason", why)
		if err := s.database.NewEpoch(ctx, meta.Epoch); err != nil {
			s.log.Error("no new epoch", "error", err)
			return
		}
		if meta, err = s.database.ReadMeta(ctx); err != nil {
			return
		}
	}
	known := s.believed()
	another := known != "" && known != meta.Epoch
	s.epoch.Store(&meta.Epoch)
	s.sequence = meta.Sequence
	if markErr == nil {
		mark = rediscache.Watermark{Epoch: meta.Epoch, Sequence: meta.Sequence, RunIDs: mark.RunIDs}
		if err := s.cache.SetWatermark(ctx, mark); err != nil {
			s.log.Debug("no mark", "error", err)
		}
	}
	if another {
		s.hub.Refresh() // watchers may have seen what is no longer true
	}
	s.keepDirectory(ctx, meta.DirectoryVersion, another)
}

// keepAway notes that Redis does not answer. When it is back it has not heard
// what changed meanwhile, and those who read the database until then would see
// older values: it is not read before the relay has had its turn. One answer
// that came late is not taken for that.
func (s *Store) keepAway(err error) {
	if !errors.Is(err, rediscache.ErrDown) {
		s.away = 0
		return
	}
	if s.away++; s.away >= awayLooks {
		s.distrust.everything(time.Now(), awayDoubt+s.config.KeepInterval)
	}
}

// wentBack says what went back in time; empty when nothing did.
func (s *Store) wentBack(mark rediscache.Watermark, markErr error, epoch string, sequence int64) string {
	known := s.believed()
	switch {
	case known == epoch && sequence < s.sequence:
		return "the database is older than this process remembers"
	case markErr != nil:
		return ""
	case mark.Epoch != epoch && (mark.Epoch != "" || known != "" && known != epoch):
		// An epoch that no copy vouches for may be an earlier one that came back
		// with a backup: Redis may still hold what followed it.
		return "redis does not know this history of the database (do two databases share it?)"
	case mark.Epoch == "":
		return ""
	case sequence < mark.Sequence:
		return "the database is older than redis remembers"
	case mark.RecordedRunIDs != mark.RunIDs:
		return "another redis serves what the last one had saved"
	}
	return ""
}

// believed is the epoch whose copies are believed; empty until the keeper has
// reached the database.
func (s *Store) believed() string {
	if epoch := s.epoch.Load(); epoch != nil {
		return *epoch
	}
	return ""
}

// compare has the keeper look at once when an answer of the database is of
// another epoch than the one that is believed.
func (s *Store) compare(epoch string) {
	if epoch == "" || epoch == s.believed() {
		return
	}
	s.lookSoon()
}

// lookSoon has the keeper look at once.
func (s *Store) lookSoon() {
	select {
	case s.doubt <- struct{}{}:
	default: // it is about to look
	}
}

// redisBack is called when Redis answers again. It may be another one, or have
// lost its last writes, and has not heard what changed meanwhile: neither keeper
// nor relay waits for its next turn.
func (s *Store) redisBack() {
	s.lookSoon()
	s.relay.RetryNow()
}

func (s *Store) keepDirectory(ctx context.Context, version int64, again bool) {
	if version == s.directoryVersion && !again {
		return
	}
	if s.readDirectory(ctx) {
		s.directoryVersion = version
	}
}

// readDirectory brings the directory up to date. Readings are kept in the order
// in which they were made: none replaces a later one.
func (s *Store) readDirectory(ctx context.Context) bool {
	s.directoryReading.Lock()
	defer s.directoryReading.Unlock()
	directory, err := s.database.Directory(ctx)
	if err != nil {
		s.log.Warn("locations and channels were not read", "error", err)
		return false
	}
	s.directory.Store(directory)
	return true
}

// sweep gives back holds whose time is over. Nobody waits for it: a hold past
// its time already counts for nothing. Every copy sweeps; they pass over each
// other's rows.
func (s *Store) sweep(ctx context.Context) {
	for out, err := range s.database.ExpireDue(ctx, sweepMax) {
		switch {
		case err == nil:
			s.tell(ctx, out)
		case models.CodeOf(err) != models.CodeUnavailable:
			s.log.Error("holds past their time were not given back", "error", err)
		}
	}
}

// forget drops answers to idempotency keys that nobody will repeat.
func (s *Store) forget(ctx context.Context) {
	if err := s.database.DeleteOldKeys(ctx); err != nil {
		s.log.Debug("old idempotency keys were not dropped", "error", err)
	}
}
