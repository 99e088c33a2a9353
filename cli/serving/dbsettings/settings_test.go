package dbsettings

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/store/database/standby"
)

// Settings that can never work are refused by name.
func TestCheck(t *testing.T) {
	t.Parallel()
	good := ConnectionSettings{DatabaseReadURL: "postgres://standby/shop", ReadReplicaConnections: 16, ReadReplicaLagMax: 50 * time.Millisecond, ReadReplicaTimeout: 2 * time.Second}
	require.NoError(t, good.Check())
	for name, change := range map[string]func(*ConnectionSettings){
		"read-replica-connections 0 must": func(s *ConnectionSettings) { s.ReadReplicaConnections = 0 },
		"read-replica-lag-max 2s must":    func(s *ConnectionSettings) { s.ReadReplicaLagMax = 2 * time.Second },
		"read-replica-timeout 1m0s must":  func(s *ConnectionSettings) { s.ReadReplicaTimeout = time.Minute },
	} {
		s := good
		change(&s)
		require.ErrorContains(t, s.Check(), name)
	}
}

// The help names the bounds that hold.
func TestHelpNamesTheBounds(t *testing.T) {
	t.Parallel()
	settings := reflect.TypeFor[ConnectionSettings]()
	for name, want := range map[string]string{
		"DatabaseReadURL":        fmt.Sprintf("or of up to %d: ", standby.HostsMax),
		"ReadReplicaConnections": fmt.Sprintf(", 1 to %d.", connectionsMax),
		"ReadReplicaLagMax":      fmt.Sprintf(" 1ms to %s.", lagMax),
		"ReadReplicaTimeout":     fmt.Sprintf(" %s to %s.", timeoutMin, timeoutMax),
	} {
		field, ok := settings.FieldByName(name)
		require.True(t, ok, name)
		require.Contains(t, field.Tag.Get("help"), want)
	}
}
