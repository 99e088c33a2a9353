package database

import "embed"

//go:embed migrations/sqlite
var sqliteMigrations embed.FS
