package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReplicaReads: the counter is summed over the hosts of an instance; other metrics with the name's beginning are not.
func TestReplicaReads(t *testing.T) {
	t.Parallel()
	sum, err := replicaReads("# TYPE onhand_replica_reads_total counter\n" +
		"onhand_replica_reads_total{host=\"a b:5432\"} 5\nonhand_replica_reads_total{host=\"c:5432\"} 1.5e+06\n" +
		"onhand_replica_reads_total_other{host=\"d\"} 7\nonhand_replica_up 1\n")
	require.NoError(t, err)
	require.Equal(t, 1_500_005.0, sum)
	sum, err = replicaReads("onhand_replica_up 1\n")
	require.NoError(t, err)
	require.Zero(t, sum)
	_, err = replicaReads("onhand_replica_reads_total{host=\"a\"} many\n")
	require.Error(t, err)
}
