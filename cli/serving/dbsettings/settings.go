package dbsettings

import (
	"errors"
	"fmt"
	"time"
)

// Bounds of the settings.
const (
	connectionsMax = 1000
	lagMax         = time.Second
	timeoutMin     = 100 * time.Millisecond
	timeoutMax     = 10 * time.Second
)

// ConnectionSettings are the URLs beside DATABASE_URL, and the bounds of the read replica.
type ConnectionSettings struct {
	DatabaseListenURL      string        `name:"database-listen-url" env:"DATABASE_LISTEN_URL" placeholder:"URL" help:"postgres://… of the server of DATABASE_URL itself, for notifications, where a connection pooler is between." more:"[when](running.md#a-connection-pooler)"`
	DatabaseListenURLFile  string        `name:"database-listen-url-file" env:"DATABASE_LISTEN_URL_FILE" placeholder:"PATH" help:"A file with the value of DATABASE_LISTEN_URL."`
	DatabaseReadURL        string        `name:"database-read-url" env:"DATABASE_READ_URL" placeholder:"URL" help:"postgres://… of a hot standby of DATABASE_URL, or of up to 8: the first that is not behind answers product pages and pages of the ledger. No caller reads older data than it has seen." more:"[how](running.md#a-read-replica)"`
	DatabaseReadURLFile    string        `name:"database-read-url-file" env:"DATABASE_READ_URL_FILE" placeholder:"PATH" help:"A file with the value of DATABASE_READ_URL."`
	ReadReplicaConnections int           `name:"read-replica-connections" env:"READ_REPLICA_CONNECTIONS" default:"16" help:"Open connections of one instance to each host of DATABASE_READ_URL, 1 to 1000."`
	ReadReplicaLagMax      time.Duration `name:"read-replica-lag-max" env:"READ_REPLICA_LAG_MAX" default:"50ms" help:"How long a read waits for a free connection to the read replica, and then again for it to replay what had committed when the read began; then the primary answers. 1ms to 1s."`
	ReadReplicaTimeout     time.Duration `name:"read-replica-timeout" env:"READ_REPLICA_TIMEOUT" default:"2s" help:"How long a read at the read replica may take, waits included; then the primary answers. 100ms to 10s."`
}

// Check refuses settings that can never work. The bounds of the replica are checked only
// where it has a URL.
func (s *ConnectionSettings) Check() error {
	if s.DatabaseReadURL == "" {
		return nil
	}
	var errs []error
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(s.ReadReplicaConnections < 1 || s.ReadReplicaConnections > connectionsMax, "read-replica-connections %d must be between 1 and %d", s.ReadReplicaConnections, connectionsMax)
	refuse(s.ReadReplicaLagMax < time.Millisecond || s.ReadReplicaLagMax > lagMax, "read-replica-lag-max %s must be between 1ms and %s", s.ReadReplicaLagMax, lagMax)
	refuse(s.ReadReplicaTimeout < timeoutMin || s.ReadReplicaTimeout > timeoutMax, "read-replica-timeout %s must be between %s and %s", s.ReadReplicaTimeout, timeoutMin, timeoutMax)
	return errors.Join(errs...)
}
