package graph_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"onhand/models"
	"onhand/models/channel"
)

// directoryAt has the channel "web" with London, at a revision.
func directoryAt(revision int64) *models.Directory {
	return models.NewDirectory(
		[]models.Location{{LocationID: "london", Name: "London", Active: true}},
		[]models.Channel{{ChannelID: "web", Name: "Web", LocationIDs: []string{"london"}, Revision: revision}})
}

// TestMinVersionOfAView: minVersion takes the version of a channel's view. The product
// is read again where it is older, and the channel only where that does not do.
func TestMinVersionOfAView(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		minVersion, want int64
		stocks           int
		directories      int
	}{
		"new enough":        {channel.Version(3, 1), channel.Version(3, 1), 0, 0},
		"an older revision": {channel.Version(2, 99), channel.Version(3, 1), 0, 0},
		"a newer product":   {channel.Version(3, 2), channel.Version(3, 9), 1, 0},
		"a newer channel":   {channel.Version(4, 1), channel.Version(5, 9), 1, 1},
		"both":              {channel.Version(5, 9), channel.Version(5, 9), 1, 1},
		"the future":        {models.VersionMax, channel.Version(5, 9), 1, 1},
	} {
		stocks := 0
		f := &fakeStore{directory: directoryAt(3), newest: directoryAt(5), fresh: func(id string) (*models.Stock, error) {
			stocks++
			return stockOf(id, 9), nil
		}}
		r := ask(t, f, fmt.Sprintf(`{ stock(productId: "a", channel: "web", minVersion: %d) { version } }`, c.minVersion))
		assert.JSONEq(t, fmt.Sprintf(`{"stock": {"version": %d}}`, c.want), string(r.Data), name)
		assert.Equal(t, []int{c.stocks, c.directories}, []int{stocks, f.askedDirectories}, name)
	}
}
