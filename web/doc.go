// Package web holds the pages that are served out of the binary: the
// playground (GraphiQL with sample operations in tabs) and the front page with
// its live strip of demo stock.
//
// Everything a page needs is embedded, so both work on a machine without a way
// to the internet, and no visitor's address is ever told to a third party. The
// Content-Security-Policy of each page holds that rule in the browser: scripts,
// styles and connections may come from this server only.
//
// The package imports the standard library and nothing else. It knows the
// GraphQL endpoint by its path alone; when that endpoint is down the pages
// still load, say so, and try again.
//
// Rooms:
//
//	static/       pages, scripts and styles written here
//	third_party/  GraphiQL and React as published, and their licences
//	operations/   the sample operations, one tab of the playground each
//	e2e/          tests that drive a real browser against the real server
//	              (cd web/e2e && npm ci && npm test)
//
// vendor.sh fetches third_party anew from pinned versions and checks it against
// the sums beside it.
package web
