package channel

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

const (
	// BuffersMax is how many buffers one product may have.
	BuffersMax = 250
	// idLengthMax and unitsMax are the bounds of every id and quantity.
	idLengthMax = 255
	unitsMax    = 1_000_000_000
)

// Buffers are the buffers of one product, by channel. Nothing changes them after they
// are made, so that goroutines share them. Most products have none: nil.
type Buffers map[string]int

// Of returns the buffer of a channel: the product's own, or else the channel's.
func (b Buffers) Of(channel string, channels int) int {
	if own, ok := b[channel]; ok {
		return own
	}
	return channels
}

// With returns the buffers with another one for a channel; nil units remove it.
func (b Buffers) With(channel string, units *int) Buffers {
	next := maps.Clone(b)
	if units == nil {
		delete(next, channel)
	} else {
		if next == nil {
			next = Buffers{}
		}
		next[channel] = *units
	}
	if len(next) == 0 {
		return nil
	}
	return next
}

// Buffer is one of a product's buffers.
type Buffer struct {
	ChannelID string
	Buffer    int
}

// List lists the buffers by channel id.
func (b Buffers) List() []Buffer {
	list := make([]Buffer, 0, len(b))
	for _, id := range slices.Sorted(maps.Keys(b)) {
		list = append(list, Buffer{ChannelID: id, Buffer: b[id]})
	}
	return list
}

// Check reports the first buffer that the tables do not allow.
func (b Buffers) Check() error {
	if len(b) > BuffersMax {
		return fmt.Errorf("%d buffers, more than %d", len(b), BuffersMax)
	}
	for id, units := range b {
		switch {
		case id == "" || utf8.RuneCountInString(id) > idLengthMax:
			return errors.New("buffers: bad channel id")
		case units < 0 || units > unitsMax:
			return fmt.Errorf("the buffer of %.50q is out of range", id)
		}
	}
	return nil
}

// Encode writes buffers as a JSON object with sorted names: {"web":5}. It returns nil
// where there are none.
func (b Buffers) Encode() *string {
	if len(b) == 0 {
		return nil
	}
	raw, _ := json.Marshal(map[string]int(b)) // texts and numbers; cannot fail
	text := string(raw)
	return &text
}

// bytesMax is the longest encoding of buffers: each has an id of at most 255
// characters, which escapes make at most six times as long.
const bytesMax = BuffersMax * (6*2*idLengthMax + 16)

// Decode reads what Encode wrote; nil is none.
//
// Errors: not such an object; a buffer out of bounds.
func Decode(text *string) (Buffers, error) {
	if text == nil {
		return nil, nil
	}
	if len(*text) > bytesMax {
		return nil, fmt.Errorf("buffers: %d bytes, more than %d", len(*text), bytesMax)
	}
	var b Buffers
	if err := json.Unmarshal([]byte(*text), &b); err != nil {
		return nil, fmt.Errorf("buffers: %w", err)
	}
	if err := b.Check(); err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, nil
	}
	return b, nil
}
