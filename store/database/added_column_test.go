package database_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/paging"
)

// An instance whose tables get columns from a newer one continues. Postgres refuses a
// prepared SELECT * then, once for each connection.
func TestAddedColumns(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 100)
		r := s.reserved(line("mug", 1))
		use := func() {
			ctx := t.Context()
			_, err := s.ReadMeta(ctx)
			require.NoError(t, err)
			require.Equal(t, r.Lines, s.reservation(r.ID).Lines)
			directory, err := s.Directory(ctx)
			require.NoError(t, err)
			require.NotEmpty(t, directory.Channels)
			_, err = s.ReadProducts(ctx, paging.Request{First: 10}, paging.ProductQuery{})
			require.NoError(t, err)
			s.reserved(line("mug", 1))
			s.ok(products(models.ProductRow{ProductID: "mug", LowStockThreshold: new(int(s.read("mug").Version))}))
			drained, err := s.DrainOutbox(ctx, 10, func(context.Context, []models.Change) error { return nil })
			require.NoError(t, err)
			require.NotZero(t, drained)
		}
		for range 3 { // so that statements are prepared, whatever connection they get
			use()
		}
		for _, table := range []string{"onhand_meta", "products", "locations", "channels", "channel_locations", "stock_levels", "reservations", "outbox"} {
			s.exec("ALTER TABLE " + table + " ADD COLUMN added_later integer")
		}
		use()
	})
}
