package servers

import (
	"net"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Split makes a configuration for each server of one, in its order. A server has several
// entries where TLS is optional; they stay together.
func Split(config *pgx.ConnConfig) (each []*pgx.ConnConfig) {
	entries := append([]*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}}, config.Fallbacks...)
	found := map[string]*pgx.ConnConfig{}
	for _, entry := range entries {
		address := net.JoinHostPort(entry.Host, strconv.Itoa(int(entry.Port)))
		if known := found[address]; known != nil {
			known.Fallbacks = append(known.Fallbacks, entry)
			continue
		}
		one := config.Copy()
		one.Host, one.Port, one.TLSConfig, one.Fallbacks = entry.Host, entry.Port, entry.TLSConfig, nil
		found[address] = one
		each = append(each, one)
	}
	return each
}

// Address is the host:port of a configuration for one server.
func Address(config *pgx.ConnConfig) string {
	return net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
}
