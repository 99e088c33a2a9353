package database_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/channel"
)

// revision reads the revision of a channel as instances do.
func (s *shop) revision(id string) int64 {
	s.t.Helper()
	directory, err := s.Directory(context.Background())
	require.NoError(s.t, err)
	require.NotEmpty(s.t, directory.Epoch)
	c, known := directory.Channel(id)
	require.True(s.t, known)
	return c.Revision
}

// Every change of a channel or of its list of locations makes a new revision, for every
// writer, and no new version of a product. What changes nothing makes none.
func TestChannelRevision(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5, "south", 3)
		version := s.read("mug").Version
		s.exec("DELETE FROM outbox")
		last, others := s.revision("web"), s.revision("all")
		grows := func(what string) {
			t.Helper()
			now := s.revision("web")
			require.Greater(t, now, last, what)
			last = now
		}
		for _, row := range []models.ChannelRow{
			{LocationIDs: []string{"north", "south"}}, {LocationIDs: []string{"north"}}, {LocationIDs: []string{}},
			{Sourcing: new(models.FewestLocations)}, {Name: new("Shop")},
		} {
			row.ChannelID = "web"
			s.ok(channels(row))
			grows("a write")
			s.ok(channels(row))
			require.Equal(t, last, s.revision("web"), "nothing changed")
		}
		for _, query := range []string{
			"INSERT INTO channel_locations (channel_id, location_id) VALUES ('web', 'south'), ('web', 'far')",
			"DELETE FROM channel_locations WHERE channel_id = 'web' AND location_id = 'far'",
			"UPDATE channel_locations SET location_id = 'north' WHERE channel_id = 'web'",
			"UPDATE channels SET name = 'Web' WHERE channel_id = 'web'",
			"UPDATE channels SET sourcing = 'PRIORITY' WHERE channel_id = 'web'",
		} {
			s.exec(query)
			grows(query)
		}
		require.Equal(t, others, s.revision("all"), "another channel")
		s.exec("INSERT INTO products (product_id) VALUES ('pen')") // without a level
		s.exec("UPDATE locations SET active = false WHERE location_id = 'north'")
		grows("a location that closes")
		require.Equal(t, int64(1), s.read("pen").Version)
		s.exec("UPDATE locations SET active = true WHERE location_id = 'north'")
		grows("and opens")
		version += 2
		require.Equal(t, version, s.read("mug").Version)
		require.Zero(t, s.number("SELECT count(*) FROM outbox WHERE version < $1 AND product_id = 'mug'", version-1))
	})
}

// A deleted channel that is made again goes on after its last revision. Ids stay, and a
// revision does not go back.
func TestRevisionOutlivesItsChannel(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		for range 5 {
			s.exec("UPDATE channels SET name = name || '.' WHERE channel_id = 'web'")
		}
		last := s.revision("web")
		s.exec("DELETE FROM channels WHERE channel_id = 'web'")
		s.ok(channels(models.ChannelRow{ChannelID: "web", LocationIDs: []string{"north"}}))
		require.Greater(t, s.revision("web"), last)
		_, err := s.raw.Exec("UPDATE channels SET channel_id = 'net' WHERE channel_id = 'none'")
		require.ErrorContains(t, err, "make a new channel")
		before := s.revision("web")
		_, _ = s.raw.Exec("UPDATE channels SET revision = 1 WHERE channel_id = 'web'") // refused, or overruled
		require.GreaterOrEqual(t, s.revision("web"), before)
		if s.kind == postgres {
			s.exec("TRUNCATE channels CASCADE")
			s.ok(channels(models.ChannelRow{ChannelID: "web"}))
			require.Greater(t, s.revision("web"), before)
		}
	})
}

// A channel near the largest revision cannot change any more: the write is refused, and
// an outside writer's by the table. Its stock goes on changing.
func TestRevisionBound(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "south", 3)
		s.exec("UPDATE onhand_meta SET deleted_channel_revision = $1", channel.RevisionMax-channel.RevisionReserve-1)
		s.ok(channels(models.ChannelRow{ChannelID: "old", LocationIDs: []string{"south"}}, models.ChannelRow{ChannelID: "new"}))
		w := channels(models.ChannelRow{ChannelID: "web", Name: new("Shop")}, models.ChannelRow{ChannelID: "old", Name: new("Oldest")})
		s.fails(s.do(w), models.InvalidInputError{Failure: path("rows", 1, "channelId")})
		w = channels(w.Rows...)
		w.ErrorPolicy = models.RejectFailedRows
		require.Equal(t, []string{"web"}, s.do(w).Channels)

		s.exec("UPDATE onhand_meta SET deleted_channel_revision = $1", channel.RevisionMax-1)
		s.exec("INSERT INTO channels (channel_id, name) VALUES ('last', 'Last')")
		require.Equal(t, int64(channel.RevisionMax), s.revision("last"))
		_, err := s.raw.Exec("UPDATE channels SET name = 'The last' WHERE channel_id = 'last'")
		require.ErrorContains(t, err, "constraint")

		s.exec("UPDATE products SET version = $1", channel.ProductVersionMax-1)
		s.ok(adjust(delta("mug", "south", models.Available, 1)))
		view := s.view("mug", "last")
		require.Less(t, view.ViewVersion(), int64(1)<<53)
		require.Equal(t, channel.Version(channel.RevisionMax, channel.ProductVersionMax), view.ViewVersion())
		_, err = s.raw.Exec("UPDATE products SET version = version + 1")
		require.ErrorContains(t, err, "constraint")
	})
}

// view reads a product as a channel sees it.
func (s *shop) view(product, id string) *models.Stock {
	s.t.Helper()
	directory, err := s.Directory(context.Background())
	require.NoError(s.t, err)
	c, known := directory.Channel(id)
	require.True(s.t, known)
	return s.read(product).In(c)
}

// withoutRevisions returns channels without their revisions, which the engines count
// differently.
func withoutRevisions(list []models.Channel) []models.Channel {
	for i := range list {
		list[i].Revision = 0
	}
	return list
}
