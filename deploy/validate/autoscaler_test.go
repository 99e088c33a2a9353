package validate

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/prometheus-adapter/pkg/config"
	"sigs.k8s.io/prometheus-adapter/pkg/naming"
)

// TestAdapter: prometheus-adapter accepts its rules, and asks Prometheus for what the autoscaler wants to know.
func TestAdapter(t *testing.T) {
	t.Parallel()
	rules, err := config.FromFile(filepath.Join(root, "deploy", "prometheus", "adapter.yaml"))
	require.NoError(t, err)
	cluster := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Version: "v1"}})
	cluster.Add(schema.GroupVersionKind{Version: "v1", Kind: "Pod"}, meta.RESTScopeNamespace)
	cluster.Add(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, meta.RESTScopeRoot)
	namers, err := naming.NamersFromConfig(rules.Rules, cluster)
	require.NoError(t, err)
	require.Len(t, namers, 1)
	scaler := kustomized(t, "base")["HorizontalPodAutoscaler onhand"].(*autoscalingv2.HorizontalPodAutoscaler)
	wanted := scaler.Spec.Metrics[1].Pods.Metric
	selector, err := metav1.LabelSelectorAsSelector(wanted.Selector)
	require.NoError(t, err)
	query, err := namers[0].QueryForSeries(wanted.Name, schema.GroupResource{Resource: "pods"}, "onhand", selector, "onhand-1", "onhand-2")
	require.NoError(t, err)
	assert.Equal(t, `sum(onhand_requests_open{transport="websocket",namespace="onhand",pod=~"onhand-1|onhand-2"}) by (pod)`, string(query))
}
