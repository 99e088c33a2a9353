package storetest

import "strings"

// administrator is the account of the DSNs that this package returns: tests change the
// tables past the product with it.
const administrator = "//postgres@"

const serverAccountName = "onhand_server"

// OwnerAccount returns the DSN with the account that owns the tables (onhand_owner), for
// migrations. The URL of another kind of database stays as it is.
func OwnerAccount(dsn string) string { return withAccount(dsn, "onhand_owner") }

// ServerAccount returns the DSN with the account of a server (onhand_server), which only
// reads and writes rows. The URL of another kind of database stays as it is.
func ServerAccount(dsn string) string { return withAccount(dsn, serverAccountName) }

// redisAccount is the account of deploy.RedisUsers, as a URL has it.
const redisAccount = "onhand:onhand@"

// AdministratorURL returns the URL of a server without the account of an installation: tests
// change what is stored past the product with it.
func AdministratorURL(url string) string {
	url = strings.Replace(url, redisAccount, "", 1)
	return strings.Replace(url, "//"+serverAccountName+"@", administrator, 1)
}

func withAccount(dsn, account string) string {
	return strings.Replace(dsn, administrator, "//"+account+"@", 1)
}
