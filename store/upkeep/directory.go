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
	// OnChange, unless nil, is called after each reload with the directory before and
	// the one that replaced it. Set it before the first reload.
	OnChange func(before, now *models.Directory)

	current   atomic.Pointer[models.Directory]
	reloading sync.Mutex   // so that no reading replaces a later one
	begun     atomic.Int64 // how many reloads have begun
	version   int64        // that Follow loaded last
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
	before, now := c.reload(ctx, false)
	if now == nil {
		return false
	}
	if c.OnChange != nil {
		c.OnChange(before, now)
	}
	return true
}

// Fresh returns the directory as of now or later. Callers that wait at the same time
// share one reading. Where the database does not answer, it returns the last one.
func (c *DirectoryCache) Fresh(ctx context.Context) *models.Directory {
	if before, now := c.reload(ctx, true); now != nil && c.OnChange != nil {
		c.OnChange(before, now)
	}
	return c.Directory()
}

// reload reads and replaces the directory, one caller after the other. It returns nil
// where it did not. With shared it does not read again after a reading that began
// while it waited.
func (c *DirectoryCache) reload(ctx context.Context, shared bool) (before, now *models.Directory) {
	begun := c.begun.Load()
	c.reloading.Lock()
	defer c.reloading.Unlock()
	if shared && c.begun.Load() > begun {
		return nil, nil
	}
	c.begun.Add(1)
	directory, err := c.source.Directory(ctx)
	if err != nil {
		c.log.Warn("locations and channels were not read", "error", err)
		return nil, nil
	}
	return c.current.Swap(directory), directory
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
