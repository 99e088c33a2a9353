// Package serving has the settings of the serve command, its HTTP routes and its listeners.
//
// Terms: a setting is a flag with an environment variable of the same name. A route is a path with its handlers.
//
// Files: settings.go has the settings; server.go the HTTP server, its bounds and its shutdown; routes.go the routes;
// http.go which hosts and pages may call it; headers.go what protects an answer in a browser; tls.go the certificate;
// metrics.go what is counted of requests; documents.go what callers may send, and know of the schema.
//
// May import: onhand/graph, onhand/graph/guard, onhand/graph/transport, onhand/graph/trusted, onhand/models, onhand/store and onhand/web.
//
// Invariants: settings that can never work are refused before a connection is opened. The server binds to loopback
// only, because it does not check tokens. Every wait of the server for a client has a bound.
//
// The server listens before it has checked its dependencies. While the database is down it answers UNAVAILABLE, and
// /readyz says so.
package serving
