// Package dbroutes has the settings of further ways to the database: of the read replica, a
// hot standby that answers reads of pages (package store/readreplica), and of the
// connection for notifications past a pooler.
//
// May import: the standard library.
package dbroutes
