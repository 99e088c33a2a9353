//go:build !race

package database_test

const race = false
