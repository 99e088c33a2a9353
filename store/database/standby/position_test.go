package standby

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A server is read only if it replays the log of the primary that gave the position.
func TestCheck(t *testing.T) {
	t.Parallel()
	at := LogPosition{LSN: "0/5", Timeline: 4, System: 7, Epoch: "e"}
	good := state{recovering: true, replayed: true, timeline: 4, system: 7, epoch: "e"}
	for name, test := range map[string]struct {
		change func(*state)
		want   string // empty for none
	}{
		"a standby of the primary":                               {func(*state) {}, ""},
		"one that is behind":                                     {func(s *state) { s.replayed = false }, ""},
		"one that is behind, with the epoch of before a restore": {func(s *state) { s.replayed, s.epoch = false, "old" }, ""},
		"another cluster":                                        {func(s *state) { s.system = 8 }, "another database cluster"},
		"another cluster, a primary too":                         {func(s *state) { s.system, s.recovering = 8, false }, "another database cluster"},
		"a promoted standby":                                     {func(s *state) { s.recovering, s.timeline = false, 5 }, "a primary itself"},
		"one that follows the primary of before a failover":      {func(s *state) { s.timeline = 3 }, "on timeline 3, the primary on 4"},
		"the same, and behind":                                   {func(s *state) { s.timeline, s.replayed = 3, false }, "on timeline 3, the primary on 4"},
		"one that follows a newer primary":                       {func(s *state) { s.timeline = 5 }, "on timeline 5, the primary on 4"},
		"another database of the cluster":                        {func(s *state) { s.epoch = "other" }, "another epoch"},
	} {
		s := good
		test.change(&s)
		err := s.check(at)
		if test.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, ErrOther, name)
		require.ErrorContains(t, err, test.want, name)
	}
}

// After a record that filled its page, or ended its segment, the insert position is behind
// a header that no standby has replayed: a quiet primary's standby would count as behind.
func TestLogEnd(t *testing.T) {
	t.Parallel()
	const page, segment = 8 << 10, 16 << 20
	for _, test := range []struct {
		insert int64
		want   string
	}{
		{5<<32 + segment + segmentHeader, "5/1000000"},
		{5<<32 + page + pageHeader, "5/2000"},
		{5<<32 + page + segmentHeader, "5/2028"}, // within a record's page
		{5<<32 + segment + segmentHeader + 8, "5/1000030"},
		{5<<32 + page, "5/2000"},
	} {
		require.Equal(t, test.want, logEnd(test.insert, page, segment))
	}
}
