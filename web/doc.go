// Package web serves the pages that are part of the binary: the playground (GraphiQL
// with sample operations in tabs) and the live board at "/".
//
// Invariants:
//   - Every file of a page is embedded. Pages work without internet access, and no
//     third party learns a visitor's address.
//   - The Content-Security-Policy of each page enforces this in the browser: scripts,
//     styles and connections come from this server only.
//   - The URL of a file contains the hash of its content, so browsers cache it for ever.
//
// Folders:
//
//	static/       pages, and the playground's script and style
//	board/        the live board: Preact, built by Vite. dist is what `make board` made of
//	              src, and is embedded; `make verify-board` fails when it has drifted
//	third_party/  GraphiQL and React as published; their licences and those of the
//	              packages in the board's bundle
//	operations/   the sample operations, one per tab of the playground
//	e2e/          tests with a real browser against the real server
//	              (cd web/e2e && npm ci && npm test)
//	caches/       tests of the same kind with Apollo, Graphcache and Relay, and the
//	              settings for them that docs/clients.md shows
//
// vendor.sh downloads third_party again, in pinned versions, and checks it against
// SHA256SUMS.
//
// May import: the standard library only. The package knows the GraphQL endpoint by its
// path alone.
//
// When the endpoint is down, the pages still load. The board says since when its numbers
// are stale, and connects again.
package web
