package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// Each channel sells by its own sourcing: by priority, or from as few locations as it
// can. Both sell the same quantities.
func TestSourcingOfAChannel(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.ok(locations(models.LocationRow{LocationID: "east", Priority: new(3)}, models.LocationRow{LocationID: "west", Priority: new(4)}))
		all := []string{"north", "south", "east", "west"}
		s.ok(channels(models.ChannelRow{ChannelID: "near", LocationIDs: all}, models.ChannelRow{ChannelID: "few", LocationIDs: all, Sourcing: new(models.FewestLocations)}))
		s.stock("mug", "north", 2, "south", 3, "east", 6, "west", 6)
		s.stock("cup", "north", 1, "south", 2, "west", 9)
		s.stock("pen", "south", 1, "west", 1)
		s.stock("owed", "north", 1, "east", 2)
		s.settings("owed", "inventory_policy = 'CONTINUE', backorder_limit = 5")
		from := func(location string, n int) models.Allocation {
			return models.Allocation{LocationID: location, Quantity: n}
		}
		for _, c := range []struct {
			name string
			cart []models.RequestedLine
			near [][]models.Allocation
			few  [][]models.Allocation
		}{
			{"one location has it all: the first by priority", []models.RequestedLine{line("mug", 4)},
				[][]models.Allocation{{from("north", 2), from("south", 2)}}, [][]models.Allocation{{from("east", 4)}}},
			{"none has it all: the fullest first", []models.RequestedLine{line("mug", 14)},
				[][]models.Allocation{{from("north", 2), from("south", 3), from("east", 6), from("west", 3)}},
				[][]models.Allocation{{from("east", 6), from("west", 6), from("south", 2)}}},
			{"one location has the whole cart", []models.RequestedLine{line("mug", 4), line("cup", 3), line("pen", 1)},
				[][]models.Allocation{{from("north", 2), from("south", 2)}, {from("north", 1), from("south", 2)}, {from("south", 1)}},
				[][]models.Allocation{{from("west", 4)}, {from("west", 3)}, {from("west", 1)}}},
			{"a location that supplies the cart already comes first", []models.RequestedLine{line("mug", 7), line("pen", 1)},
				[][]models.Allocation{{from("north", 2), from("south", 3), from("east", 2)}, {from("south", 1)}},
				[][]models.Allocation{{from("east", 6), from("west", 1)}, {from("west", 1)}}},
			{"a location that a line names comes first", []models.RequestedLine{pinned("pen", 1, "west"), line("mug", 2)},
				[][]models.Allocation{{from("west", 1)}, {from("north", 2)}}, [][]models.Allocation{{from("west", 1)}, {from("west", 2)}}},
			{"a backorder is owed by the first", []models.RequestedLine{line("owed", 5)},
				[][]models.Allocation{{from("north", 3), from("east", 2)}}, [][]models.Allocation{{from("east", 4), from("north", 1)}}},
		} {
			for channel, want := range map[string][][]models.Allocation{"near": c.near, "few": c.few} {
				w := reserve(c.cart...)
				w.Channel = channel
				r := s.ok(w).Reservation
				var got [][]models.Allocation
				for _, l := range r.Lines {
					got = append(got, l.Allocations)
				}
				require.Equal(t, want, got, "%s: %s", channel, c.name)
				s.ok(release(r.ID))
			}
		}
		// New lines of a reservation use the channel's present sourcing.
		w := reserve(line("mug", 1))
		w.Channel = "near"
		r := s.ok(w).Reservation
		s.ok(channels(models.ChannelRow{ChannelID: "near", Sourcing: new(models.FewestLocations)}))
		got := s.ok(update(r.ID, line("mug", 5))).Reservation
		require.Equal(t, []models.Allocation{from("east", 5)}, allocations(t, got))
	})
}
