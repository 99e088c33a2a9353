// Package serving has the settings of the serve command, its HTTP routes and its listeners.
//
// Terms: a setting is a flag with an environment variable of the same name. A route is a path with its handlers.
//
// Files: settings.go has the settings; server.go the HTTP server, its bounds and its shutdown; routes.go the routes;
// headers.go what protects an answer in a browser; metrics.go what is counted of requests. Each other file has a group
// of settings: identity.go tokens, admin.go the listener for operators, http.go hosts, pages and trusted proxies,
// tls.go the certificate, documents.go documents and the schema, rates.go quotas, holders.go limits of holders,
// sockets.go connections and streams, quantities.go the cap of quantities.
//
// May import: admin, shoppers, graph, guard, ratelimit, securitylog, tokens, transport, admission, trusted, viewer, models,
// holderlimits, quota, store, web.
//
// Invariants: settings that can never work are refused before a connection is opened. Without tokens configured the
// server listens on a loopback address only, because every caller has every scope. Every wait of the server for a
// client has a bound.
//
// The server listens before it has checked its dependencies. While the database is down it answers UNAVAILABLE, and
// /readyz says so.
package serving
