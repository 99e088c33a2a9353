package store

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// Whatever fails while a commit is published, the callers get their answers.
func TestPublishNeverPanics(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	broken := &publisher{log: slog.New(slog.NewTextHandler(&log, nil))} // with nothing to publish to
	require.NotPanics(t, func() { broken.Publish(t.Context(), models.Outcome{}) })
	require.Contains(t, log.String(), "a commit was not published")
}
