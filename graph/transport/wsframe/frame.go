package wsframe

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// The opcodes of frames.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

const (
	finalBit     = 0x80 // first byte: the last fragment
	reservedBits = 0x70 // first byte
	opcodeBits   = 0x0F // first byte
	maskBit      = 0x80 // second byte
	lengthBits   = 0x7F // second byte
	length16     = 126  // the length follows in two bytes
	length64     = 127  // the length follows in eight bytes

	controlBytesMax = 125 // the payload of a control frame
	maskBytes       = 4
	headerBytesMax  = 2 + 8 + maskBytes

	// HeaderBytesMax is the largest header of a server's frame, which has no mask.
	HeaderBytesMax = 2 + 8
)

// ReasonBytesMax is how long a reason fits into a close frame.
const ReasonBytesMax = controlBytesMax - 2

// The close codes of RFC 6455 that a server sends. See its registry for 1012 and 1013.
const (
	CloseNormal          = 1000
	CloseProtocolError   = 1002
	CloseNoStatus        = 1005 // of a close frame without a code; never sent
	CloseInvalidText     = 1007
	ClosePolicyViolation = 1008
	CloseMessageTooBig   = 1009
	CloseServiceRestart  = 1012
	CloseTryAgainLater   = 1013
)

// CloseError ends a connection with a close code and a reason.
type CloseError struct {
	Code   int
	Reason string
}

// Error implements error.
func (e CloseError) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Reason) }

// IsViolation reports whether an error of Next is the server's answer to a violation.
// Otherwise the client sent the code.
func IsViolation(e CloseError) bool {
	switch e.Code {
	case CloseProtocolError, CloseInvalidText, ClosePolicyViolation, CloseMessageTooBig:
		return true
	}
	return false
}

// Closef returns a CloseError whose reason fits into a close frame.
func Closef(code int, format string, args ...any) CloseError {
	reason := fmt.Sprintf(format, args...)
	if len(reason) > ReasonBytesMax {
		reason = strings.ToValidUTF8(reason[:ReasonBytesMax], "")
	}
	return CloseError{Code: code, Reason: reason}
}

// AppendTextHeader appends the header of a text frame with so many bytes of payload.
func AppendTextHeader(b []byte, payloadBytes int) []byte {
	return appendHeader(b, opText, payloadBytes)
}

// AppendText appends a text frame.
func AppendText(b []byte, payload string) []byte {
	return append(AppendTextHeader(b, len(payload)), payload...)
}

// AppendClose appends a close frame.
func AppendClose(b []byte, e CloseError) []byte {
	if e.Code == CloseNoStatus {
		return appendHeader(b, opClose, 0)
	}
	b = appendHeader(b, opClose, 2+len(e.Reason))
	b = binary.BigEndian.AppendUint16(b, uint16(e.Code))
	return append(b, e.Reason...)
}

// AppendPong appends the answer to a ping.
func AppendPong(b, payload []byte) []byte {
	return append(appendHeader(b, opPong, len(payload)), payload...)
}

func appendHeader(b []byte, opcode byte, payloadBytes int) []byte {
	b = append(b, finalBit|opcode)
	switch {
	case payloadBytes < length16:
		return append(b, byte(payloadBytes))
	case payloadBytes < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, length16), uint16(payloadBytes))
	}
	return binary.BigEndian.AppendUint64(append(b, length64), uint64(payloadBytes))
}

// Headroom appends space for the header of a text frame whose length is not known yet.
// The payload is appended after it.
func Headroom(b []byte) []byte { return append(b, make([]byte, HeaderBytesMax)...) }

// Framed writes the header before a payload that follows Headroom, and returns the
// frame. b has nothing else.
func Framed(b []byte) (frame []byte) {
	var space [HeaderBytesMax]byte
	header := AppendTextHeader(space[:0], len(b)-HeaderBytesMax)
	frame = b[HeaderBytesMax-len(header):]
	copy(frame, header)
	return frame
}

// unmask applies a mask to the bytes of a payload, which begin at so many bytes of it.
func unmask(data []byte, mask [maskBytes]byte, at int) {
	if at%maskBytes != 0 {
		mask = [maskBytes]byte{mask[at%4], mask[(at+1)%4], mask[(at+2)%4], mask[(at+3)%4]}
	}
	word := binary.LittleEndian.Uint32(mask[:])
	double := uint64(word)<<32 | uint64(word)
	for len(data) >= 8 {
		binary.LittleEndian.PutUint64(data, binary.LittleEndian.Uint64(data)^double)
		data = data[8:]
	}
	for i := range data {
		data[i] ^= mask[i%maskBytes]
	}
}

// isCloseCode reports whether a client may send a close code.
func isCloseCode(code int) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code == 1004 || code == 1005 || code == 1006:
		return false
	}
	return code >= 1000 && code <= 1014
}
