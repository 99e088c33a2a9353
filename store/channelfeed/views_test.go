package channelfeed

import (
	"context"
	"io"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"onhand/models"
)

// fakeWatch is a RepeatableWatch with a queue of one product, as the hub has it: the latest
// stock only.
type fakeWatch struct {
	latest  *models.Stock
	pending bool
	closed  bool
}

func (w *fakeWatch) Next(context.Context) (*models.Stock, error) {
	if !w.pending {
		return nil, io.EOF
	}
	w.pending = false
	return w.latest, nil
}

func (w *fakeWatch) Repeat() { w.pending = w.latest != nil }
func (w *fakeWatch) Close()  { w.closed = true }

func (w *fakeWatch) put(s *models.Stock) { w.latest, w.pending = s, true }

// fakeDirectory is the directory of an instance.
type fakeDirectory struct {
	current atomic.Pointer[models.Directory]
}

func (d *fakeDirectory) Directory() *models.Directory { return d.current.Load() }

// directoryAt has the channel "web" at a revision: its locations are a function of that.
func directoryAt(epoch string, revision int64) *models.Directory {
	d := models.NewDirectory(nil, []models.Channel{{ChannelID: "web", LocationIDs: locationsAt(revision), Revision: revision}})
	d.Epoch = epoch
	return d
}

func locationsAt(revision int64) (ids []string) {
	for i, id := range []string{"a", "b", "c"} {
		if revision>>i&1 == 1 {
			ids = append(ids, id)
		}
	}
	return ids
}

// stockAt has a quantity at each location that follows from the version.
func stockAt(epoch string, version int64) *models.Stock {
	s := &models.Stock{Product: models.Product{ProductID: "mug", Tracked: true, InventoryPolicy: models.Deny, Version: version}, Epoch: epoch}
	for i, id := range []string{"a", "b", "c"} {
		s.Levels = append(s.Levels, models.Level{
			ProductID: "mug", LocationID: id, Active: true, Quantities: models.Quantities{Available: int(version) * (i + 1)},
		})
	}
	return s
}

// Whatever order stocks and directories come in, the versions of the views only grow,
// each view is what its revision and version say, and the last one is the newest.
func TestViewsOnlyGrow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var directory fakeDirectory
		revision, version := int64(1), int64(1)
		directory.current.Store(directoryAt("e", revision))
		views := NewViews(&directory)
		stocks := &fakeWatch{}
		stocks.put(stockAt("e", version))
		w := views.Watch("web", stocks)
		last := int64(0)
		take := func() {
			for {
				view, err := w.Next(context.Background())
				if err != nil {
					return
				}
				require.Greater(t, view.ViewVersion(), last)
				last = view.ViewVersion()
				require.Equal(t, stockAt("e", version).In(members(revision)), view)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"sale": func(*rapid.T) { version++; stocks.put(stockAt("e", version)) },
			"channel": func(*rapid.T) {
				before := directory.Directory()
				revision++
				directory.current.Store(directoryAt("e", revision))
				views.Changed(before, directory.Directory())
			},
			"reload": func(*rapid.T) {
				before := directory.Directory()
				directory.current.Store(directoryAt("e", revision))
				views.Changed(before, directory.Directory())
			},
			"repeat": func(*rapid.T) { stocks.Repeat() },
			"take":   func(*rapid.T) { take() },
		})
		take()
		require.Equal(t, stockAt("e", version).In(members(revision)).ViewVersion(), last, "the newest has come")
		w.Close()
		require.True(t, stocks.closed)
		require.Empty(t, views.watches)
	})
}

func members(revision int64) *models.ChannelMembers {
	c, _ := directoryAt("e", revision).Channel("web")
	return c
}

// A database that was restored from a backup has lower versions and revisions. The views
// follow it, and a view that is the same is not repeated.
func TestViewsFollowAnotherEpoch(t *testing.T) {
	t.Parallel()
	var directory fakeDirectory
	directory.current.Store(directoryAt("e1", 7))
	views := NewViews(&directory)
	stocks := &fakeWatch{}
	w := views.Watch("web", stocks)
	next := func() *models.Stock {
		view, err := w.Next(t.Context())
		if err != nil {
			return nil
		}
		return view
	}
	change := func(epoch string, revision int64) {
		before := directory.Directory()
		directory.current.Store(directoryAt(epoch, revision))
		views.Changed(before, directory.Directory())
	}
	stocks.put(stockAt("e1", 9))
	require.Len(t, next().Levels, 3)
	stocks.put(stockAt("e2", 9))
	require.Nil(t, next(), "the same, of another epoch")
	change("e2", 7)
	require.Nil(t, next(), "the same, of another epoch")
	stocks.put(stockAt("e3", 4))
	require.Equal(t, 4+8+12, next().Quantity(), "the product is restored")
	change("e3", 1)
	require.Equal(t, 4, next().Quantity(), "and then the channel")
	require.Nil(t, next())

	before := directory.Directory()
	gone := models.NewDirectory(nil, nil)
	gone.Epoch = "e3"
	directory.current.Store(gone)
	views.Changed(before, gone)
	require.Nil(t, next(), "a deleted channel keeps its last view")
	stocks.put(stockAt("e3", 5))
	require.Equal(t, 5, next().Quantity())
}
