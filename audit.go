package main

import (
	"context"
	"fmt"
	"time"

	"onhand/store"
	"onhand/store/audit"
)

type auditCommand struct {
	Repair bool          `env:"AUDIT_REPAIR" help:"Refresh Redis where it differs. The database is never changed."`
	Settle time.Duration `env:"AUDIT_SETTLE" default:"10s" help:"How long Redis may take to catch up before it counts as different."`
}

// Help is what onhand audit --help adds.
func (*auditCommand) Help() string {
	return "Prints one line for each difference and a summary. Ends with 0 when nothing differs (any more, with --repair), " +
		"1 when something does, 2 when the audit could not be carried out. It may run beside live traffic."
}

// Run audits everything once.
func (c *auditCommand) Run(ctx context.Context, s *settings) error {
	if c.Settle < 0 {
		return coded{fmt.Errorf("settle %s must not be negative", c.Settle), 2}
	}
	st, err := s.open(store.Config{})
	if err != nil {
		return coded{err, 2}
	}
	defer st.Close()
	report, err := st.Audit(ctx, audit.Options{Settle: c.Settle, Repair: c.Repair, Found: func(d audit.Difference) { fmt.Println(d) }})
	if err != nil {
		return coded{fmt.Errorf("the audit ended early (after %s): %w", report, err), 2}
	}
	fmt.Println(report)
	if n := report.Remaining(); n > 0 {
		return coded{fmt.Errorf("%d differences", n), 1}
	}
	return nil
}
