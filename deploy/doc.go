// Package deploy has the files that an installation uses, for tests that run under them and
// that compare them with the program.
//
// The files: postgres/accounts.sql makes the accounts of the database, passwords.sh gives
// them passwords; redis/users.acl has the account of Redis, start.sh starts one; haproxy
// and systemd have the load balancer and the units; grafana and prometheus the dashboard
// and the alert rules; kubernetes a Kustomize base with an overlay, helm a chart. The folder
// validate is a module of its own, which checks manifests and chart with what reads them;
// containers is one that runs compose.yaml.
//
// May import: nothing.
package deploy
