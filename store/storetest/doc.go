// Package storetest gives tests and benchmarks servers of their own: a private Postgres and a private Redis, started in
// a moment from the programs installed on the machine and gone when the process that asked for them is gone.
//
// Tests call [Postgres] for a fresh empty database on a server that all tests of the process share, [Redis] for a server
// that is theirs alone, and [PrivatePostgres] when they want to break the server itself. Benchmarks and other programs
// call [StartPostgres] and [StartRedis], which need no testing.T; [StartStandby] adds a second Postgres that follows one.
// Every server can be stopped, killed as a power cut would,
// frozen as a stalled machine would, and started again on the same port with the same data.
//
// What holds:
//   - A server listens on 127.0.0.1 only, on a port below the range the kernel hands to outgoing connections, so a
//     stopped server finds its port free when it starts again.
//   - A server never outlives its process, however that process ends, and neither do its files. On Linux the kernel
//     signals the server when its parent dies; everywhere a small shell (the guard) watches the parent through a pipe,
//     ends what the kernel could not (a frozen server hears no signal but one), and removes the directory.
//   - Postgres keeps fsync on, so that a benchmark pays for the durability it claims.
//   - Postgres refuses to run as root. When we are root it runs as the account "postgres", or else "nobody".
//
// When a program is missing the tests fail and say what to install; with ONHAND_TEST_SERVERS=embedded in the environment
// they are skipped instead. A test that looks for leaked goroutines should ignore
// "onhand/store/storetest.(*process).hold": it lives as long as its server.
//
// The package imports no other package of Onhand.
package storetest
