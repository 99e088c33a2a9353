package cli

import (
	"context"
	"fmt"
	"io"

	"onhand/store"
)

type migrateCommand struct{}

// Run applies the migrations that are missing, and ends.
func (*migrateCommand) Run(ctx context.Context, s *settings, stdout io.Writer) error {
	st, err := s.open(store.Config{})
	if err != nil {
		return err
	}
	defer st.Close()
	applied, err := st.MigrateWhenUp(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d migrations applied\n", applied)
	return nil
}
