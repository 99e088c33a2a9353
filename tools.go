//go:build tools

// Package main pins the code generator, so that go.mod knows its version.
package main

import _ "github.com/99designs/gqlgen"
