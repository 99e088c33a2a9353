// Package groupcommit joins concurrent writes into transactions.
package groupcommit
