package transport

import (
	"errors"
	"time"

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
		err = s.conn.Write(frame[n:], s.shared.limits.write, s.shared.limits.message)
	}
	if err != nil {
		s.conn.Close() // read notices it
	}
	return err
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

// unlock unlocks sending. A connection that ended meanwhile gets its close frame.
func (s *socket) unlock() {
	s.sending.Unlock()
	if s.isEnded() {
		s.sendClose()
	}
}

// end ends the connection with a close frame. It does not block. Only the first call
// counts.
func (s *socket) end(e wsframe.CloseError) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended, s.closing = true, e
	s.mu.Unlock()
	s.cancel()
	s.sendClose()
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
			if s.conn.Write(frame[n:], s.shared.limits.write, s.shared.limits.write) != nil {
				s.conn.Close()
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
func (s *socket) stop() { s.end(restart) }

var (
	initTimeout = wsframe.CloseError{Code: closeInitTimeout, Reason: "Connection initialisation timeout"}
	pingFrame   = wsframe.AppendText(nil, pingMessage)
)

// tick implements openStream.
func (s *socket) tick(now time.Time) {
	limits := s.shared.limits
	s.mu.Lock()
	late := !s.initialised && now.Sub(s.began) >= limits.init
	silent := !s.unanswered.IsZero() && now.Sub(s.unanswered) >= 2*limits.ping
	due := s.acknowledged && !s.ended && !now.Before(s.pingAt)
	s.mu.Unlock()
	switch {
	case late:
		s.end(initTimeout)
	case silent:
		s.conn.Close() // read notices it
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
