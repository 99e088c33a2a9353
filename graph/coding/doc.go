// Package coding compresses answers and decompresses bodies of requests, with the content
// codings gzip and zstd of HTTP.
//
// Invariants:
//   - A body is bounded by its decompressed size while it is decompressed, so that a small
//     body cannot become a large one in memory.
//   - A short answer is not compressed: it fits into one packet either way.
//   - Compressors are reused; at most as many as run at once exist.
//
// May import: klauspost/compress.
//
// The package uses no server.
package coding
