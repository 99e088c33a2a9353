package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"onhand/store"
)

// databaseDefault is the file of the default database in the data directory.
const databaseDefault = "onhand.db"

// settings are shared by all commands. Every flag has an environment variable.
type settings struct {
	DatabaseURL string `name:"database-url" env:"DATABASE_URL" placeholder:"URL" help:"postgres://… (several hosts allowed), sqlite:PATH or sqlite::memory:. Default: a SQLite file in your data directory."`
	RedisURL    string `name:"redis-url" env:"REDIS_URL" placeholder:"URL" help:"redis://… or rediss://…, several seeds or ?cluster=true for Cluster, ?master=NAME for Sentinel. Default: one inside this process."`
	LogLevel    string `name:"log-level" env:"LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`
}

func (s *settings) logger() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.LogLevel)) // kong has checked the value
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// usesDemo reports whether an empty database gets the demo shop: only the
// default database and one in memory do.
func (s *settings) usesDemo() bool {
	return s.DatabaseURL == "" || s.DatabaseURL == "sqlite::memory:"
}

// open opens the store that the settings name.
func (s *settings) open(config store.Config) (*store.Store, error) {
	config.DatabaseURL, config.RedisURL, config.Logger = s.DatabaseURL, s.RedisURL, s.logger()
	if config.DatabaseURL == "" {
		directory, err := dataDirectory()
		if err != nil {
			return nil, err
		}
		config.DatabaseURL = "sqlite:" + filepath.Join(directory, databaseDefault)
	}
	return store.Open(config)
}

// openMigrated opens the store and brings its tables up to date, for commands
// that do not serve.
func (s *settings) openMigrated(ctx context.Context) (*store.Store, error) {
	st, err := s.open(store.Config{})
	if err != nil {
		return nil, err
	}
	if _, err := st.Prepare(ctx); err != nil {
		st.Close()
		return nil, err
	}
	return st, nil
}

// dataDirectory is the directory of the default database, by the XDG base
// directory specification: $XDG_DATA_HOME/onhand, or ~/.local/share/onhand.
func dataDirectory() (string, error) {
	if base := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "onhand"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("there is no directory for the database; name one with --database-url: %w", err)
	}
	return filepath.Join(home, ".local", "share", "onhand"), nil
}
