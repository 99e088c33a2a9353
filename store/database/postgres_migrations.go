package database

import "embed"

//go:embed migrations/postgres
var postgresMigrations embed.FS
