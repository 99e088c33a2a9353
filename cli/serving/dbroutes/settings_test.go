package dbroutes

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Settings that can never work are refused by name.
func TestCheck(t *testing.T) {
	t.Parallel()
	good := RouteSettings{DatabaseReadURL: "postgres://standby/shop", ReadReplicaConnections: 16, ReadReplicaLagMax: 50 * time.Millisecond, ReadReplicaTimeout: 2 * time.Second}
	require.NoError(t, good.Check())
	for name, change := range map[string]func(*RouteSettings){
		"read-replica-connections 0 must": func(s *RouteSettings) { s.ReadReplicaConnections = 0 },
		"read-replica-lag-max 2s must":    func(s *RouteSettings) { s.ReadReplicaLagMax = 2 * time.Second },
		"read-replica-timeout 1m0s must":  func(s *RouteSettings) { s.ReadReplicaTimeout = time.Minute },
	} {
		s := good
		change(&s)
		require.ErrorContains(t, s.Check(), name)
	}
}
