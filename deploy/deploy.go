package deploy

import _ "embed" // the files

// PostgresAccounts makes the accounts onhand_owner and onhand_server.
//
//go:embed postgres/accounts.sql
var PostgresAccounts string

// RedisUsers has the account onhand, in the form of an aclfile. It has no password yet, so
// that nobody is let in.
//
//go:embed redis/users.acl
var RedisUsers string
