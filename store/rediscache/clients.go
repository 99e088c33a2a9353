package rediscache

import (
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

// The timeouts are for a Redis in the same region. CacheConfig.Timeout bounds a whole
// round trip well below their sum.
const (
	dialTimeout  = time.Second
	readTimeout  = 250 * time.Millisecond
	writeTimeout = 250 * time.Millisecond
	poolTimeout  = 250 * time.Millisecond
	// poolSize bounds the pipelines in flight, for each client and each node. Few
	// are, because callers are joined into batches.
	poolSize = 32
	// bufferSize fits a pipeline of a hundred products in each direction.
	bufferSize = 64 << 10
	// readRetriesMax is one, because the server may have closed a pooled
	// connection: the second attempt shows whether Redis itself is down.
	readRetriesMax  = 1
	retryBackoffMin = 5 * time.Millisecond
	retryBackoffMax = 25 * time.Millisecond
	// redirectsMax bounds the MOVED and ASK replies that a command follows in a
	// cluster.
	redirectsMax = 3
	// topologyInterval is how often a cluster client reads the topology. After a
	// failed call it reads it at once.
	topologyInterval = 5 * time.Second
	// seedsMax bounds the addresses of one URL.
	seedsMax = 100
)

// NewClients makes the clients for one Redis, whatever kind it is:
//
//	redis://user:password@host:6379/0            one server; rediss:// for TLS
//	redis://host1:6379,host2:6379                Cluster, by its seeds
//	redis://host:6379?cluster=true               Cluster, by one address
//	redis://s1:26379,s2:26379/0?master=NAME      Sentinels, and the name of the master
//
// The account of the URL is the one of Redis. sentinel_username and
// sentinel_password are the account of the Sentinels, as parameters. A client
// connects when it is first used. Close both. timeout is the [CacheConfig.Timeout] of
// the cache, or 0.
//
// After a lost connection the reader retries once, and the writer never sends a
// script again. In a cluster the library retries on another node after a lost
// connection, up to redirectsMax times, and no setting turns that off. Scripts are
// versioned, so a script that runs twice has the effect of one run, but it may
// publish twice: see Apply.
func NewClients(rawURL string, timeout time.Duration) (reader, writer redis.UniversalClient, err error) {
	options, err := parseURL(rawURL)
	if err != nil {
		return nil, nil, fmt.Errorf("redis URL: %w", err)
	}
	options.ReadTimeout, options.WriteTimeout = max(readTimeout, timeout), max(writeTimeout, timeout)
	silence() // the library would log every refused dial; the same errors are returned
	options.MaxRetries = readRetriesMax
	reader = newClient(options)
	options.MaxRetries = -1
	return reader, newClient(options), nil
}

// silence turns off the log of the client library, once.
var silence = sync.OnceFunc(logging.Disable)

func newClient(options redis.UniversalOptions) redis.UniversalClient {
	switch {
	case options.MasterName != "":
		return redis.NewFailoverClient(options.Failover())
	case options.IsClusterMode:
		cluster := options.Cluster()
		cluster.ClusterStateReloadInterval = topologyInterval
		cluster.OnConnect = connectedToCluster
		return redis.NewClusterClient(cluster)
	default:
		return redis.NewClient(options.Simple())
	}
}

// parseURL hands account, database and TLS to the library's parser. It reads the
// seeds and the parameters itself, because the library's parsers of cluster and
// Sentinel URLs take one host, ignore or misread other parts, and have no form
// for our parameters (TestLibraryParsers). No error contains the URL, because it
// may contain a password.
func parseURL(raw string) (redis.UniversalOptions, error) {
	options := defaults()
	single, hosts, err := cutHosts(raw)
	if err != nil {
		return options, err
	}
	u, err := url.Parse(single)
	if err != nil {
		return options, errUnreadable
	}
	if err := addParameters(&options, u.Query()); err != nil {
		return options, err
	}
	u.RawQuery = ""
	server, err := redis.ParseURL(u.String())
	if err != nil {
		return options, err // about the database only: the rest was parsed above
	}
	options.Username, options.Password, options.DB, options.TLSConfig = server.Username, server.Password, server.DB, server.TLSConfig
	if options.TLSConfig != nil {
		options.TLSConfig.ServerName = "" // each certificate is checked against the host that is dialled
	}
	if options.Addrs, err = seeds(hosts, options.MasterName != ""); err != nil {
		return options, err
	}
	options.IsClusterMode = options.MasterName == "" && (options.IsClusterMode || len(options.Addrs) > 1)
	switch {
	case options.DB < 0:
		return options, fmt.Errorf("database %d is negative", options.DB)
	case options.DB > 0 && options.IsClusterMode:
		return options, errors.New("a cluster has only database 0")
	}
	return options, nil
}

var errUnreadable = errors.New("cannot be read; are special characters of the password escaped?")

// cutHosts cuts the list of hosts out of a URL, and puts one host in its place.
func cutHosts(raw string) (single, hosts string, err error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || scheme != "redis" && scheme != "rediss" {
		return "", "", errors.New("must begin with redis:// or rediss://")
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	account, hosts := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		account, hosts = authority[:i+1], authority[i+1:]
	}
	return scheme + "://" + account + "host" + tail, hosts, nil
}

func defaults() redis.UniversalOptions {
	return redis.UniversalOptions{
		ClientName: "onhand",
		// RESP2 needs no look-ahead for push frames, and nothing here uses what
		// RESP3 adds.
		Protocol:              2,
		ContextTimeoutEnabled: true,
		DialTimeout:           dialTimeout,
		DialerRetries:         1,
		ReadTimeout:           readTimeout,
		WriteTimeout:          writeTimeout,
		MinRetryBackoff:       retryBackoffMin,
		MaxRetryBackoff:       retryBackoffMax,
		MaxRedirects:          redirectsMax,
		PoolSize:              poolSize,
		PoolTimeout:           poolTimeout,
		// All commands are pipelines, so the pool for single commands serves them.
		PipelinePoolSize:         -1,
		ReadBufferSize:           bufferSize,
		WriteBufferSize:          bufferSize,
		DisableIdentity:          true, // saves a round trip for each connection
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// addParameters reads the parameters that [NewClients] documents. It refuses
// those of the library, because NewClients sets what they would set.
func addParameters(options *redis.UniversalOptions, query url.Values) error {
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

// seeds splits host:port,host:port and adds the default port where none is given.
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
