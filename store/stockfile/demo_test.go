package stockfile

import (
	"testing"

	"onhand/models"

	"github.com/stretchr/testify/require"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	rows, locations, channels := Demo()
	directory := models.NewDirectory(locations, channels)
	totals, titles, seen := map[string]int{}, map[string]string{}, map[[2]string]bool{}
	for _, row := range rows {
		_, known := directory.Location(row.LocationID)
		require.True(t, known, "%s is at an unknown location", row.ProductID)
		require.False(t, seen[[2]string{row.ProductID, row.LocationID}], "%s is listed twice at %s", row.ProductID, row.LocationID)
		require.GreaterOrEqual(t, row.Available, 0)
		require.NotEmpty(t, row.Title)
		if title, ok := titles[row.ProductID]; ok {
			require.Equal(t, title, row.Title)
		}
		seen[[2]string{row.ProductID, row.LocationID}] = true
		titles[row.ProductID] = row.Title
		totals[row.ProductID] += row.Available
	}
	out, low := 0, 0
	for _, total := range totals {
		switch {
		case total == 0:
			out++
		case total <= 5:
			low++
		}
	}
	require.InDelta(t, 60, len(totals), 10, "about sixty products")
	require.GreaterOrEqual(t, out, 3, "some are out of stock")
	require.GreaterOrEqual(t, low, 5, "some are low")
	require.Less(t, out+low, len(totals)/3, "most are in stock")
	for _, id := range []string{"85123A", "22423", "85099B", "84879", "47566", "20725"} {
		require.Contains(t, totals, id)
	}
	for _, channel := range channels {
		for _, id := range channel.LocationIDs {
			_, known := directory.Location(id)
			require.True(t, known, "the channel %s names an unknown location", channel.ChannelID)
		}
	}
}

func TestDemoIsTheSameEveryTime(t *testing.T) {
	t.Parallel()
	first, _, _ := Demo()
	first[0].Title = "changed by a caller"
	second, _, _ := Demo()
	require.NotEqual(t, first[0], second[0])
	require.Equal(t, first[1:], second[1:])
}
