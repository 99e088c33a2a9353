// Package deploy has the files that an installation uses, for tests that run under them.
//
// The files: postgres/accounts.sql makes the accounts of the database; redis/users.acl has
// the one of Redis.
//
// May import: nothing.
package deploy
