package upkeep

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"onhand/models"
)

// DirectorySource reads all locations and channels.
type DirectorySource interface {
	Directory(ctx context.Context) (*models.Directory, error)
}

// DirectoryCache keeps all locations and channels in memory, about as old as the
// interval of the epoch check. It is safe for concurrent use, but for Follow.
type DirectoryCache struct {
	source DirectorySource
	log    *slog.Logger

	current   atomic.Pointer[models.Directory]
	reloading sync.Mutex // so that no reading replaces a later one
	version   int64      // that Follow loaded last
}

// NewDirectoryCache makes a DirectoryCache that is empty until its first reload.
func NewDirectoryCache(source DirectorySource, log *slog.Logger) *DirectoryCache {
	c := &DirectoryCache{source: source, log: log}
	c.current.Store(models.NewDirectory(nil, nil))
	return c
}

// Directory returns all locations and channels. Callers share it.
func (c *DirectoryCache) Directory() *models.Directory { return c.current.Load() }

// Reload reads the directory from the database, and reports whether it did.
func (c *DirectoryCache) Reload(ctx context.Context) bool {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	directory, err := c.source.Directory(ctx)
	if err != nil {
		c.log.Warn("locations and channels were not read", "error", err)
		return false
	}
	c.current.Store(directory)
	return true
}

// Follow reloads the directory when its version in the database is another one
// than that it loaded last, and when anyway is set. Call it from one goroutine.
func (c *DirectoryCache) Follow(ctx context.Context, version int64, anyway bool) {
	if version == c.version && !anyway {
		return
	}
	if c.Reload(ctx) {
		c.version = version
	}
}
