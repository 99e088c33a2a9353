package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"onhand/store"
	"onhand/store/audit"
)

// Exit codes of an audit.
const (
	auditDifferent = 1
	auditFailed    = 2
)

type auditCommand struct {
	Repair bool          `env:"AUDIT_REPAIR" help:"Refresh Redis where it differs. Stock in the database is never changed."`
	Settle time.Duration `env:"AUDIT_SETTLE" default:"10s" help:"How long Redis may take to catch up before it counts as different."`
}

// Help is the text that onhand audit --help adds.
func (*auditCommand) Help() string {
	return "Prints one line for each difference and a summary. Ends with 0 when nothing differs (any more, with --repair), " +
		"1 when something does, 2 when the audit failed. It may run beside live traffic."
}

// Run audits everything once.
func (c *auditCommand) Run(ctx context.Context, s *settings, stdout io.Writer) error {
	if c.Settle < 0 {
		return exitError{fmt.Errorf("settle %s must not be negative", c.Settle), auditFailed}
	}
	if err := s.missing(); err != nil {
		return exitError{err, auditFailed}
	}
	st, err := s.open(store.Config{})
	if err != nil {
		return exitError{err, auditFailed}
	}
	defer st.Close()
	report, err := st.Audit(ctx, audit.Options{Settle: c.Settle, Repair: c.Repair, Found: func(d audit.Difference) { fmt.Fprintln(stdout, d) }})
	if err != nil {
		return exitError{fmt.Errorf("the audit ended early (after %s): %w", report, err), auditFailed}
	}
	fmt.Fprintln(stdout, report)
	if n := report.Remaining(); n > 0 {
		return exitError{fmt.Errorf("%d differences", n), auditDifferent}
	}
	return nil
}
