// Package keyhash derives what is stored of an idempotency key: keyed hashes, with the
// database's secret, and a fingerprint of the whole write.
//
// May import: models, rowjson. The package uses no server.
package keyhash
