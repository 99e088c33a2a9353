// Package dbsettings has the settings of further connections to the database: to the read
// replicas, hot standbys that answer reads of pages (package store/readreplica), and past a
// pooler for notifications.
//
// May import: the standard library.
package dbsettings
