// Package engines has no code: its tests check Onhand's SQL for databases other than Postgres that accept its protocol and
// dialect: CockroachDB, YugabyteDB, Citus and Aurora Limitless.
//
//	make engines                                   # the checks, and the statements collected anew
//	cd deploy/engines && go test -update .         # writes testdata
//
// Terms:
//   - Statement: what Onhand sends, as the tests of store and store/database make it, by the accounts of servers and of
//     migrations. testdata/statements.sql has one of each kind: of those with the same beginning and the same features.
//   - Table: a statement of the migration, whose file is read as it is.
//   - Feature: what a statement needs of the database and that is not in every SQL database: a lock clause, a kind of
//     trigger, a function. A parse tree by Postgres's own parser says which a statement has. The bodies of functions count.
//   - The table of docs/scaling.md says of each feature which databases have it.
//
// Invariants: a feature without a row fails a test, as does a row without a statement. Every statement goes through the
// parser of CockroachDB too; testdata/cockroach.txt has those that it refuses.
//
// It is a module of its own: the parsers are no dependencies of the product.
package engines
