package faults

import (
	"cmp"
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

const (
	// serverRole and serverUser are the accounts of an installation (deploy): the instances have no other.
	serverRole, serverUser = "onhand_server", "onhand"
	// accountsQuery has the roles of the instances' connections.
	accountsQuery = `SELECT DISTINCT usename::text FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'onhand'`
)

// checkAccounts looks at whose connections those of the instances are, at Postgres and at Redis.
func (s *Shop) checkAccounts() {
	s.t.Helper()
	ctx, cancel := reading()
	defer cancel()
	rows, err := s.Checker.Database.Query(ctx, accountsQuery)
	s.Must(err)
	defer rows.Close()
	roles := []string{}
	for rows.Next() {
		var role string
		s.Must(rows.Scan(&role))
		roles = append(roles, role)
	}
	s.Must(rows.Err())
	if len(roles) != 1 || roles[0] != serverRole {
		s.t.Errorf("the instances are connected to Postgres as %v, want %s alone", roles, serverRole)
	}
	users, err := redisUsers(ctx, s.Checker.Cache)
	s.Must(err)
	if len(users) != 1 || users[serverUser] == 0 {
		s.t.Errorf("the instances are connected to Redis as %v, want %s alone", users, serverUser)
	}
}

// redisUsers counts the instances' connections by account, over all nodes of a cluster.
func redisUsers(ctx context.Context, cache redis.UniversalClient) (map[string]int, error) {
	var mu sync.Mutex // ForEachMaster asks them side by side
	users := map[string]int{}
	count := func(ctx context.Context, node *redis.Client) error {
		list, err := node.ClientList(ctx).Result()
		mu.Lock()
		defer mu.Unlock()
		for line := range strings.Lines(list) {
			fields := map[string]string{}
			for _, field := range strings.Fields(line) {
				name, value, _ := strings.Cut(field, "=")
				fields[name] = value
			}
			if fields["name"] == "onhand" {
				users[cmp.Or(fields["user"], "nobody")]++
			}
		}
		return err
	}
	switch c := cache.(type) {
	case *redis.ClusterClient:
		return users, c.ForEachMaster(ctx, count)
	case *redis.Client:
		return users, count(ctx, c)
	}
	return users, nil
}
