package rediscache

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]redis.UniversalOptions{
		"redis://":                      {Addrs: []string{"127.0.0.1:6379"}},
		"redis://cache":                 {Addrs: []string{"cache:6379"}},
		"redis://cache:7000/3":          {Addrs: []string{"cache:7000"}, DB: 3},
		"redis://[::1]:7000":            {Addrs: []string{"[::1]:7000"}},
		"redis://[::1]":                 {Addrs: []string{"[::1]:6379"}},
		"redis://me:p%40ss@cache":       {Addrs: []string{"cache:6379"}, Username: "me", Password: "p@ss"},
		"redis://:p@ss@cache":           {Addrs: []string{"cache:6379"}, Password: "p@ss"},
		"redis://cache?cluster=true":    {Addrs: []string{"cache:6379"}, IsClusterMode: true},
		"redis://a:1,b:2,c/":            {Addrs: []string{"a:1", "b:2", "c:6379"}, IsClusterMode: true},
		"redis://:pw@a,b/2?master=shop": {Addrs: []string{"a:26379", "b:26379"}, MasterName: "shop", Password: "pw", DB: 2},
		"redis://a?master=shop&sentinel_password=s&sentinel_username=u": {
			Addrs: []string{"a:26379"}, MasterName: "shop", SentinelPassword: "s", SentinelUsername: "u"},
	} {
		got, err := parseURL(raw)
		require.NoError(t, err, raw)
		require.Nil(t, got.TLSConfig)
		expected := defaults()
		expected.Addrs, expected.DB, expected.Username, expected.Password = want.Addrs, want.DB, want.Username, want.Password
		expected.IsClusterMode, expected.MasterName = want.IsClusterMode, want.MasterName
		expected.SentinelUsername, expected.SentinelPassword = want.SentinelUsername, want.SentinelPassword
		require.Equal(t, expected, got, raw)
	}
	secure, err := parseURL("rediss://cache")
	require.NoError(t, err)
	require.NotNil(t, secure.TLSConfig)
}

func TestParseURLRefuses(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"", "cache:6379", "http://cache", "redis://cache/x", "redis://cache/-1", "redis://cache:port", "redis://cache:99999",
		"redis://a,b/1", "redis://a?cluster=perhaps", "redis://a?cluster=true&master=m", "redis://a?timeout=1",
		"redis://secret:%zz@a",
	} {
		_, _, err := NewClients(raw, 0)
		require.Error(t, err, raw)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestClientsAreOfTheRightKind(t *testing.T) {
	t.Parallel()
	for raw, cluster := range map[string]bool{"redis://a": false, "redis://a,b": true, "redis://a?master=m": false} {
		reader, writer, err := NewClients(raw, 0)
		require.NoError(t, err)
		_, isCluster := reader.(*redis.ClusterClient)
		require.Equal(t, cluster, isCluster, raw)
		if client, ok := writer.(*redis.Client); ok {
			require.Zero(t, client.Options().MaxRetries, "the writer never resends") // -1, once normalised
			require.True(t, client.Options().ContextTimeoutEnabled)
			require.Equal(t, readRetriesMax, reader.(*redis.Client).Options().MaxRetries)
		}
		require.NoError(t, reader.Close())
		require.NoError(t, writer.Close())
	}
}
