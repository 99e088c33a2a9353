package transport

import (
	"context"
	"net"
)

// streamBufferBytes is the kernel's send buffer for the client of a stream (Linux
// doubles the value for its own bookkeeping). The default grows to megabytes: a slow
// client would get old values, and a client that stopped reading would be noticed
// late.
const streamBufferBytes = 64 << 10

type connectionKey struct{}

// ConnContext keeps a request's connection in its context, so that a stream can bound
// the connection's send buffer. It is for http.Server.ConnContext.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// boundSendBuffer bounds the send buffer of a stream, where ConnContext is in use.
func boundSendBuffer(ctx context.Context) {
	if conn, ok := ctx.Value(connectionKey{}).(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = conn.SetWriteBuffer(streamBufferBytes) // without it, a slow client is noticed later
	}
}

// pieceBytes is how much of a message is written with one deadline. A client that
// reads a piece within limits.write is slow, not stuck, however large the message.
const pieceBytes = 16 << 10

// inPieces passes data to write, piece by piece, until one fails.
func inPieces(data []byte, write func(piece []byte) error) error {
	for len(data) > 0 {
		n := min(len(data), pieceBytes)
		if err := write(data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}
