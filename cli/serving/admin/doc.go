// Package admin answers operators: metrics, profiles, and what is wrong with a dependency.
//
// Where bearer tokens are configured, these answers have a listener of their own
// (ADMIN_ADDR), because they tell anonymous callers too much. Else the public listener has the
// metrics too.
//
// Invariants: a profile and a scrape are bounded in time. Pages of other sites are refused.
//
// May import: onhand/graph/guard and onhand/store.
package admin
