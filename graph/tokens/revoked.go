package tokens

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	// tokenIDBytesMax is the longest id of a token.
	tokenIDBytesMax = 255
	// revokedMax and revokedBytesMax bound the list of revoked tokens. A token that has
	// expired needs no line.
	revokedMax      = 1_000_000
	revokedBytesMax = 64 << 20
	// settledAfter is how old a file must be to be read for the last time: one that is
	// being written can change again within the resolution of its time.
	settledAfter = 2 * time.Second
)

// revokedList has the ids of revoked tokens. It follows a file: one id in each line; empty
// lines and those that begin with # are left out.
type revokedList struct {
	path string
	log  *slog.Logger

	stamp  fileStamp // of the last read; only the reader uses it
	failed bool      // the last read; only the reader uses it

	mu      sync.RWMutex
	ids     map[string]struct{}
	streams map[string]map[*revocable]struct{} // by the id of their token
}

// revocable is a stream that ends when its token is revoked.
type revocable struct{ end func() }

// fileStamp tells whether a file has changed.
type fileStamp struct {
	size    int64
	changed time.Time
	settled bool
}

// has reports whether a token is revoked.
func (l *revokedList) has(id string) bool {
	if id == "" {
		return false
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	_, revoked := l.ids[id]
	return revoked
}

// watch calls end once, when the token is revoked or if it is already.
func (l *revokedList) watch(id string, end func()) (stop func()) {
	stream := &revocable{end}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, revoked := l.ids[id]; revoked {
		go end()
		return func() {}
	}
	if l.streams == nil {
		l.streams = map[string]map[*revocable]struct{}{}
	}
	if l.streams[id] == nil {
		l.streams[id] = map[*revocable]struct{}{}
	}
	l.streams[id][stream] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if delete(l.streams[id], stream); len(l.streams[id]) == 0 {
			delete(l.streams, id)
		}
	}
}

// refresh reads the file when it has changed. While that fails, the list stays as it is.
func (l *revokedList) refresh(now time.Time) {
	err := l.read(now)
	if err != nil && !l.failed {
		l.log.Warn("the list of revoked tokens could not be read; the one before stays in use", "error", err)
	}
	l.failed = err != nil
}

func (l *revokedList) read(now time.Time) error {
	info, err := os.Stat(l.path)
	if err != nil {
		return withoutName(err)
	}
	stamp := fileStamp{info.Size(), info.ModTime(), now.Sub(info.ModTime()) > settledAfter}
	if l.ids != nil && stamp == l.stamp {
		return nil
	}
	if info.Size() > revokedBytesMax {
		return fmt.Errorf("it is larger than %d bytes", revokedBytesMax)
	}
	ids, err := readIDs(l.path)
	if err != nil {
		return err
	}
	l.stamp = stamp
	l.replace(ids)
	return nil
}

// withoutName leaves the path out of an error.
func withoutName(err error) error {
	var failed *os.PathError
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

func readIDs(path string) (map[string]struct{}, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, withoutName(err)
	}
	defer file.Close()
	ids := map[string]struct{}{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		id := strings.TrimSpace(lines.Text())
		if id == "" || strings.HasPrefix(id, "#") {
			continue
		}
		if len(ids) >= revokedMax {
			return nil, fmt.Errorf("it has more than %d ids", revokedMax)
		}
		ids[id] = struct{}{}
	}
	return ids, lines.Err()
}

// replace ends the streams of tokens that are revoked now.
func (l *revokedList) replace(ids map[string]struct{}) {
	l.mu.Lock()
	l.ids = ids
	var ended []*revocable
	for id, streams := range l.streams {
		if _, revoked := ids[id]; !revoked {
			continue
		}
		for stream := range streams {
			ended = append(ended, stream)
		}
		delete(l.streams, id)
	}
	l.mu.Unlock()
	for _, stream := range ended {
		stream.end()
	}
}
