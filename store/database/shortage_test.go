package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// The message of a shortage says which of the causes it was.
func TestShortageMessages(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("out", "north", 0, "south", 0)
		s.stock("few", "north", 2, "south", 1)
		s.stock("none")
		s.stock("closed", "far", 5)
		s.stock("both", "north", 1, "far", 5)
		s.stock("north", "north", 5)
		s.stock("owed", "north", 1)
		s.settings("owed", "inventory_policy = 'CONTINUE', backorder_limit = 3")
		s.stock("most", "north", 9)
		s.settings("most", "max_per_reservation = 4")
		for _, test := range []struct {
			channel string
			lines   []models.RequestedLine
			message string
		}{
			{"", []models.RequestedLine{line("out", 1)}, `"out" cannot be had: it is sold out`},
			{"", []models.RequestedLine{line("few", 5)}, `only 3 of "few" can be had, not 5: the rest is sold out`},
			{"", []models.RequestedLine{line("none", 1)}, `"none" cannot be had: it has no stock level at any location`},
			{"", []models.RequestedLine{line("closed", 1)}, `"closed" cannot be had: every location that stocks it is closed`},
			{"", []models.RequestedLine{line("both", 2)}, `only 1 of "both" can be had, not 2: the rest is sold out; there are units at a closed location`},
			{"", []models.RequestedLine{line("owed", 5)}, `only 4 of "owed" can be had, not 5: its backorder limit of 3 is reached`},
			{"", []models.RequestedLine{line("most", 5)}, `the limit of one reservation is 4 of "most"`},
			{"", []models.RequestedLine{pinned("few", 3, "north")}, `only 2 of "few" can be had, not 3: the rest is sold out at "north"`},
			{"", []models.RequestedLine{pinned("closed", 1, "far")}, `"closed" cannot be had: "far" is closed`},
			{"", []models.RequestedLine{pinned("north", 1, "south")}, `"north" cannot be had: it has no stock level at "south"`},
			{"", []models.RequestedLine{pinned("few", 3, "north"), pinned("few", 1, "far"), line("few", 3)},
				`only 3 of "few" can be had, not 7: the rest is sold out at "north"; it has no stock level at "far"; the rest is sold out`},
			{"web", []models.RequestedLine{line("out", 1)}, `"out" cannot be had: it is sold out in the channel "web"`},
			{"web", []models.RequestedLine{line("few", 2)}, `only 1 of "few" can be had, not 2: the rest is sold out in the channel "web"; there are units outside the channel`},
			{"web", []models.RequestedLine{line("north", 1)}, `"north" cannot be had: it has no stock level at any location of the channel "web"; there are units outside the channel`},
			{"web", []models.RequestedLine{line("none", 1)}, `"none" cannot be had: it has no stock level at any location`},
			{"web", []models.RequestedLine{pinned("north", 1, "north")}, `"north" cannot be had: "north" is outside the channel "web"`},
			{"none", []models.RequestedLine{line("north", 1)}, `"north" cannot be had: it has no stock level at any location of the channel "none"; there are units outside the channel`},
			{"all", []models.RequestedLine{line("closed", 1)}, `"closed" cannot be had: every location of the channel "all" that stocks it is closed`},
			{"all", []models.RequestedLine{line("both", 2)}, `only 1 of "both" can be had, not 2: the rest is sold out in the channel "all"; there are units at a closed location`},
		} {
			w := reserve(test.lines...)
			w.Channel = test.channel
			errs := s.do(w).Errors
			require.Len(t, errs, 1, test.message)
			require.Equal(t, test.message, errs[0].GetMessage())
		}

		w := reserve(line("few", 1))
		w.Channel = "web"
		made := s.ok(w).Reservation
		s.exec("DELETE FROM channels WHERE channel_id = 'web'")
		errs := s.do(update(made.ID, line("few", 3))).Errors
		require.Len(t, errs, 1)
		require.Contains(t, errs[0].GetMessage(), `the channel "web" does not exist any more`)
	})
}

// A row of a stock write that takes too much says what is there.
func TestShortLevelMessages(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 3)
		s.stock("owed", "north", 1)
		s.settings("owed", "inventory_policy = 'CONTINUE', backorder_limit = 3")
		for message, w := range map[string]models.Write{
			`AVAILABLE of "mug" at "north" is only 3`:                           adjust(delta("mug", "north", models.Available, -4)),
			`DAMAGED of "mug" at "north" is only 0`:                             adjust(delta("mug", "north", models.Damaged, -1)),
			`"mug" has no stock level at "south" yet`:                           adjust(delta("mug", "south", models.Available, -1)),
			`AVAILABLE of "owed" at "north" is 1, and its backorder limit is 3`: adjust(delta("owed", "north", models.Available, -5)),
		} {
			errs := s.do(w).Errors
			require.Len(t, errs, 1, message)
			require.Equal(t, message, errs[0].GetMessage())
		}
	})
}
