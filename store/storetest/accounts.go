package storetest

import (
	"fmt"
	"regexp"
	"strings"
)

// administrator and redisAdministrator are the accounts of the URLs that this package returns: tests change tables and
// keys past the product with them. The product never has them.
const (
	administrator      = "//postgres@"
	redisAdministrator = "//default:tests@"
)

const serverAccountName = "onhand_server"

// redisAccount is the account of deploy.RedisUsers, as a URL has it.
const redisAccount = "//onhand:onhand@"

// OwnerAccount returns the DSN with the account that owns the tables (onhand_owner), for
// migrations. The URL of another kind of database stays as it is.
func OwnerAccount(dsn string) string {
	return strings.Replace(dsn, administrator, "//onhand_owner@", 1)
}

// ServerAccount returns the URL with the account of a server: onhand_server of a Postgres, which only reads and writes
// rows, or that of deploy.RedisUsers of a Redis. The URL of another kind of server stays as it is.
func ServerAccount(url string) string {
	url = strings.Replace(url, redisAdministrator, redisAccount, 1)
	return strings.Replace(url, administrator, "//"+serverAccountName+"@", 1)
}

// AdministratorURL returns the URL of a server without the account of an installation: tests
// change what is stored past the product with it.
func AdministratorURL(url string) string {
	url = strings.Replace(url, redisAccount, redisAdministrator, 1)
	return strings.Replace(url, "//"+serverAccountName+"@", administrator, 1)
}

// productName is how the product names its connections to Postgres.
const productName = "onhand"

// wrongAccount matches a line of the log of Postgres: the product connects as the administrator.
var wrongAccount = regexp.MustCompile(`connection authorized: user=postgres database=(\S+) application_name=` + productName + `\n`)

// checkAccounts looks into the log of a server for connections of the product under the administrator's account, to one
// database or, without a name, to any.
func (p *PostgresServer) checkAccounts(database string) error {
	for _, found := range wrongAccount.FindAllStringSubmatch(p.log(), -1) {
		if database == "" || found[1] == database {
			return fmt.Errorf("the product connected to %s as the administrator: give it ServerAccount(url), and OwnerAccount(url) to migrate", found[1])
		}
	}
	return nil
}
