package faults

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"onhand/faults/checker"
	"onhand/faults/process"
	"onhand/store/storetest"
)

const (
	// checkConnections is how many connections the checks have to each server.
	checkConnections = 4
	// checkConnectTimeout bounds a connection of the checks to one host of Postgres, which may not answer.
	checkConnectTimeout = 5 * time.Second
	// redisTimeout bounds each step of a call of the checks to Redis.
	redisTimeout = time.Second
	// tokenSecret signs the tokens where instances check them.
	tokenSecret = "the secret of the fault scenarios"
	// allScopes are those of the customers' token.
	allScopes = "read:inventory write:inventory read:orders write:orders admin"
	// documentsQuota and tokensQuota are a tenth of the defaults, so that a flood uses them up within a scenario.
	documentsQuota, tokensQuota = "60000/1m", "600/1m"
	// shoppersAddress is where shoppers come from where instances check tokens.
	shoppersAddress = "127.0.0.2"
)

// openRedis starts the setup's Redis, and opens the checks' own connection to it, not through any proxy.
func (s *Shop) openRedis() redis.UniversalClient {
	o := redis.UniversalOptions{MaxRetries: -1, DialTimeout: redisTimeout, ReadTimeout: redisTimeout, WriteTimeout: redisTimeout, PoolSize: checkConnections}
	var client redis.UniversalClient
	if s.setup.Cluster {
		s.Cluster = process.NewCluster(s.t, s.newHost())
		s.instancesRedisURL, o.Addrs = storetest.ServerAccount(s.Cluster.URL()), s.Cluster.Addresses()
		cluster := o.Cluster()
		cluster.ClusterStateReloadInterval = checker.MonitorEvery // a dead master is asked no longer than that
		client = redis.NewClusterClient(cluster)
	} else if s.setup.Sentinel {
		s.Sentinel = process.NewSentinelRedis(s.t, s.newHost())
		s.instancesRedisURL, o.Addrs, o.MasterName = storetest.ServerAccount(s.Sentinel.URL()), s.Sentinel.Addresses(), process.SentinelMaster
		client = redis.NewFailoverClient(o.Failover())
	} else {
		s.Redis = storetest.Redis(s.t, s.Network.server(redisAddress)...)
		s.instancesRedisURL, o.Addrs = s.Redis.ServerURL(), []string{s.Redis.Addr()}
		client = redis.NewClient(o.Simple())
	}
	s.t.Cleanup(func() { _ = client.Close() }) // the server ends too
	return client
}

// openPostgres makes the shop's database and its tables, on the shared server or on those that the setup asks for. The
// instances have the account of an installation.
func (s *Shop) openPostgres() {
	if s.setup.PrivatePostgres {
		s.openPrivatePostgres()
	} else {
		s.databaseURL = storetest.Postgres(s.t)
	}
	s.instancesURL = storetest.ServerAccount(cmp.Or(s.instancesURL, s.databaseURL))
	s.migrateAsOwner()
}

func (s *Shop) openPrivatePostgres() {
	s.Postgres = storetest.PrivatePostgres(s.t, append(s.Network.server(postgresAddress), s.setup.PostgresOptions...)...)
	ctx, cancel := context.WithTimeout(context.Background(), prepareLimit)
	defer cancel()
	s.Must(s.Postgres.CreateDatabase(ctx, "shop"))
	s.databaseURL = s.Postgres.DSN("shop")
	if s.setup.ConnectionsMax > 0 {
		s.execute(ctx, s.databaseURL, fmt.Sprintf(`ALTER ROLE onhand_server CONNECTION LIMIT %d`, s.setup.ConnectionsMax))
	}
	if s.setup.Standby {
		standby, err := storetest.StartStandby(ctx, s.Postgres, append(s.Network.server(standbyAddress), s.setup.PostgresOptions...)...)
		s.Must(err)
		s.Standby = standby
		s.t.Cleanup(func() { s.Must(standby.Close()) })
		s.databaseURL = bothHosts(s.t, s.databaseURL, standby.DSN("shop"), cmp.Or(s.setup.SessionAttrs, "primary"))
	}
	if s.setup.Pooled {
		s.Pooler, s.instancesURL = storetest.Pooler(s.t, s.databaseURL)
	}
	if s.setup.Replica {
		s.Replica = s.newReplica(ctx)
	}
	if s.setup.SecondReplica {
		s.SecondReplica = s.newReplica(ctx)
	}
}

// newReplica starts a read replica.
func (s *Shop) newReplica(ctx context.Context) *storetest.PostgresServer {
	replica, err := storetest.StartReplica(ctx, s.Postgres, s.setup.PostgresOptions...)
	s.Must(err)
	s.t.Cleanup(func() { s.Must(replica.Close()) })
	return replica
}

