package audit

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An incident is counted once and logged once, until it is repaired or was not found
// for a while. The lines of the log are bounded, and so is memory.
func TestIncidents(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	p := NewSampler(Subjects{}, 0, slog.New(slog.NewTextHandler(&log, nil)))
	i := p.incidents
	now := time.Now()
	i.now = func() time.Time { return now }
	ahead := Difference{Kind: RedisAhead, ProductID: "mug"}
	counted := func(kind DifferenceKind) int {
		return int(measured(t, p)["onhand_audit_differences_total{"+string(kind)+"}"])
	}

	for range 100 {
		i.found(ahead)
		i.found(Difference{Kind: Reserved, ProductID: "mug", LocationID: "a"})
		now = now.Add(time.Second)
	}
	require.Equal(t, 1, counted(RedisAhead))
	require.Equal(t, 1, counted(Reserved))
	require.Equal(t, 2, strings.Count(log.String(), "\n"))
	i.ended("mug")
	i.found(ahead)
	i.found(Difference{Kind: Reserved, ProductID: "mug", LocationID: "a"})
	require.Equal(t, 2, counted(RedisAhead), "repaired, and written again")
	require.Equal(t, 1, counted(Reserved))
	now = now.Add(incidentMemoryMin)
	i.found(ahead)
	require.Equal(t, 3, counted(RedisAhead), "not found for a while")

	log.Reset()
	now = now.Add(incidentLogInterval)
	for n := range 2 * incidentsMax {
		i.found(Difference{Kind: RedisBehind, ProductID: fmt.Sprint(n)})
	}
	require.Equal(t, 2*incidentsMax, counted(RedisBehind))
	require.Equal(t, incidentLinesMax, strings.Count(log.String(), "\n"))
	require.Len(t, i.lastFound, incidentsMax)
	now = now.Add(incidentMemoryMin)
	i.passed(time.Second)
	require.Empty(t, i.lastFound)
	i.passed(time.Hour)
	i.found(ahead)
	now = now.Add(time.Hour)
	i.found(ahead)
	require.Equal(t, 4, counted(RedisAhead), "a pass takes so long")
}
