package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mayImport is the direction of imports: each package of this module and the
// packages of this module that it may import. A package that is not a key fails
// the test. A package that does not exist may be listed.
var mayImport = map[string][]string{
	"onhand": {"cli"},
	"cli":    {"cli/configfile", "cli/listing", "cli/sdl", "cli/serving", "cli/serving/shoppers", "cli/serving/telemetry", "graph/guard", "graph/tokens", "models", "models/importreport", "models/paging", "store", "store/audit", "store/demoshop", "store/openingstock", "store/stockfile"},

	"cli/serving": {"cli/serving/admin", "cli/serving/dbsettings", "cli/serving/shoppers", "cli/serving/telemetry", "graph", "graph/federation", "graph/guard", "graph/instrumentation", "graph/ratelimit", "graph/securitylog", "graph/tokens", "graph/transport", "graph/transport/admission", "graph/trusted", "graph/viewer", "models", "models/holderlimits", "models/quota", "store", "web"},
	"cli/listing": {"models"},
	"cli/sdl":     {"graph", "graph/federation"},

	"cli/configfile":         {},
	"cli/serving/dbsettings": {},

	"cli/serving/admin":          {"graph/guard", "store"},
	"cli/serving/telemetry":      {"cli/serving/telemetry/otlp", "graph/guard", "graph/transport", "tracing"},
	"cli/serving/telemetry/otlp": {"store/outage"},

	"graph":           {"graph/access", "graph/apierror", "graph/coercion", "graph/compiled", "graph/execution", "graph/federation", "graph/generated", "graph/guard", "graph/live", "graph/loaders", "graph/persisted", "graph/ratelimit", "graph/scalar", "graph/securitylog", "graph/transport", "graph/transport/admission", "graph/trusted", "graph/validation", "graph/viewer", "models", "models/history", "models/ids", "models/operations", "models/paging", "models/poison", "models/stockbinary", "graph/instrumentation"},
	"graph/access":    {"graph/guard", "models"},
	"graph/apierror":  {"models"},
	"graph/coercion":  {"graph/scalar", "models"},
	"graph/compiled":  {"graph/access", "graph/federation", "graph/generated", "graph/guard", "graph/loaders", "graph/scalar", "graph/viewer", "models", "models/channel", "models/ids", "models/paging"},
	"graph/execution": {"graph/guard", "graph/validation"},
	"graph/generated": {"graph/scalar", "models", "models/channel", "models/history", "models/holderlimits", "models/operations", "models/paging"},
	"graph/guard":     {"graph/coding", "graph/validation", "models"},
	"graph/loaders":   {"models", "models/poison"},
	"graph/persisted": {"models"},
	"graph/ratelimit": {"graph/guard", "models", "models/quota"},
	"graph/rawparams": {},
	"graph/coding":    {},
	"graph/scalar":    {"models"},
	"graph/tokens":    {"graph/guard", "models"},
	"graph/live":      {"graph/compiled", "graph/transport/push", "graph/viewer", "models"},
	"graph/viewer":    {"graph/guard", "models", "models/owner", "models/stockbinary"},
	"graph/transport": {"graph/coding", "graph/guard", "graph/rawparams", "graph/transport/admission", "graph/transport/jsonresponse", "graph/transport/mediarange", "graph/transport/protocol", "graph/transport/push", "graph/transport/wsframe", "models"},

	"graph/instrumentation":     {"models", "tracing"},
	"graph/federation":          {"graph/guard", "models", "models/ids"},
	"graph/securitylog":         {"graph/guard", "models"},
	"graph/transport/admission": {"graph/guard", "models"},
	"graph/transport/protocol":  {"graph/rawparams", "graph/transport/jsonresponse", "graph/transport/wsframe"},

	"graph/trusted":    {"models"},
	"graph/validation": {"graph/coercion"},

	"graph/transport/jsonresponse": {"models"},
	"graph/transport/mediarange":   {},

	"graph/transport/push":    {},
	"graph/transport/wsframe": {},

	"store": {"models", "models/history", "models/holderlimits", "models/operations", "models/owner", "models/paging", "models/poison", "store/audit", "store/backoff", "store/channelfeed", "store/database", "store/groupcommit", "store/ledgerfeed", "store/nearcache", "store/openingstock",
		"store/outage", "store/ranking", "store/readreplica", "store/readthrough", "store/rediscache", "store/stockfeed", "store/throughput", "store/upkeep", "tracing"},
	"store/audit":        {"models", "models/paging", "models/stockbinary", "store/backoff", "store/database", "store/rediscache"},
	"store/channelfeed":  {"models", "models/stockbinary"},
	"store/groupcommit":  {"models", "store/database", "tracing"},
	"store/ledgerfeed":   {"models", "store/backoff", "store/database"},
	"store/nearcache":    {"models", "models/poison", "models/stockbinary", "store/backoff"},
	"store/openingstock": {"models", "models/paging", "store/database"},
	"store/readthrough":  {"models", "models/paging", "models/poison", "store/database", "store/rediscache", "tracing"},
	"store/readreplica":  {"models", "models/history", "models/paging", "store/backoff", "store/database"},
	"store/upkeep":       {"models", "store/backoff", "store/database", "store/outage", "store/rediscache"},

	"store/throughput":     {},
	"cli/serving/shoppers": {"store/demoshop", "store/stockfile"},
	"store/demoshop":       {"models", "store/openingstock", "store/stockfile"},
	"store/ranking":        {"models", "models/paging", "store/readthrough"},
	"store/backoff":        {},
	"store/outage":         {},
	"store/rediscache":     {"models", "models/channel", "models/quota", "models/stockbinary", "store/outage", "tracing"},
	"store/stockfeed":      {"models", "models/poison", "models/stockbinary", "store/backoff"},
	"store/stockfile":      {"models", "store/stockfile/delimited"},

	"store/stockfile/delimited": {},

	"store/database": {"models", "models/history", "models/holderlimits", "models/owner", "models/paging", "models/stockbinary", "store/database/decide", "store/database/decide/counting", "store/database/decide/holderusage", "store/database/decide/keyhash", "store/database/decide/readset", "store/database/decide/rowjson", "store/database/dialect", "store/database/importer", "store/database/ledger",
		"store/database/optimistic", "store/database/pages", "store/database/postgres", "store/database/sqlite", "store/database/standby", "tracing"},
	"store/database/postgres":   {"models", "models/stockbinary", "store/database/decide", "store/database/decide/counting", "store/database/decide/keyhash", "store/database/decide/readset", "store/database/decide/rowjson", "store/database/dialect", "store/database/importer", "store/database/ledger", "store/database/optimistic", "store/database/postgres/holdersql", "store/database/postgres/servers", "store/database/postgres/timeline", "tracing"},
	"store/database/sqlite":     {"models", "models/stockbinary", "store/database/decide", "store/database/decide/counting", "store/database/decide/holderusage", "store/database/decide/readset", "store/database/dialect", "store/database/importer", "store/database/ledger", "store/database/optimistic"},
	"store/database/standby":    {"store/database/dialect", "store/database/postgres", "store/database/postgres/timeline"},
	"store/database/importer":   {"models", "models/stockbinary", "store/database/decide", "store/database/decide/counting", "store/database/dialect"},
	"store/database/ledger":     {"models", "models/history", "models/paging", "models/stockbinary", "store/database/decide", "store/database/dialect"},
	"store/database/optimistic": {"models", "models/holderlimits", "models/owner", "models/stockbinary", "store/database/decide", "store/database/decide/holderusage", "store/database/decide/keyhash", "store/database/dialect"},
	"store/database/pages":      {"models", "models/paging", "models/stockbinary", "store/database/decide", "store/database/dialect"},
	"store/database/dialect":    {"models", "models/channel", "models/stockbinary", "store/database/decide", "store/database/decide/counting", "store/database/decide/holderusage", "store/database/decide/readset", "tracing"},
	"store/database/decide":     {"models", "models/channel", "models/holderlimits", "models/ids", "models/owner", "models/stockbinary", "store/database/decide/counting", "store/database/decide/holderusage", "store/database/decide/keyhash", "store/database/decide/rowjson", "store/database/decide/storederrors"},

	"store/database/postgres/servers":    {},
	"store/database/postgres/timeline":   {},
	"store/database/postgres/holdersql":  {"store/database/decide/holderusage", "store/database/dialect"},
	"store/database/decide/counting":     {"models"},
	"store/database/decide/holderusage":  {"models", "models/holderlimits", "models/owner"},
	"store/database/decide/keyhash":      {"models", "store/database/decide/rowjson"},
	"store/database/decide/readset":      {"models", "models/holderlimits", "models/owner", "store/database/decide", "store/database/decide/counting", "store/database/decide/holderusage", "store/database/decide/keyhash"},
	"store/database/decide/rowjson":      {"models"},
	"store/database/decide/storederrors": {"models"},

	"models":              {"models/channel", "models/ids", "models/owner"},
	"models/channel":      {},
	"models/history":      {"models"},
	"models/operations":   {},
	"models/paging":       {"models"},
	"models/ids":          {},
	"models/owner":        {},
	"models/holderlimits": {"models", "models/owner"},
	"models/importreport": {"models"},
	"models/poison":       {},
	"models/quota":        {},
	"models/stockbinary":  {"models", "models/channel"},
	"tracing":             {},
	"web":                 {},

	// For tests and measurements; nothing that is served imports these.
	"deploy":                  {},
	"store/storetest":         {"deploy"},
	"store/storetest/fixture": {"models", "store/database", "store/rediscache", "store/storetest"},
	"bench/chart":             {},
	"bench/scale":             {"bench/chart", "bench/fixture", "bench/loadgen", "bench/results", "bench/testbed", "store/storetest"},
	"bench/alternate":         {"bench/loadgen", "bench/testbed", "store/storetest"},
	"bench/fixture":           {"bench/loadgen", "bench/testbed", "models", "models/holderlimits", "store", "store/openingstock", "store/rediscache", "store/storetest"},
	"bench/groupcommit":       {"bench/fixture", "bench/loadgen", "bench/results", "bench/testbed", "graph", "graph/guard", "graph/transport", "models", "models/owner", "store"},
	"bench/importing":         {"models", "store/database", "store/stockfile", "store/storetest"},
	"bench/loadgen":           {"models", "store/stockfile"},
	"bench/replay":            {"bench/loadgen", "models", "models/paging", "store", "store/audit", "store/stockfile"},
	"bench/floors":            {"graph/generated", "models", "models/paging"},
	"bench/streams":           {"bench/fixture", "bench/floors", "bench/loadgen", "bench/results", "bench/testbed", "models", "store"},
	"bench/reads":             {"bench/fixture", "bench/floors", "bench/loadgen", "bench/results", "bench/testbed", "models"},
	"bench/results":           {"bench/loadgen"},
	"bench/testbed":           {"store/storetest"},
}

