package validate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// root is the top of the repository.
var root = filepath.Join("..", "..")

// kinds are the types that our manifests may have. ServiceMonitor is one of the Prometheus operator.
var kinds = map[string]func() any{
	"apps/v1 Deployment":                      func() any { return &appsv1.Deployment{} },
	"autoscaling/v2 HorizontalPodAutoscaler":  func() any { return &autoscalingv2.HorizontalPodAutoscaler{} },
	"batch/v1 Job":                            func() any { return &batchv1.Job{} },
	"v1 ConfigMap":                            func() any { return &corev1.ConfigMap{} },
	"v1 Service":                              func() any { return &corev1.Service{} },
	"v1 ServiceAccount":                       func() any { return &corev1.ServiceAccount{} },
	"networking.k8s.io/v1 NetworkPolicy":      func() any { return &networkingv1.NetworkPolicy{} },
	"networking.k8s.io/v1 Ingress":            func() any { return &networkingv1.Ingress{} },
	"policy/v1 PodDisruptionBudget":           func() any { return &policyv1.PodDisruptionBudget{} },
	"monitoring.coreos.com/v1 ServiceMonitor": func() any { return &map[string]any{} },
}

// objects decodes documents strictly, by kind and name: an unknown or misspelt field fails the test.
func objects(t *testing.T, documents string) map[string]any {
	t.Helper()
	found := map[string]any{}
	for _, document := range strings.Split(documents, "\n---\n") {
		var head struct {
			APIVersion, Kind string
			Metadata         struct{ Name string }
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &head), document)
		if head.Kind == "" {
			continue
		}
		make := kinds[head.APIVersion+" "+head.Kind]
		require.NotNil(t, make, "%s %s", head.APIVersion, head.Kind)
		object := make()
		require.NoError(t, yaml.UnmarshalStrict([]byte(document), object), document)
		found[head.Kind+" "+head.Metadata.Name] = object
	}
	return found
}

func kustomized(t *testing.T, folder string) map[string]any {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, "deploy", "kubernetes", folder))
	require.NoError(t, err)
	text, err := resources.AsYaml()
	require.NoError(t, err)
	return objects(t, string(text))
}

// rendered renders the chart with values.
func rendered(values map[string]any) (string, error) {
	chart, err := loader.Load(filepath.Join(root, "deploy", "helm", "onhand"))
	if err != nil {
		return "", err
	}
	all, err := chartutil.ToRenderValues(chart, values, chartutil.ReleaseOptions{Name: "onhand", Namespace: "shop", IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		return "", err
	}
	files, err := engine.Render(chart, all)
	var text strings.Builder
	for name, file := range files {
		if strings.HasSuffix(name, ".yaml") {
			fmt.Fprintf(&text, "\n---\n%s", file)
		}
	}
	return text.String(), err
}

// usual are the values without which the chart is not rendered.
func usual() map[string]any {
	return map[string]any{"existingSecret": "onhand", "migration": map[string]any{"existingSecret": "onhand-owner"}}
}

// TestKustomize: base, overlay and migration build, and every object is one that Kubernetes knows.
func TestKustomize(t *testing.T) {
	t.Parallel()
	base := kustomized(t, "base")
	assert.Len(t, base, 8)
	assert.Len(t, kustomized(t, "overlays/production"), 9)
	migrate := kustomized(t, "migrate")
	require.Contains(t, migrate, "Job onhand-migrate")
	// The pods of the job are not those that the service, the budget and the policy select.
	assert.Equal(t, "onhand-migrate", migrate["Job onhand-migrate"].(*batchv1.Job).Spec.Template.Labels["app.kubernetes.io/name"])
	selected := map[string]string{"app.kubernetes.io/name": "onhand"}
	assert.Equal(t, selected, base["PodDisruptionBudget onhand"].(*policyv1.PodDisruptionBudget).Spec.Selector.MatchLabels)
	assert.Equal(t, selected, base["NetworkPolicy onhand"].(*networkingv1.NetworkPolicy).Spec.PodSelector.MatchLabels)
	assert.Equal(t, selected, base["Service onhand-admin"].(*corev1.Service).Spec.Selector)
}

// TestChart: the chart is refused without the names of its secrets, with words that say how to make them, and gives objects
// that Kubernetes knows, whatever is switched on.
func TestChart(t *testing.T) {
	t.Parallel()
	_, err := rendered(map[string]any{"migration": map[string]any{"enabled": false}})
	require.ErrorContains(t, err, "openssl rand -hex 32")
	_, err = rendered(map[string]any{"existingSecret": "onhand"})
	require.ErrorContains(t, err, "migration.existingSecret")
	values := usual()
	values["unknown"] = true
	_, err = rendered(values)
	require.ErrorContains(t, err, "unknown")

	text, err := rendered(usual())
	require.NoError(t, err)
	assert.Len(t, objects(t, text), 9)
	values = usual()
	values["ingress"] = map[string]any{"enabled": true, "host": "stock.example.com", "tlsSecret": "tls", "className": "nginx"}
	values["serviceMonitor"] = map[string]any{"enabled": true}
	values["config"] = map[string]any{"allowed-hosts": []any{"stock.example.com"}, "near-cache-bytes": 134217728, "log-format": nil}
	values["imagePullSecrets"] = []any{map[string]any{"name": "pull"}}
	values["nodeSelector"], values["tolerations"] = map[string]any{"pool": "shop"}, []any{map[string]any{"key": "shop", "operator": "Exists"}}
	text, err = rendered(values)
	require.NoError(t, err)
	all := objects(t, text)
	assert.Len(t, all, 11)
	var settings map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(all["ConfigMap onhand"].(*corev1.ConfigMap).Data["onhand.yaml"]), &settings))
	assert.EqualValues(t, 134217728, settings["near-cache-bytes"])
	assert.Equal(t, []any{"stock.example.com"}, settings["allowed-hosts"])
	assert.NotContains(t, settings, "log-format")
}

