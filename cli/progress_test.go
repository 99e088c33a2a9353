package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

func TestProgressBar(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	now := time.Unix(0, 0)
	b := &bar{out: &out, now: func() time.Time { return now }}
	b.show("writing", 0, 10)
	b.show("writing", 1, 10) // too soon
	now = now.Add(barInterval)
	b.show("writing", 5, 10)
	b.show("writing", 10, 10) // the end is always shown
	b.show("deciding", 0, 0)
	b.clear()
	assert.Equal(t, "\r\x1b[Kwriting   [..............................]   0 %"+
		"\r\x1b[Kwriting   [###############...............]  50 %"+
		"\r\x1b[Kwriting   [##############################] 100 %"+
		"\r\x1b[Kdeciding …\r\x1b[K", out.String())

	(&bar{now: time.Now}).show("no terminal", 1, 2)
	(*bar)(nil).show("nil", 1, 2)
	f := &fileBar{bar: b, file: strings.NewReader("abcd"), size: 8}
	_, err := f.Read(make([]byte, 4))
	require.NoError(t, err)
	out.Reset()
	f.showImport(models.ImportReading, 1000, 0)
	assert.Contains(t, out.String(), " 50 %")
}
