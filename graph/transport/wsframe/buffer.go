package wsframe

import "sync"

// bufferBytesMax is the largest buffer that returns to the pool. A few large messages
// must not make all buffers large.
const bufferBytesMax = 64 << 10

// FrameBuffer is bytes from a pool.
type FrameBuffer struct{ B []byte }

var buffers = sync.Pool{New: func() any { return &FrameBuffer{B: make([]byte, 0, 512)} }}

// NewFrameBuffer returns an empty buffer.
func NewFrameBuffer() *FrameBuffer { return buffers.Get().(*FrameBuffer) }

// Free returns the buffer to the pool. The caller must not use it, nor its bytes, after
// that.
func (b *FrameBuffer) Free() {
	if b != nil && cap(b.B) <= bufferBytesMax {
		b.B = b.B[:0]
		buffers.Put(b)
	}
}
