package transport

import (
	"errors"
	"os"
	"strconv"
	"time"

	"onhand/graph/transport/protocol"
	"onhand/graph/transport/push"
	"onhand/graph/transport/wsframe"
)

// errStopping ends a write to a stream, or an operation, that has ended.
var errStopping = errors.New("the connection ends")

// sendText sends a text message, of an operation or of the connection (nil).
func (s *socket) sendText(o *operation, last bool, message func(b []byte) []byte) error {
	buffer := wsframe.NewFrameBuffer()
	defer buffer.Free()
	buffer.B = message(wsframe.Headroom(buffer.B))
	return s.send(o, wsframe.Framed(buffer.B), last)
}

// send writes a frame. It returns when the system has all of it. last means that the
// operation is over after it.
func (s *socket) send(o *operation, frame []byte, last bool) error {
	s.sending.Lock() // a message that waits here has no deadline yet
	defer s.unlock()
	if !s.mayWrite(o, last) {
		return errStopping
	}
	n, err := s.conn.TryWrite(frame)
	if err == nil && n < len(frame) {
		var more int
		more, err = s.conn.Write(frame[n:], s.shared.limits.write, s.shared.limits.message)
		n += more
	}
	if err != nil {
		s.writeFailed(frame[n:], err)
	}
	return err
}

// sendFrames writes frames of operations that are over, with one deadline.
func (s *socket) sendFrames(frames []byte) {
	s.sending.Lock()
	defer s.unlock()
	if len(frames) == 0 || s.isEnded() {
		return
	}
	n, err := s.conn.TryWrite(frames)
	if err == nil && n < len(frames) {
		var more int
		more, err = s.conn.Write(frames[n:], s.shared.limits.write, s.shared.limits.write)
		n += more
	}
	if err != nil {
		s.writeFailed(frames[n:], err)
	}
}

// appendFrame appends the frame of a text message.
func appendFrame(b, message []byte) []byte {
	return append(wsframe.AppendTextHeader(b, len(message)), message...)
}

// writeFailed closes the connection after a write that left rest of a frame; read notices
// it. A client that did not read in time finds the close code when it reads again. The
// caller has locked sending.
func (s *socket) writeFailed(rest []byte, err error) {
	if !errors.Is(err, os.ErrDeadlineExceeded) || s.closeSent {
		s.conn.Close()
		return
	}
	s.closeSent = true
	s.markEnded(protocol.Stuck, false)
	s.conn.WriteLast(rest, s.closing)
}

// mayWrite reports whether a message may be written now.
func (s *socket) mayWrite(o *operation, last bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || o != nil && o.over {
		return false
	}
	if last {
		o.over = true
		s.forget(o)
	}
	return true
}

// unlock unlocks sending. What another goroutine could not write meanwhile is written
// now: the close frame, or the results of pushed operations.
func (s *socket) unlock() {
	s.sending.Unlock()
	s.mu.Lock()
	ended := s.ended
	queue := !ended && len(s.ready) > 0 && !s.queued
	s.queued = s.queued || queue
	s.mu.Unlock()
	switch {
	case ended:
		s.sendClose()
	case queue:
		s.shared.workers.Add(s)
	}
}

// end ends the connection with a close frame. It does not block. Only the first call
// counts.
func (s *socket) end(e wsframe.CloseError) { s.endFor(e, false) }

// endFor is end. client: the client closed the connection with this code.
func (s *socket) endFor(e wsframe.CloseError, client bool) {
	if s.markEnded(e, client) {
		s.sendClose()
	}
}

// markEnded ends everything but the connection itself. first: it had not ended.
func (s *socket) markEnded(e wsframe.CloseError, client bool) (first bool) {
	s.mu.Lock()
	first = !s.ended
	if first {
		s.ended, s.closing = true, e
	}
	s.mu.Unlock()
	if !first {
		return false
	}
	label := closedByClient
	if !client {
		label = strconv.Itoa(e.Code)
	}
	s.shared.closing.closes.Count(label)
	s.cancel()
	return true
}

// sendClose writes the close frame, unless another goroutine writes: that one calls it
// again.
func (s *socket) sendClose() {
	if !s.sending.TryLock() {
		return
	}
	if s.closeSent {
		s.sending.Unlock()
		return
	}
	s.closeSent = true
	s.tryFrame(wsframe.AppendClose(nil, s.closing), s.closeWritten)
}

// tryFrame writes a small frame without blocking, and calls written. Where the system
// takes only a part, a goroutine writes the rest. It unlocks sending.
func (s *socket) tryFrame(frame []byte, written func()) {
	n, err := s.conn.TryWrite(frame)
	switch {
	case err != nil:
		s.conn.Close()
	case n < len(frame):
		go func() {
			if more, err := s.conn.Write(frame[n:], s.shared.limits.write, s.shared.limits.write); err != nil {
				s.writeFailed(frame[n+more:], err)
			}
			written()
			s.unlock()
		}()
		return
	}
	written()
	s.unlock()
}

// closeWritten lets read wait for the client's end of the connection.
func (s *socket) closeWritten() {
	s.conn.EndWrites()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.discarding {
		s.conn.Interrupt()
	}
}

// stop implements openStream.
func (s *socket) stop() { s.end(protocol.Restart) }

var pingFrame = wsframe.AppendText(nil, protocol.Ping)