// TestChartIsTheBase: the chart with its own values runs the same pods as the Kustomize base, with the same settings.
func TestChartIsTheBase(t *testing.T) {
	t.Parallel()
	text, err := rendered(usual())
	require.NoError(t, err)
	chart, base := objects(t, text), kustomized(t, "base")
	pod := func(all map[string]any) corev1.PodSpec {
		spec := all["Deployment onhand"].(*appsv1.Deployment).Spec.Template.Spec
		spec.Affinity, spec.TopologySpreadConstraints = nil, nil // they have the labels of a release
		spec.Volumes[0].ConfigMap.Name = "onhand"                // Kustomize adds a hash
		spec.Containers[0].Image, spec.Containers[0].ImagePullPolicy = "onhand", ""
		return spec
	}
	assert.Equal(t, pod(base), pod(chart))
	migrate := kustomized(t, "migrate")["Job onhand-migrate"].(*batchv1.Job).Spec
	job := chart["Job onhand-migrate"].(*batchv1.Job).Spec
	job.Template.Spec.Containers[0].Image, job.Template.Spec.Containers[0].ImagePullPolicy = "onhand", ""
	assert.Equal(t, migrate.Template.Spec, job.Template.Spec)
	assert.Equal(t, base["HorizontalPodAutoscaler onhand"].(*autoscalingv2.HorizontalPodAutoscaler).Spec, chart["HorizontalPodAutoscaler onhand"].(*autoscalingv2.HorizontalPodAutoscaler).Spec)

	settings := func(all map[string]any) (values map[string]any) {
		for name, object := range all {
			if strings.HasPrefix(name, "ConfigMap onhand") {
				require.NoError(t, yaml.Unmarshal([]byte(object.(*corev1.ConfigMap).Data["onhand.yaml"]), &values))
			}
		}
		return values
	}
	assert.Equal(t, settings(base), settings(chart))
}

// TestReleaseConfiguration: goreleaser accepts its configuration, every field of which it knows.
func TestReleaseConfiguration(t *testing.T) {
	t.Parallel()
	text, err := os.Open(filepath.Join(root, ".goreleaser.yaml"))
	require.NoError(t, err)
	defer text.Close()
	project, err := config.LoadReader(text)
	require.NoError(t, err)
	require.Len(t, project.Builds, 1)
	assert.Equal(t, []string{"-trimpath"}, []string(project.Builds[0].Flags))
	assert.Equal(t, []string{"-s -w"}, []string(project.Builds[0].Ldflags))
}
