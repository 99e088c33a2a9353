// Package testbed gives benchmarks their servers: a Postgres and a Redis of their own, with the settings of a fresh
// Debian package, and reports what they cost.
//
// [Start] starts a Postgres and a Redis that keeps nothing on disk. [Servers.DurableRedis] adds one that fsyncs every
// write. [Servers.Database] makes an empty database. [Servers.Describe] prints what the figures were measured on.
// [StartProgram] starts a build of the server, [StartChild] a command of the benchmark, each in a process of its own;
// [Migrate] makes the tables;
// [Serve] is the end of such a command. [StartRedis] starts one Redis, one with Sentinels, or a cluster of six.
// [RedisFigure] is a number of Redis. [RunCommand] runs the benchmark itself, and [BuildServer] builds the server.
// [CPUTimes], [ProcessCPU], [TreeCPU] and [PerCall] report how much CPU time each program spent: throughput depends on what else the
// machine does, CPU time does not.
//
// Invariants: all variants of a row use the same servers. The servers end with the process.
//
// It may import store/storetest. When a program is not installed, Start fails and says what to install.
package testbed