// answersWithin is how long the end of a connection's lifetime waits for the answer of a
// query or mutation.
const answersWithin = time.Minute

// tick implements openStream. A client must initialise the connection in time; the
// decision on it has as long again. One that is refused ends some time later.
func (s *socket) tick(now time.Time) {
	limits, age := s.shared.limits, now.Sub(s.began)
	s.mu.Lock()
	late := !s.initialised && age >= limits.init || !s.acknowledged && age >= 2*limits.init
	old := age >= s.lifetime && (age >= s.lifetime+answersWithin || !s.awaitsAnswer())
	refused := !s.refusedUntil.IsZero() && !now.Before(s.refusedUntil)
	silent := !s.unanswered.IsZero() && now.Sub(s.unanswered) >= 2*limits.ping
	due := s.acknowledged && !s.ended && !now.Before(s.pingAt)
	s.mu.Unlock()
	switch {
	case late:
		s.end(protocol.InitTimeout)
	case refused:
		s.end(protocol.Forbidden)
	case silent:
		s.end(protocol.Stuck)
	case old:
		s.end(protocol.LifetimeOver)
	case due && s.sending.TryLock(): // otherwise the next tick tries again
		s.ping(now)
	}
}

// ping sends a ping. The caller has locked sending.
func (s *socket) ping(now time.Time) {
	s.mu.Lock()
	ended := s.ended
	s.pingAt = now.Add(s.shared.limits.ping)
	if s.unanswered.IsZero() {
		s.unanswered = now
	}
	s.mu.Unlock()
	if ended {
		s.unlock()
		return
	}
	s.tryFrame(pingFrame, func() {})
}

// pushBytesMax is how much a worker writes to one socket before it turns to the next:
// the results of a product page, and a part of a send buffer.
const pushBytesMax = 16 << 10

// push implements pushOutlet.
func (s *socket) push(o *operation, source push.Source) {
	s.mu.Lock()
	gone := s.ended || o.over
	cancel := o.cancel
	if !gone {
		o.source = source
		o.ctx, o.cancel = nil, func() {} // the context takes memory
	}
	s.mu.Unlock()
	cancel()
	if gone {
		source.Close()
		return
	}
	s.notify(o, false)
}

// closeSource closes the source of an operation that is over.
func (s *socket) closeSource(o *operation) {
	s.mu.Lock()
	source := o.source
	o.source = nil
	s.mu.Unlock()
	if source != nil {
		source.Close()
	}
}

// notify implements pushOutlet.
func (s *socket) notify(o *operation, now bool) {
	s.mu.Lock()
	if o.ready || o.over || s.ended {
		s.mu.Unlock()
		return
	}
	o.ready = true
	s.ready = append(s.ready, o)
	queue := !s.queued
	s.queued = true
	s.mu.Unlock()
	if queue {
		s.shared.workers.Start(s, now)
	}
}

// Run implements push.Task: it writes what is pending. Where another goroutine writes,
// that one queues the socket again.
func (s *socket) Run() {
	s.mu.Lock()
	s.queued = false
	s.mu.Unlock()
	if !s.sending.TryLock() {
		return
	}
	buffer := wsframe.NewFrameBuffer()
	for len(buffer.B) < pushBytesMax {
		o, source := s.nextReady()
		if o == nil {
			break
		}
		buffer.B = s.appendResult(buffer.B, o, source)
	}
	n, err := s.conn.TryWrite(buffer.B)
	if err == nil && n < len(buffer.B) {
		go s.writeRest(buffer, n)
		return
	}
	s.written(buffer, n, err)
}

// writeRest writes what the system did not take.
func (s *socket) writeRest(buffer *wsframe.FrameBuffer, from int) {
	n, err := s.conn.Write(buffer.B[from:], s.shared.limits.write, s.shared.limits.message)
	s.written(buffer, from+n, err)
}

// written gives up buffer, of which the system took n bytes, and sending.
func (s *socket) written(buffer *wsframe.FrameBuffer, n int, err error) {
	if err != nil {
		s.writeFailed(buffer.B[n:], err)
	}
	buffer.Free()
	s.unlock()
}

// nextReady returns an operation that may have results; nil when there is none.
func (s *socket) nextReady() (*operation, push.Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.ready) > 0 && !s.ended {
		o := s.ready[0]
		s.ready[0] = nil
		if s.ready = s.ready[1:]; len(s.ready) == 0 {
			s.ready = nil
		}
		o.ready = false // before its source is asked
		if o.source != nil && !o.over {
			return o, o.source
		}
	}
	return nil, nil
}

// appendResult appends the frame of an operation's next result, or of its end. The
// payload is shared with other clients; only the id differs.
func (s *socket) appendResult(b []byte, o *operation, source push.Source) []byte {
	payload, err := source.Next()
	switch {
	case err != nil:
		if !s.mayWrite(o, true) {
			return b
		}
		s.closeSource(o)
		return appendFrame(b, protocol.AppendComplete(nil, o.id))
	case payload == nil:
		return b
	}
	s.mu.Lock()
	if !o.ready { // it may have more
		o.ready = true
		s.ready = append(s.ready, o)
	}
	s.mu.Unlock()
	b = wsframe.AppendTextHeader(b, len(`{"id":,"type":"next","payload":}`)+len(o.id)+len(payload))
	b = append(protocol.AppendID(b, o.id), `,"type":"next","payload":`...)
	return append(append(b, payload...), '}')
}
