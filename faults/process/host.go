package process

import (
	"onhand/faults/network"
	"onhand/store/storetest"
)

// ServerOn runs a Postgres or a Redis on a host of its own.
func ServerOn(host *network.Host) storetest.Option {
	return storetest.WithHost(storetest.ServerHost{Address: host.Address.String(), Enter: host.Enter})
}
