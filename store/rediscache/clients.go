package rediscache

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// The time limits are for a Redis in the same region; Config.Timeout bounds a
// whole round trip well below their sum.
const (
	dialTimeout  = time.Second
	readTimeout  = 250 * time.Millisecond
	writeTimeout = 250 * time.Millisecond
	poolTimeout  = 250 * time.Millisecond
	// poolSize is how many pipelines may be under way at once, for each client
	// and each node. Callers are joined into batches, so few are.
	poolSize = 32
	// bufferSize holds a pipeline of a hundred products on either side.
	bufferSize = 64 << 10
	// readRetriesMax: a read may find its pooled connection closed by the
	// server, and a second one tells that from a Redis that is gone.
	readRetriesMax = 1
	retryWaitMin   = 5 * time.Millisecond
	retryWaitMax   = 25 * time.Millisecond
	// redirectsMax is how many MOVED and ASK a command follows in a cluster.
	redirectsMax = 3
	// topologyEvery is how old a cluster client's picture of the cluster may be
	// while all is well. A call that fails has it taken anew at once.
	topologyEvery = 5 * time.Second
	// seedsMax bounds the addresses one URL may name.
	seedsMax = 100
)

// NewClients makes the clients for one Redis, whatever kind it is:
//
//	redis://user:password@host:6379/0            one server; rediss:// for TLS
//	redis://host1:6379,host2:6379                Cluster, by its seeds
//	redis://host:6379?cluster=true               Cluster, by one address
//	redis://s1:26379,s2:26379/0?master=NAME      Sentinels, and whom they watch
//
// sentinel_username and sentinel_password may follow as parameters. Neither
// client connects before it is used. Close both. A cache with a
// [Config.Timeout] needs clients that wait as long; 0 is for one without.
//
// After a lost connection the reader asks once more, and the writer does not
// send its script again, but for a cluster: there the library sends to another
// node whatever met a lost connection, up to redirectsMax times, and has no
// setting of its own against it. Scripts are versioned, so that one that runs
// twice has the effect of one, but it may be told twice: see Apply.
func NewClients(rawURL string, timeout time.Duration) (reader, writer redis.UniversalClient, err error) {
	options, err := parseURL(rawURL)
	if err != nil {
		return nil, nil, fmt.Errorf("redis URL: %w", err)
	}
	options.ReadTimeout, options.WriteTimeout = max(readTimeout, timeout), max(writeTimeout, timeout)
	silence() // its pool would log every refused dial; what matters is returned as an error
	options.MaxRetries = readRetriesMax
	reader = newClient(options)
	options.MaxRetries = -1
	return reader, newClient(options), nil
}

// silence turns off the client library's own log, once.
var silence = sync.OnceFunc(logging.Disable)

func newClient(options redis.UniversalOptions) redis.UniversalClient {
	switch {
	case options.MasterName != "":
		return redis.NewFailoverClient(options.Failover())
	case options.IsClusterMode:
		cluster := options.Cluster()
		cluster.ClusterStateReloadInterval = topologyEvery
		return redis.NewClusterClient(cluster)
	default:
		return redis.NewClient(options.Simple())
	}
}

// parseURL reads the URL by hand as far as the hosts: net/url takes one only.
// Errors do not repeat the URL, for it may hold a password.
func parseURL(raw string) (redis.UniversalOptions, error) {
	var options redis.UniversalOptions
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || scheme != "redis" && scheme != "rediss" {
		return options, errors.New("must begin with redis:// or rediss://")
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	login, hosts := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		login, hosts = authority[:i+1], authority[i+1:]
	}
	u, err := url.Parse(scheme + "://" + login + "host" + tail)
	if err != nil {
		return options, errors.New("cannot be read; are special characters of the password escaped?")
	}
	options = defaults()
	options.Username = u.User.Username()
	options.Password, _ = u.User.Password()
	if scheme == "rediss" {
		options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12} // the name to check is the host dialled
	}
	if err := addQuery(&options, u.Query()); err != nil {
		return options, err
	}
	if options.Addrs, err = seeds(hosts, options.MasterName != ""); err != nil {
		return options, err
	}
	options.IsClusterMode = options.MasterName == "" && (options.IsClusterMode || len(options.Addrs) > 1)
	if path := strings.Trim(u.Path, "/"); path != "" {
		if options.DB, err = strconv.Atoi(path); err != nil || options.DB < 0 {
			return options, fmt.Errorf("database %q is no number", path)
		}
	}
	if options.IsClusterMode && options.DB != 0 {
		return options, errors.New("a cluster has only database 0")
	}
	return options, nil
}

func defaults() redis.UniversalOptions {
	return redis.UniversalOptions{
		ClientName: "onhand",
		// RESP2, because its replies and messages need no look-ahead for push
		// frames; nothing here uses what RESP3 adds.
		Protocol:              2,
		ContextTimeoutEnabled: true,
		DialTimeout:           dialTimeout,
		DialerRetries:         1,
		ReadTimeout:           readTimeout,
		WriteTimeout:          writeTimeout,
		MinRetryBackoff:       retryWaitMin,
		MaxRetryBackoff:       retryWaitMax,
		MaxRedirects:          redirectsMax,
		PoolSize:              poolSize,
		PoolTimeout:           poolTimeout,
		// All we send are pipelines: one pool for them, not two.
		PipelinePoolSize:         -1,
		ReadBufferSize:           bufferSize,
		WriteBufferSize:          bufferSize,
		DisableIdentity:          true, // one round trip less for each connection
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

func addQuery(options *redis.UniversalOptions, query url.Values) error {
	for name := range query {
		value := query.Get(name)
		var err error
		switch name {
		case "cluster":
			options.IsClusterMode, err = strconv.ParseBool(value)
		case "master":
			options.MasterName = value
		case "sentinel_username":
			options.SentinelUsername = value
		case "sentinel_password":
			options.SentinelPassword = value
		default:
			return fmt.Errorf("unknown parameter %q", name)
		}
		if err != nil {
			return fmt.Errorf("parameter %s must be true or false", name)
		}
	}
	if options.MasterName != "" && options.IsClusterMode {
		return errors.New("cluster and master exclude each other")
	}
	return nil
}

// seeds splits host:port,host:port and adds the usual port where none is given.
func seeds(hosts string, sentinel bool) ([]string, error) {
	port := "6379"
	if sentinel {
		port = "26379"
	}
	list := strings.Split(hosts, ",")
	if len(list) > seedsMax {
		return nil, fmt.Errorf("%d addresses, more than %d", len(list), seedsMax)
	}
	for i, address := range list {
		if address == "" {
			address = "127.0.0.1"
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			address = net.JoinHostPort(strings.Trim(address, "[]"), port)
		}
		if _, given, err := net.SplitHostPort(address); err != nil || !isPort(given) {
			return nil, fmt.Errorf("address %q is not host:port", list[i])
		}
		list[i] = address
	}
	return list, nil
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}
