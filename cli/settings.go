package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"onhand/cli/configfile"
	"onhand/cli/serving"
	"onhand/store"
)

// databaseDefault is the file of the default database in the data directory.
const databaseDefault = "onhand.db"

// memoryDatabase is the URL of a database in memory.
const memoryDatabase = "sqlite::memory:"

// settings are shared by all commands. Every flag has an environment variable.
type settings struct {
	Config          string `name:"config" env:"ONHAND_CONFIG" placeholder:"PATH" help:"A configuration file in YAML: names of flags and their values. A flag or a variable counts before it." more:"[how](#the-configuration-file)"`
	DatabaseURL     string `name:"database-url" env:"DATABASE_URL" placeholder:"URL" help:"postgres://… (several hosts allowed), sqlite:PATH or sqlite::memory:. Default: a SQLite file in your data directory, with the demo shop when it is new."`
	DatabaseURLFile string `name:"database-url-file" env:"DATABASE_URL_FILE" placeholder:"PATH" help:"A file with the value of DATABASE_URL; a line break at its end does not count."`
	RedisURL        string `name:"redis-url" env:"REDIS_URL" placeholder:"URL" help:"redis:// or rediss://; several seeds or ?cluster=true for Cluster, ?master=NAME for Sentinel. Default: one inside this process."`
	RedisURLFile    string `name:"redis-url-file" env:"REDIS_URL_FILE" placeholder:"PATH" help:"A file with the value of REDIS_URL."`
	LogLevel        string `name:"log-level" env:"LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`
	LogFormat       string `name:"log-format" env:"LOG_FORMAT" enum:"text,json" default:"text" help:"text, or json: one object a line."`
}

// BeforeResolve has kong look into the configuration file. Kong calls it.
func (s *settings) BeforeResolve(parsed *kong.Context) error {
	var names []string
	path := ""
	for _, flag := range serveFlags(parsed.Model) {
		if flag.Name == configFlag {
			path = parsed.FlagValue(flag).(string)
			continue
		}
		names = append(names, flag.Name)
	}
	if path == "" {
		return nil
	}
	file, err := configfile.Read(path, names)
	if err == nil {
		parsed.AddResolver(file)
	}
	return err
}

// configFlag is the name of the setting that names the configuration file.
const configFlag = "config"

// serveFlags are the settings: the flags of the serve command that have a variable.
func serveFlags(model *kong.Application) (flags []*kong.Flag) {
	for _, command := range model.Leaves(false) {
		if command.Name != "serve" {
			continue
		}
		for _, flag := range slices.Concat(command.AllFlags(false)...) {
			if len(flag.Envs) > 0 {
				flags = append(flags, flag)
			}
		}
	}
	return flags
}

// AfterApply reads the settings that are in files. Kong calls it.
func (s *settings) AfterApply() (err error) {
	if s.DatabaseURL, err = serving.ValueOrFile("database-url", s.DatabaseURL, s.DatabaseURLFile); err != nil {
		return err
	}
	s.RedisURL, err = serving.ValueOrFile("redis-url", s.RedisURL, s.RedisURLFile)
	return err
}

// logFormatJSON is the value of LogFormat for a log that programs read.
const logFormatJSON = "json"

func (s *settings) logger() *slog.Logger { return s.loggerTo(os.Stderr) }

// durationText writes a duration as text, such as 1.5s, in JSON too: a number has no unit.
func durationText(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

func (s *settings) loggerTo(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.LogLevel)) // kong has checked the value
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == logFormatJSON {
		options.ReplaceAttr = durationText
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// servers describes database and Redis for the log, without passwords.
func (s *settings) servers() (database, redis string) {
	database, _ = s.database() // open has reported an error
	if s.RedisURL == "" {
		return withoutSecrets(database), "inside this process"
	}
	return withoutSecrets(database), withoutSecrets(s.RedisURL)
}

// withoutSecrets leaves of a URL the scheme, the hosts and the path. A password may be
// before the hosts or in the query, and the URL may name several hosts.
func withoutSecrets(url string) string {
	url, _, _ = strings.Cut(url, "?")
	scheme, rest, isURL := strings.Cut(url, "://")
	if !isURL {
		return url
	}
	return scheme + "://" + rest[strings.LastIndex(rest, "@")+1:]
}

// usesDemo reports whether an empty database gets the demo shop: only the
// default database and one in memory do.
func (s *settings) usesDemo() bool {
	return s.DatabaseURL == "" || s.DatabaseURL == memoryDatabase
}

// open opens the store that the settings name. It creates the folder of the default
// database; any other folder must exist.
func (s *settings) open(config store.Config) (*store.Store, error) {
	url, err := s.database()
	if err != nil {
		return nil, err
	}
	if s.DatabaseURL == "" {
		if err := os.MkdirAll(filepath.Dir(strings.TrimPrefix(url, "sqlite:")), 0o700); err != nil {
			return nil, fmt.Errorf("the folder of the database cannot be created: %w", err)
		}
	}
	config.DatabaseURL, config.RedisURL, config.Logger = url, s.RedisURL, s.logger()
	return store.Open(config)
}

// database is the URL of the database.
func (s *settings) database() (string, error) {
	if s.DatabaseURL != "" {
		return s.DatabaseURL, nil
	}
	directory, err := dataDirectory()
	return "sqlite:" + filepath.Join(directory, databaseDefault), err
}

// databaseFile is the file of the database; empty for a server and in memory.
func (s *settings) databaseFile() string {
	url, err := s.database()
	path, ok := strings.CutPrefix(url, "sqlite:")
	if err != nil || !ok || url == memoryDatabase {
		return ""
	}
	return path
}

// databaseFiles are the files that SQLite keeps for the database.
func (s *settings) databaseFiles() []string {
	file := s.databaseFile()
	if file == "" {
		return nil
	}
	return []string{file, file + "-wal", file + "-shm", file + "-journal"}
}

// missing is an error when the database has no file yet, or an empty one. It creates
// nothing.
func (s *settings) missing() error {
	file := s.databaseFile()
	if file == "" {
		return nil
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().IsRegular() && info.Size() == 0:
		return fmt.Errorf("no such database: %s; onhand serve, onhand migrate and onhand import --create make one", file)
	case err != nil:
		return fmt.Errorf("the database %s cannot be read: %w", file, withoutPath(err))
	}
	return nil
}

// openExisting opens a database that exists, for commands that create none. It
// brings the tables of an earlier version up to date.
func (s *settings) openExisting(ctx context.Context) (*store.Store, error) {
	if err := s.missing(); err != nil {
		return nil, err
	}
	st, err := s.open(store.Config{})
	if err != nil {
		return nil, err
	}
	_, err = st.MigrateExisting(ctx)
	if err != nil {
		st.Close()
		return nil, err
	}
	return st, nil
}

// openMigrated opens the store and brings its tables up to date, for commands
// that do not serve.
func (s *settings) openMigrated(ctx context.Context) (*store.Store, error) {
	st, err := s.open(store.Config{})
	if err != nil {
		return nil, err
	}
	if _, err := st.MigrateWhenUp(ctx); err != nil {
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
