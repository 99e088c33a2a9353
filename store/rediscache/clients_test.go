package rediscache

import (
	"crypto/tls"
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
	require.Empty(t, secure.TLSConfig.ServerName, "the host that is dialled")
	require.EqualValues(t, tls.VersionTLS12, secure.TLSConfig.MinVersion)
}

func TestParseURLRefuses(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"", "cache:6379", "http://cache", "redis://cache/x", "redis://cache/-1", "redis://cache:port", "redis://cache:99999",
		"redis://a,b/1", "redis://a?cluster=perhaps", "redis://a?cluster=true&master=m", "redis://a?timeout=1", "redis://a?max_retries=1",
		"redis://secret:%zz@a", "redis://:secret/x@a", "redis://:secret?x@a", "redis://cache/1/2", "unix://cache",
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

// TestLibraryParsers shows what the library's parsers would lose of the URLs that
// NewClients documents. When a case fails, the library has learned it, and
// parseURL can leave it to the library.
func TestLibraryParsers(t *testing.T) {
	t.Parallel()
	cluster, err := redis.ParseClusterURL("redis://a,b:2")
	require.NoError(t, err)
	require.Equal(t, []string{"a,b:2"}, cluster.Addrs, "several seeds")
	_, err = redis.ParseClusterURL("redis://a?cluster=true")
	require.Error(t, err, "our parameters")
	cluster, err = redis.ParseClusterURL("rediss://a/1?addr=b:1")
	require.NoError(t, err, "a database that a cluster does not have")
	require.Equal(t, "a", cluster.TLSConfig.ServerName, "the certificate of b is checked against the name of a")

	sentinel, err := redis.ParseFailoverURL("redis://me:secret@a?master_name=m")
	require.NoError(t, err)
	require.Equal(t, []string{"a:6379"}, sentinel.SentinelAddrs, "the default port of Redis, not of a Sentinel")
	require.Equal(t, []string{"me", "secret", "", ""}, []string{sentinel.SentinelUsername, sentinel.SentinelPassword, sentinel.Username, sentinel.Password},
		"the account is the Sentinel's, not the one of Redis")

	for _, raw := range []string{"redis://a/-1", "redis://a:99999"} {
		_, err = redis.ParseURL(raw)
		require.NoError(t, err, "no server has %s", raw)
	}
	_, err = redis.ParseURL("redis://secret:%zz@a")
	require.ErrorContains(t, err, "secret")
}
