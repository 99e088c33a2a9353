// Package replicas has the settings of the read replica: a hot standby of the database
// that answers reads of pages (package store/readreplica).
//
// May import: the standard library.
package replicas
