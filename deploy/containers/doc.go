// Package containers has no code: its test runs compose.yaml with Docker, as its comments and docs/running.md say.
//
//	make containers
//
// It uses the engine of this machine; without one it starts a dockerd of its own, as root, which changes no rule of the
// firewall. Compose is the one that Docker has, or is built from its module. The whole Containerfile is built, both stages. Where
// no registry answers, the script images makes images that stand in for those of Go, Postgres, Redis and haproxy.
package containers
