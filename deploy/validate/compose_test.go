package validate

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// composed loads compose.yaml as docker compose does, with the variables of a file.
func composed(t *testing.T, environment string, profiles ...string) (*types.Project, error) {
	t.Helper()
	options := []cli.ProjectOptionsFn{cli.WithProfiles(profiles)}
	if environment != "" {
		options = append(options, cli.WithEnvFiles(environment), cli.WithDotEnv)
	}
	project, err := cli.NewProjectOptions([]string{filepath.Join(root, "compose.yaml")}, options...)
	require.NoError(t, err)
	return project.LoadProject(context.Background())
}

// TestComposeFile: compose refuses to start without secrets and says what to run; with those of scripts/secrets it starts
// Postgres and Redis, or all of it.
func TestComposeFile(t *testing.T) {
	t.Parallel()
	_, err := composed(t, "")
	require.ErrorContains(t, err, "run scripts/secrets first")
	file := filepath.Join(t.TempDir(), ".env")
	out, err := exec.Command(filepath.Join(root, "scripts", "secrets"), file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	project, err := composed(t, file)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"postgres", "redis"}, project.ServiceNames())
	project, err = composed(t, file, "shop")
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"postgres", "redis", "migrate", "onhand1", "onhand2", "haproxy"}, project.ServiceNames())
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, name := range []string{"onhand1", "onhand2", "migrate"} {
		service := project.Services[name]
		assert.True(t, service.ReadOnly, name)
		assert.Equal(t, []string{"ALL"}, []string(service.CapDrop), name)
	}
	secret := project.Services["onhand1"].Environment["AUTH_SECRET"]
	require.NotNil(t, secret)
	assert.Contains(t, string(text), "export ONHAND_AUTH_SECRET='"+*secret+"'")
	assert.Equal(t, "REDISCLI_AUTH=$REDIS_PASSWORD redis-cli --user onhand ping | grep -q PONG", project.Services["redis"].HealthCheck.Test[1])
}
