// Package guard says who is asking and how much they may ask, the same for
// HTTP and for sockets: identity and scopes, where a request may come from,
// how large it may be, what its document may cost to validate.
//
// Today's identity: a server that listens on a loopback address grants every
// scope to whoever reaches it, and nothing else may be listened on. Web pages
// of other sites cannot reach it through a visitor's browser: Host and Origin
// must be loopback too.
//
// May import: models, gqlgen's runtime, gqlparser and the standard library.
package guard
