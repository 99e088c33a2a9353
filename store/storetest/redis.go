package storetest

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"onhand/deploy"
)

// redisSettings are ours; WithSetting adds to them and overrides them. Nothing is kept on disk, as in a cache: after Stop
// or Kill it starts empty.
var redisSettings = []setting{
	{"bind", "127.0.0.1"},
	{"daemonize", "no"},
	{"save", ""},
	{"appendonly", "no"},
}

// redisUsersFile has the accounts, in the server's folder.
const redisUsersFile = "users.acl"

// testKeys are keys and channels with the prefixes of the tests of rediscache and nearcache.
const testKeys = ` ~test:* &test:* &shop* &shop\[1\]\*:inventory_change:*`

// withoutScripts refuses scripts to the administrator. The product cannot work without them, so it fails where a test gives
// it this account.
func withoutScripts(o *options) { o.refused = " -eval -evalsha" }

// InCluster starts a Redis as a node of a cluster, whose bus has a free port too.
func InCluster(o *options) { o.clustered = true }

// RedisServer is a private Redis, without password or persistence. Start, Stop, Kill, Freeze, Thaw and Close work as for
// every server here.
type RedisServer struct {
	server
}

// StartRedis starts an empty Redis on a free port. The caller must Close it; when the process dies instead, the server
// ends too. The error wraps ErrNotInstalled when the machine has no Redis.
func StartRedis(opts ...Option) (*RedisServer, error) {
	programs, err := findRedis()
	if err != nil {
		return nil, err
	}
	collected := collect(opts)
	settings := redisSettings[:len(redisSettings):len(redisSettings)]
	if address := collected.host.Address; address != "" {
		settings = append(settings, setting{"bind", "127.0.0.1 " + address}, setting{"protected-mode", "no"})
	}
	settings = append(settings, collected.settings...)
	r := &RedisServer{server{
		kind:         "redis",
		host:         collected.host,
		clustered:    collected.clustered,
		draw:         collected.draw,
		gentleSignal: syscall.SIGTERM,
		deathSignal:  syscall.SIGKILL, // it has nothing to free
	}}
	r.command = func() *exec.Cmd {
		arguments := []string{"--port", strconv.Itoa(r.port), "--dir", r.directory, "--aclfile", filepath.Join(r.directory, redisUsersFile)}
		if r.clustered {
			arguments = append(arguments, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(r.bus))
		}
		for _, s := range settings {
			arguments = append(arguments, "--"+s.name, s.value)
		}
		return exec.Command(filepath.Join(programs, "redis-server"), arguments...)
	}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	account := strings.Replace(strings.TrimSpace(deploy.RedisUsers), "user onhand on ", "user onhand on >onhand ", 1)
	users := "user default on nopass ~* &* +@all" + collected.refused + "\n" + account + testKeys + "\n"
	if err := os.WriteFile(filepath.Join(r.directory, redisUsersFile), []byte(users), 0o600); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if err := r.open(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Addr is the server's host and port.
func (r *RedisServer) Addr() string { return net.JoinHostPort(r.hostAddress(), strconv.Itoa(r.port)) }

// URL is the server's address in the form REDIS_URL has, with the administrator's account.
func (r *RedisServer) URL() string { return "redis:" + redisAdministrator + r.Addr() + "/0" }

// ServerURL is the URL with the account of an installation (deploy.RedisUsers).
func (r *RedisServer) ServerURL() string { return ServerAccount(r.URL()) }