// replicaHosts are the hosts of the read replicas, for a URL.
func (s *Shop) replicaHosts() string {
	hosts := hostOf(s.t, s.Replica.DSN("shop"))
	if s.SecondReplica != nil {
		hosts += "," + hostOf(s.t, s.SecondReplica.DSN("shop"))
	}
	return hosts
}

// migrateAsOwner makes the tables.
func (s *Shop) migrateAsOwner() {
	program := process.Build(s.t, s.setup.BuildTag) // which may take longer
	ctx, cancel := context.WithTimeout(context.Background(), prepareLimit)
	defer cancel()
	command := exec.CommandContext(ctx, program, "migrate")
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.t.TempDir(), "DATABASE_URL=" + storetest.OwnerAccount(s.databaseURL)}
	if output, err := command.CombinedOutput(); err != nil {
		s.t.Fatalf("migrate: %v\n%s", err, output)
	}
}

// openPool opens the checks' own connections to Postgres, not through any proxy.
func (s *Shop) openPool() *pgxpool.Pool {
	config, err := pgxpool.ParseConfig(s.databaseURL)
	s.Must(err)
	config.ConnConfig.RuntimeParams["application_name"] = "faults"
	config.MaxConns = checkConnections
	config.ConnConfig.ConnectTimeout = checkConnectTimeout
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	s.Must(err)
	s.t.Cleanup(pool.Close)
	return pool
}

// newInstance prepares one more instance, with proxies and a clock of its own where the setup wants them.
func (s *Shop) newInstance(number int) *process.Instance {
	name := "instance" + strconv.Itoa(number)
	database, cache := s.instancesURL, s.instancesRedisURL
	var toRedis, toPostgres *process.Proxy
	if s.setup.Proxied {
		address := hostOf(s.t, s.databaseURL)
		toRedis, toPostgres = process.NewProxy(s.t, name+"-redis", s.Redis.Addr()), process.NewProxy(s.t, name+"-postgres", address)
		cache = strings.Replace(cache, s.Redis.Addr(), toRedis.Address(), 1)
		database = strings.Replace(database, address, toPostgres.Address(), 1)
	}
	program := process.Build(s.t, s.setup.BuildTag)
	if number < len(s.setup.InstanceClocks) {
		program = process.BuildWithClock(s.t, s.setup.InstanceClocks[number])
	}
	settings := []string{"DATABASE_URL=" + database, "REDIS_URL=" + cache, "HOLDER_SHARE_MAX=100"} // some products are scarce
	if s.setup.Tokens {
		settings = append(settings, "AUTH_SECRET="+tokenSecret, "RATE_DOCUMENTS="+documentsQuota, "RATE_TOKENS="+tokensQuota)
	}
	if s.setup.Replica {
		settings = append(settings, "DATABASE_READ_URL="+strings.Replace(s.instancesURL, hostOf(s.t, s.databaseURL), s.replicaHosts(), 1), "READ_REPLICA_LAG_MAX=200ms")
	}
	if s.setup.Balanced {
		settings = append(settings, balancedSettings...)
	}
	if s.Network != nil {
		host := s.Network.newInstanceHost()
		return process.NewInstanceOn(s.t, name, program, host, append(settings, hostSettings(host)...))
	}
	i := process.NewInstance(s.t, name, program, settings)
	i.Redis, i.Postgres = toRedis, toPostgres
	return i
}

// unboundedSettings lift the bounds on one caller.
var unboundedSettings = []string{
	"HOLDER_LIMITS=off", "RATE_READS=off", "RATE_WRITES=off", "RATE_SUBSCRIPTIONS=off", "RATE_DOCUMENTS=off", "RATE_TOKENS=off",
}

// balancedSettings are those of an instance behind haproxy, beside those with tokens. All customers are one caller, so
// nothing bounds it.
var balancedSettings = append([]string{"TRUSTED_PROXIES=127.0.0.1", "SHUTDOWN_DELAY=3s"}, unboundedSettings...)

// hostOf is the host and port of a DSN.
func hostOf(t testing.TB, dsn string) string {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return config.ConnConfig.Host + ":" + strconv.Itoa(int(config.ConnConfig.Port))
}

// bothHosts joins two DSNs that differ in their host alone, and asks for a server with these attributes.
func bothHosts(t testing.TB, first, second, attributes string) string {
	one, other := hostOf(t, first), hostOf(t, second)
	return strings.Replace(first, one, one+","+other, 1) + "&target_session_attrs=" + attributes
}

// execute runs statements on a connection of their own.
func (s *Shop) execute(ctx context.Context, dsn string, statements ...string) {
	s.t.Helper()
	connection, err := pgx.Connect(ctx, dsn)
	s.Must(err)
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	for _, statement := range statements {
		_, err := connection.Exec(ctx, statement)
		s.Must(err)
	}
}