// faultsMayImport is what the module of the fault scenarios may import: it talks
// to the product from outside.
var faultsMayImport = []string{"models", "models/stockbinary", "store/storetest"}

// short is an import path without the name of the module.
func short(path string) string {
	return strings.TrimPrefix(path, "onhand/")
}

// listed is a package as the go command lists it.
type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	Imports    []string
	Deps       []string
	GoFiles    []string
}

// packages asks the go command for the packages of this module and all that they
// depend on. sources comes first, because the test cache only knows of files that
// the test itself opens.
func packages(t *testing.T) map[string]listed {
	t.Helper()
	sources(t)
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Dir,Standard,Imports,Deps,GoFiles", "./...")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	raw, err := command.Output()
	require.NoError(t, err, "%s", &stderr)
	all := map[string]listed{}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	for {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all[p.ImportPath] = p
	}
}

// ours reports whether a package is one of this module.
func ours(path string) bool { return path == "onhand" || strings.HasPrefix(path, "onhand/") }

// within reports whether a package is this one or below it.
func within(path, parent string) bool { return path == parent || strings.HasPrefix(path, parent+"/") }

// forbiddenImports lists what a package imports against the direction.
func forbiddenImports(p listed) (found []offence) {
	allowed, known := mayImport[short(p.ImportPath)]
	if !known {
		return []offence{{p.ImportPath, "is new: list in mayImport what it may import"}}
	}
	for _, imported := range p.Imports {
		if ours(imported) && !contains(allowed, short(imported)) {
			found = append(found, offence{p.ImportPath, "must not import " + imported})
		}
	}
	return found
}

