package upkeep

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/rediscache"
)

// fakeServers are a database and a Redis as the epoch check sees them.
type fakeServers struct {
	meta         database.Meta
	metaErr      error
	watermark    rediscache.Watermark
	watermarkErr error
	// between is called after the first reading of the watermark.
	between func()

	epochs    []string // that were left
	bypasses  []time.Duration
	confirms  int // of the master
	closings  int // of connections to separated nodes
	refreshes int
	reloads   int
}

func (f *fakeServers) ReadMeta(context.Context) (database.Meta, error) { return f.meta, f.metaErr }

func (f *fakeServers) NewEpoch(_ context.Context, old string) error {
	f.epochs = append(f.epochs, old)
	f.meta.Epoch = old + "+"
	return nil
}

func (f *fakeServers) Watermark(context.Context) (rediscache.Watermark, error) {
	watermark, err := f.watermark, f.watermarkErr
	if f.between != nil {
		f.between()
		f.between = nil
	}
	return watermark, err
}

func (f *fakeServers) ConfirmMaster(context.Context) { f.confirms++ }

func (f *fakeServers) CloseSeparated(context.Context) { f.closings++ }

func (f *fakeServers) SetWatermark(_ context.Context, watermark rediscache.Watermark) error {
	watermark.RecordedRunIDs = watermark.RunIDs
	f.watermark = watermark
	return nil
}

func (f *fakeServers) Directory(context.Context) (*models.Directory, error) {
	f.reloads++
	return models.NewDirectory(nil, nil), nil
}

func (f *fakeServers) BypassAll(duration time.Duration) { f.bypasses = append(f.bypasses, duration) }
func (f *fakeServers) Refresh()                         { f.refreshes++ }

// newCheck makes a check of servers that are in epoch "e" at sequence 10.
func newCheck() (*fakeServers, *EpochCheck) {
	f := &fakeServers{meta: database.Meta{Epoch: "e", Sequence: 10, DirectoryVersion: 1}}
	f.watermark = rediscache.Watermark{Epoch: "e", Sequence: 10, RunIDs: "r", RecordedRunIDs: "r"}
	log := slog.New(slog.DiscardHandler)
	return f, &EpochCheck{
		Epoch: NewCurrentEpoch(), Database: f, Cache: f, Directory: NewDirectoryCache(f, log), Reader: f, Subscribers: f,
		Interval: time.Second, Logger: log,
	}
}

// A database or a Redis that went back in time starts a new epoch; a server that
// goes on, is new, or does not answer, does not.
func TestEpochCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before func(f *fakeServers) // the first check; nil: none
		then   func(f *fakeServers)
		left   []string // the epochs that were left
	}{
		"nothing happened":                   {func(*fakeServers) {}, func(f *fakeServers) {}, nil},
		"the database went on":               {func(*fakeServers) {}, func(f *fakeServers) { f.meta.Sequence = 20 }, nil},
		"an empty redis":                     {nil, func(f *fakeServers) { f.watermark = rediscache.Watermark{RunIDs: "r"} }, nil},
		"redis lost everything":              {func(*fakeServers) {}, func(f *fakeServers) { f.watermark = rediscache.Watermark{RunIDs: "s"} }, nil},
		"redis is away":                      {nil, func(f *fakeServers) { f.watermarkErr = errors.New("away"); f.watermark = rediscache.Watermark{} }, nil},
		"the database is older than seen":    {func(*fakeServers) {}, func(f *fakeServers) { f.meta.Sequence = 9 }, []string{"e"}},
		"the same without redis":             {func(*fakeServers) {}, func(f *fakeServers) { f.meta.Sequence = 9; f.watermarkErr = errors.New("away") }, []string{"e"}},
		"the database is older than redis":   {nil, func(f *fakeServers) { f.meta.Sequence = 9 }, []string{"e"}},
		"another redis with an old snapshot": {nil, func(f *fakeServers) { f.watermark.RunIDs = "s" }, []string{"e"}},
		"redis has another epoch":            {nil, func(f *fakeServers) { f.watermark.Epoch = "other" }, []string{"e"}},
		"an earlier epoch came back":         {func(*fakeServers) {}, func(f *fakeServers) { f.meta.Epoch = "earlier"; f.watermark.Epoch = "" }, []string{"earlier"}},
		"another instance started an epoch":  {func(*fakeServers) {}, func(f *fakeServers) { f.meta.Epoch = "e+"; f.watermark.Epoch = "e+" }, nil},
		"it did so between the readings":     {func(*fakeServers) {}, func(f *fakeServers) { f.between = func() { f.meta.Epoch, f.watermark.Epoch = "e+", "e+" } }, nil},
		"a first start with an empty redis":  {nil, func(f *fakeServers) { f.meta.Epoch = "x"; f.watermark = rediscache.Watermark{RunIDs: "r"} }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, check := newCheck()
			if c.before != nil {
				c.before(f)
				check.Run(t.Context())
				require.Equal(t, "e", check.Epoch.Epoch())
			}
			known := check.Epoch.Epoch()
			c.then(f)
			check.Run(t.Context())
			require.Equal(t, c.left, f.epochs)
			require.Equal(t, f.meta.Epoch, check.Epoch.Epoch())
			if f.watermarkErr == nil {
				require.Equal(t, rediscache.Watermark{Epoch: f.meta.Epoch, Sequence: f.meta.Sequence, RunIDs: f.watermark.RunIDs, RecordedRunIDs: f.watermark.RunIDs}, f.watermark)
			}
			changed := known != "" && known != f.meta.Epoch
			require.Equal(t, changed, f.refreshes == 1, "subscribers read again")

			epochs := f.epochs
			check.Run(t.Context())
			require.Equal(t, epochs, f.epochs, "the next check finds nothing")
		})
	}
}

