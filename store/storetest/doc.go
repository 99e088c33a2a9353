// Package storetest gives tests and benchmarks servers of their own: a private Postgres and a private Redis. They are
// started from the programs installed on the machine, and they end when the process that started them ends.
//
// Tests call [Postgres] for a fresh empty database on a server that all tests of the process share, [Redis] for a Redis
// of their own, [RedisCluster] for a cluster, and [PrivatePostgres] when they break the server itself. Benchmarks and other
// programs call [StartPostgres], [StartRedis], [StartRedisCluster], [StartRedisSentinels] and [StartPooler], which need no
// testing.T. [StartStandby] adds a second Postgres that follows one. [Silent] is a server that accepts connections and never answers. Every server can be stopped, killed as a
// power cut does, frozen as a stalled machine is, and started again on the same port with the same data.
//
// URLs have the administrator's account; the product gets that of an installation by [ServerAccount] and [OwnerAccount].
//
// Terms: the guard is a small shell that outlives the process by a moment and removes what it left.
//
// Invariants:
//   - A server listens on 127.0.0.1 only ([WithHost]: and on the address of its host), on a port below the range from which the kernel takes ports for outgoing
//     connections. So a stopped server finds its port free when it starts again.
//   - A server never outlives its process, however that ends, and neither do its files. On Linux the kernel signals the
//     server when its parent dies. Everywhere the guard watches the parent through a pipe, ends the servers that are
//     left (a frozen one receives no signal but SIGKILL), and removes the directory.
//   - Postgres keeps fsync on, so that a benchmark pays for the durability it claims.
//   - Postgres refuses to run as root. When we are root it runs as the account "postgres", or else "nobody".
//
// When a program is missing, the tests fail and say what to install. With ONHAND_TEST_SERVERS=embedded in the environment
// they are skipped instead. A test that looks for leaked goroutines should ignore
// "onhand/store/storetest.(*process).run": it lives as long as its server.
//
// With ONHAND_TEST_STATEMENTS ([StatementsVariable]) each Postgres logs its statements into a folder, for deploy/engines.
//
// The package imports no other package of Onhand.
package storetest