// TestImportsPointOneWay: from the program through graph and store to models,
// never back, and to the side only where mayImport says so.
func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	for path, p := range packages(t) {
		if ours(path) {
			report(t, "imports", forbiddenImports(p))
		}
	}
	order := map[string]int{} // 1: being visited, 2: done
	var visit func(path string)
	visit = func(path string) {
		require.NotEqual(t, 1, order[path], "mayImport allows a cycle through %s", path)
		if order[path] == 0 {
			order[path] = 1
			for _, next := range mayImport[path] {
				visit(next)
			}
			order[path] = 2
		}
	}
	for path := range mayImport {
		visit(path)
	}
}

// forbiddenDeps lists what a package must not depend on, even indirectly.
func forbiddenDeps(p listed, standard func(path string) bool) (found []offence) {
	forbid := func(dep string, when bool) {
		if when {
			found = append(found, offence{p.ImportPath, "must not depend on " + dep})
		}
	}
	for _, dep := range p.Deps {
		switch {
		case p.ImportPath == "onhand/models":
			forbid(dep, !standard(dep) && !within(dep, "onhand/models"))
		case within(p.ImportPath, "onhand/graph"):
			forbid(dep, within(dep, "onhand/store") || within(dep, "gorm.io") || within(dep, "github.com/redis"))
		case within(p.ImportPath, "onhand/store"):
			forbid(dep, within(dep, "onhand/graph") || within(dep, "github.com/99designs"))
		case p.ImportPath == "onhand":
			forbid(dep, within(dep, "onhand/store/storetest") || within(dep, "onhand/bench"))
		}
	}
	return found
}

// TestDependenciesStayApart: models and the packages in its folder need the standard
// library only, graph and store do not know each other, and the program has no code for
// tests.
func TestDependenciesStayApart(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for path, p := range all {
		if ours(path) {
			report(t, "imports", forbiddenDeps(p, func(dep string) bool { return all[dep].Standard }))
		}
	}
}

// TestFaultsStayOutside: the scenarios import nothing else of the product.
func TestFaultsStayOutside(t *testing.T) {
	t.Parallel()
	imports := 0
	for path, text := range sources(t) {
		if !within(filepath.ToSlash(path), "faults") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range file.Imports {
			if imported := strings.Trim(spec.Path.Value, `"`); ours(imported) && !within(imported, "onhand/faults") {
				imports++
				assert.Contains(t, faultsMayImport, short(imported), path)
			}
		}
	}
	assert.Positive(t, imports)
}