// A Redis that answers may be a master that was replaced; one that does not is not asked again.
func TestMasterIsConfirmed(t *testing.T) {
	t.Parallel()
	f, check := newCheck()
	check.Run(t.Context())
	require.Equal(t, 1, f.confirms)
	f.watermarkErr = rediscache.ErrDown
	check.Run(t.Context())
	require.Equal(t, 1, f.confirms)
	require.Equal(t, 2, f.closings, "a cluster that does not answer may have asked a separated node for its masters")
}

// The directory is reloaded when its version changed, and with a new epoch. While
// the database is away nothing changes.
func TestDirectoryFollowsItsVersion(t *testing.T) {
	t.Parallel()
	f, check := newCheck()
	check.Run(t.Context())
	check.Run(t.Context())
	require.Equal(t, 1, f.reloads)
	f.meta.DirectoryVersion = 2
	check.Run(t.Context())
	require.Equal(t, 2, f.reloads)
	f.meta.Sequence = 1
	check.Run(t.Context())
	require.Equal(t, 3, f.reloads)
	f.metaErr = errors.New("away")
	f.meta = database.Meta{}
	check.Run(t.Context())
	require.Equal(t, "e+", check.Epoch.Epoch())
}

// After Redis was away for two checks, the cache is bypassed until the relay had
// its turn. One late answer does not count.
func TestBypassAfterAnOutage(t *testing.T) {
	t.Parallel()
	f, check := newCheck()
	fail := func(err error) { f.watermarkErr = err; check.Run(t.Context()) }
	fail(rediscache.ErrDown)
	fail(nil)
	fail(rediscache.ErrDown)
	require.Empty(t, f.bypasses)
	fail(rediscache.ErrDown)
	fail(rediscache.ErrDown)
	require.Equal(t, []time.Duration{redisBackBypass + time.Second, redisBackBypass + time.Second}, f.bypasses)
}

// An epoch that a reader found starts a check where it is another one than the
// current.
func TestComparedEpochs(t *testing.T) {
	t.Parallel()
	e := NewCurrentEpoch()
	wanted := func() bool {
		select {
		case <-e.Checks():
			return true
		default:
			return false
		}
	}
	require.Empty(t, e.Epoch())
	e.set("e")
	e.Compare("e")
	e.Compare("")
	require.False(t, wanted())
	e.Compare("f")
	e.Compare("g")
	require.True(t, wanted())
	require.False(t, wanted(), "one check serves all")
}

// The reason for a new epoch is logged.
func TestEpochReasonIsLogged(t *testing.T) {
	t.Parallel()
	f, check := newCheck()
	var log bytes.Buffer
	check.Logger = slog.New(slog.NewTextHandler(&log, nil))
	f.meta.Sequence = 9
	check.Run(t.Context())
	require.Contains(t, log.String(), "the database is older than the watermark in redis")
}
