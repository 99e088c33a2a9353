package faults

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// bothHosts joins two DSNs that differ in their host alone, and asks for the one that takes writes.
func bothHosts(t testing.TB, first, second string) string {
	one, other := hostOf(t, first), hostOf(t, second)
	return strings.Replace(first, one, one+","+other, 1) + "&target_session_attrs=primary"
}

// statements runs some on a connection of their own.
func (s *Scene) statements(ctx context.Context, dsn string, list ...string) {
	s.t.Helper()
	connection, err := pgx.Connect(ctx, dsn)
	s.Must(err)
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	for _, statement := range list {
		_, err := connection.Exec(ctx, statement)
		s.Must(err)
	}
}
