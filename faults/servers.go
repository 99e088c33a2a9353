package faults

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"onhand/store/storetest"
)

// openRedis starts the plan's Redis, and our own way to it, past any proxy.
func (s *Scene) openRedis() {
	o := redis.UniversalOptions{MaxRetries: -1, DialTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second, PoolSize: 4}
	if s.plan.Cluster {
		s.Cluster = openCluster(s.t)
		s.cacheURL, o.Addrs = s.Cluster.URL(), s.Cluster.addresses()
		cluster := o.Cluster()
		cluster.ClusterStateReloadInterval = aheadEvery // a dead master is asked no longer than that
		s.redis = redis.NewClusterClient(cluster)
	} else {
		s.Redis = storetest.Redis(s.t, s.plan.RedisOptions...)
		s.cacheURL, o.Addrs = s.Redis.URL(), []string{s.Redis.Addr()}
		s.redis = redis.NewClient(o.Simple())
	}
	s.t.Cleanup(func() { _ = s.redis.Close() })
}

// shopRole is who the copies are where the database counts their connections: a superuser's are not counted.
const shopRole = "shop"

// openPostgres makes the shop's database, on the shared server or on those that the plan asks for.
func (s *Scene) openPostgres() {
	if !s.plan.PrivatePostgres {
		s.Database = storetest.Postgres(s.t)
		s.copiesDSN = s.Database
		return
	}
	s.Postgres = storetest.PrivatePostgres(s.t, s.plan.PostgresOptions...)
	ctx, cancel := context.WithTimeout(context.Background(), preparing)
	defer cancel()
	s.Must(s.Postgres.CreateDatabase(ctx, "shop"))
	s.Database = s.Postgres.DSN("shop")
	s.copiesDSN = s.Database
	if s.plan.ConnectionsMax > 0 {
		s.statements(ctx, s.Database, fmt.Sprintf(`CREATE ROLE %s LOGIN CONNECTION LIMIT %d`, shopRole, s.plan.ConnectionsMax),
			`ALTER DATABASE shop OWNER TO `+shopRole, `ALTER SCHEMA public OWNER TO `+shopRole)
		s.copiesDSN = strings.Replace(s.Database, "postgres@", shopRole+"@", 1)
	}
	if s.plan.Standby {
		standby, err := storetest.StartStandby(ctx, s.Postgres, s.plan.PostgresOptions...)
		s.Must(err)
		s.Standby = standby
		s.t.Cleanup(func() { s.Must(standby.Close()) })
		s.Database = bothHosts(s.t, s.Database, standby.DSN("shop"))
		s.copiesDSN = s.Database
	}
}
