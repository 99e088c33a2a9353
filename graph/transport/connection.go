package transport

import (
	"context"
	"net"
)

// streamBufferBytes is what the kernel keeps for the client of a stream (Linux
// keeps as much again for its own accounts). Left alone it keeps megabytes: a slow
// client would be given what was true long ago, instead of the latest, and one
// that has stopped reading would be noticed late.
const streamBufferBytes = 64 << 10

type connectionKey struct{}

// ConnContext remembers a request's connection, for streams to bound what waits in
// it. It is an http.Server's ConnContext.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// bound bounds the connection of a stream, where it is known and can be.
func bound(ctx context.Context) {
	if conn, ok := ctx.Value(connectionKey{}).(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = conn.SetWriteBuffer(streamBufferBytes) // a client that is slow is then only noticed later
	}
}

// pieceBytes is how much of a message is written at once: who takes a piece in
// limits.write is slow, not stuck, however large the message.
const pieceBytes = 16 << 10

// inPieces hands data to write, piece by piece, until one fails.
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
