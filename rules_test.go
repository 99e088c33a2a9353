package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tests of this file break each rule of the layout on purpose, and require
// that the rule finds it.

// goFile is the text of a file with this many lines of package-level code.
func goFile(lines int) []byte {
	return []byte("package x\n" + strings.Repeat("\n", lines-1))
}

// problems joins offences, for comparison.
func problems(found []offence) string {
	var lines []string
	for _, o := range found {
		lines = append(lines, o.path+": "+o.problem)
	}
	return strings.Join(lines, "\n")
}

func TestRuleImports(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		p    listed
		want string
	}{
		"right":    {listed{ImportPath: "onhand/graph", Imports: []string{"onhand/models", "fmt"}}, ""},
		"backward": {listed{ImportPath: "onhand/models", Imports: []string{"onhand/graph"}}, "onhand/models: must not import onhand/graph"},
		"sideways": {listed{ImportPath: "onhand/graph", Imports: []string{"onhand/store"}}, "onhand/graph: must not import onhand/store"},
		"new":      {listed{ImportPath: "onhand/util"}, "onhand/util: is new: list in mayImport what it may import"},
	} {
		assert.Equal(t, test.want, problems(forbiddenImports(test.p)), name)
	}
	standard := func(path string) bool { return path == "fmt" }
	for name, test := range map[string]struct {
		p    listed
		want string
	}{
		"models":       {listed{ImportPath: "onhand/models", Deps: []string{"fmt", "gorm.io/gorm"}}, "onhand/models: must not depend on gorm.io/gorm"},
		"graph":        {listed{ImportPath: "onhand/graph/guard", Deps: []string{"onhand/models", "onhand/store"}}, "onhand/graph/guard: must not depend on onhand/store"},
		"store":        {listed{ImportPath: "onhand/store/audit", Deps: []string{"onhand/graph/guard"}}, "onhand/store/audit: must not depend on onhand/graph/guard"},
		"store, graph": {listed{ImportPath: "onhand/store", Deps: []string{"github.com/99designs/gqlgen/graphql"}}, "onhand/store: must not depend on github.com/99designs/gqlgen/graphql"},
		"program":      {listed{ImportPath: "onhand", Deps: []string{"onhand/store", "onhand/store/storetest"}}, "onhand: must not depend on onhand/store/storetest"},
		"measurement":  {listed{ImportPath: "onhand", Deps: []string{"onhand/bench/replay"}}, "onhand: must not depend on onhand/bench/replay"},
	} {
		assert.Equal(t, test.want, problems(forbiddenDeps(test.p, standard)), name)
	}
}

func TestRuleSizes(t *testing.T) {
	t.Parallel()
	function := func(lines int) []byte {
		return []byte("package x\n\nfunc f() {" + strings.Repeat("\n", lines-1) + "}\n")
	}
	full := map[string][]byte{}
	for i := range packageFilesMax + 1 {
		full[fmt.Sprintf("x/%d.go", i)] = goFile(1)
	}
	many := map[string][]byte{}
	for i := range 6 {
		many[fmt.Sprintf("x/%d.go", i)] = goFile(fileLinesMax)
	}
	for name, test := range map[string]struct {
		files map[string][]byte
		want  string
	}{
		"right":                {map[string][]byte{"x/a.go": goFile(fileLinesMax), "x/b.go": function(functionLinesMax), "x/doc.go": goFile(pageLinesMax)}, ""},
		"long file":            {map[string][]byte{"x/a.go": goFile(fileLinesMax + 1)}, "x/a.go: 501 lines, more than 500"},
		"long test":            {map[string][]byte{"x/a_test.go": goFile(fileLinesMax + 1)}, "x/a_test.go: 501 lines, more than 500"},
		"long function":        {map[string][]byte{"x/a.go": function(functionLinesMax + 1)}, "x/a.go: f has 61 lines, more than 60"},
		"function of a test":   {map[string][]byte{"x/a_test.go": function(functionLinesMax + 1)}, ""},
		"long page":            {map[string][]byte{"x/doc.go": goFile(pageLinesMax + 1)}, "x/doc.go: 41 lines, more than 40"},
		"many files":           {full, "x: 16 files, more than 15"},
		"many lines":           {many, "x: 3000 lines, more than 2500"},
		"generated":            {map[string][]byte{"graph/generated/a.go": goFile(fileLinesMax + 1)}, ""},
		"beside the generated": {map[string][]byte{"graph/generator.go": goFile(fileLinesMax + 1)}, "graph/generator.go: 501 lines, more than 500"},
	} {
		assert.Equal(t, test.want, problems(oversized(t, test.files)), name)
	}
}

func TestRulePrefixes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files []string
		want  string
	}{
		"two":       {[]string{"x/a_b.go", "x/a_c.go", "x/a.go"}, ""},
		"three":     {[]string{"x/a_b.go", "x/a_c.go", "x/a_d.go"}, "x: 3 files begin with a_: make them a package"},
		"folders":   {[]string{"x/a_b.go", "x/a_c.go", "y/a_d.go"}, ""},
		"tests":     {[]string{"x/a_b.go", "x/a_c.go", "x/a_d_test.go"}, ""},
		"platforms": {[]string{"x/a_linux.go", "x/a_darwin.go", "x/a_other.go"}, ""},
		"both":      {[]string{"x/a_b_linux.go", "x/a_c.go", "x/a_d.go"}, "x: 3 files begin with a_: make them a package"},
		"resolvers": {[]string{"x/a.resolvers.go", "x/a_b.resolvers.go", "x/a_c.resolvers.go"}, ""},
	} {
		files := map[string][]byte{}
		for _, path := range test.files {
			files[path] = nil
		}
		assert.Equal(t, test.want, problems(sharedPrefixes(files)), name)
	}
}

func TestRuleDowncasts(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		`_ = db.engine.(*postgresEngine)`:             "line 3: downcast to *postgresEngine",
		`_ = engine.(*fast)`:                          "line 3: downcast to *fast",
		`_, ok := d.e.(*postgres.Engine); _ = ok`:     "line 3: downcast to *postgres.Engine",
		`_ = e.(sqlite.Engine)`:                       "line 3: downcast to sqlite.Engine",
		`switch e.(type) { case *sqliteEngine: }`:     "line 3: downcast to *sqliteEngine",
		`switch e.(type) { case nil, dialect.Tx: }`:   "",
		`_ = engine.(interface{ Listen() })`:          "",
		`_ = conn.(*stdlib.Conn)`:                     "",
		`_ = postgres.Open(engine); _ = err.(*Error)`: "",
	} {
		want := want
		if want != "" {
			want = "x.go: " + want
		}
		assert.Equal(t, want, problems(downcasts(t, "x.go", []byte("package x\n\nfunc f() { "+code+" }\n"))), code)
	}
}

func TestRulePages(t *testing.T) {
	t.Parallel()
	page := []byte("// Package x is for this: " + strings.Repeat("word ", 20) + "\npackage x\n")
	for name, test := range map[string]struct {
		files map[string][]byte
		want  string
	}{
		"right":   {map[string][]byte{"doc.go": page, "x.go": goFile(1)}, ""},
		"missing": {map[string][]byte{"x.go": page}, "x: has no doc.go"},
		"short":   {map[string][]byte{"doc.go": []byte("// Package x.\npackage x\n")}, "x: doc.go says too little"},
		"two":     {map[string][]byte{"doc.go": page, "x.go": page}, "x: x.go has a package comment too"},
	} {
		assert.Equal(t, test.want, problems(pageProblems(t, "x", "doc.go", test.files)), name)
	}
}

// retiredExamples has text that must be found for each retired word, as comments
// of a file in store/database unless a folder comes first.
var retiredExamples = map[string][]string{
	"hold":       {"// the hold is over", "// it ends the expired holds", "var holdTTL int", "const q = `open_holds`"},
	"combiner":   {"// The combiner sends it", "type combiner int", "// Combiners wait"},
	"gathering":  {"// while it gathers", "const gatherWait = 1"},
	"flight":     {"// each flight has a number", "// the flights", "var flights int"},
	"flying":     {"// what is flying"},
	"plan":       {"// the plan before it", "type planLocks int", "const name = `onhand_plans_total`"},
	"ahead":      {"// decided ahead of it", "// decided\n// ahead"},
	"by version": {"// a batch sent by version", "// decided by\n// version"},
	"by stock":   {"// sent by stock or not at all"},
	"remembered": {"// what is remembered of it", "func remember() {}"},
	"contested":  {"// a contested product", "var contestedUntil int"},
	"firsts":     {"// there are no firsts", "type firsts int"},
	"shape":      {"// the shape of a product", "var shape int", "const q = `product_shape`"},
	"pack":       {"// a pack of movements", "// they are packed", "var packs int", "const q = `stock_movement_packs`"},
	"seat":       {"// takes a seat", "type seat int", "// Seats are few"},
	"depart":     {"// before it departs", "func depart() {}"},
	"launch":     {"// it launches", "func launch() {}"},
	"land":       {"// when it has landed", "func land() {}"},
	"aside":      {"// it steps aside", "var aside int", "func putAside() {}"},
	"behind":     {"var behind int", "func waitBehind() {}"},
	"draft":      {"// the draft of a write", "type draft int"},
	"distrust":   {"// Redis is distrusted", "const distrustFor = 1", "// distrustFor"},
	"apart":      {"// the batch is broken apart", "func apart() {}"},
	"bell":       {"// it rings the bell", "type bell int"},
	"pace":       {"// package pace", "var pace int", `const path = "store/pace"`},
	"carry":      {"store/stockfeed: // the relay carries it", "store/stockfeed: func carry() {}"},
	"told":       {"// Redis is told of it", "// it tells Redis", "// it tells\n// watchers"},
	"copy":       {"// another copy has it", "// two copies", "// a copy of the server"},
	"mark":       {"store/stockfeed: // the mark of the outbox", "store/rediscache: func setMark() {}"},
	"mailbox":    {"// a mailbox keeps one", "type mailbox int"},
	"board":      {"// the board has it", "type board int"},
	"rereader":   {"// the rereader", "type rereader int"},
	"history":    {"// a database of another history", "// the same history"},
	"keeper":     {"// the keeper looks", "type keeper int"},
	"house":      {"// the house rules", "type house int"},
	"room":       {"// Rooms:", "// a room of the house"},
	"whoever":    {"// whoever comes", "// somebody was faster"},
	"he":         {"// he waits", "// tells him", "// His turn"},
}

// standardExamples use the same words in their standard meaning.
var standardExamples = []string{
	"// a write in flight; requests in\n// flight", "// a single flight per product", "var inFlight int", "// singleflight",
	"// the query plan of EXPLAIN", "// Postgres makes a generic plan", "// there is no room for it", "// make room",
	"// the live board shows it", "// a copy of the slice", "// carried out", "// told apart from", "type importPlan int", "// a row carries it", "// no bytes copied",
	"// a warehouse in Leeds", "// the history of a product", "// behind a proxy", "// apart from that", "registry.Gather()",
	"// max_parallel_workers_per_gather", "// bookmark", "// unpack", "// here, there, the, she", "// a level that holds stock",
	"// versions in order, by version", "graph: // a pack of rows", "graph: // the shape of a query", "graph: // a plan", "store: // remembered for 5 s",
}

// example is a file with the text of an example.
func example(text string) (path string, file []byte) {
	folder := "store/database"
	if first, rest, ok := strings.Cut(text, ": //"); ok {
		folder, text = first, "//"+rest
	} else if first, rest, ok := strings.Cut(text, ": func"); ok {
		folder, text = first, "func"+rest
	}
	return folder + "/x.go", []byte("package x\n\n" + strings.TrimPrefix(text, "registry.Gather()") + "\n")
}

func TestRuleRetiredWords(t *testing.T) {
	t.Parallel()
	for word, r := range retired {
		require.NotEmpty(t, retiredExamples[word], word)
		for _, text := range retiredExamples[word] {
			path, file := example(text)
			assert.Contains(t, problems(retiredIn(t, path, file)), "write "+r.write, "%s: %s", word, text)
		}
	}
	for _, text := range standardExamples {
		path, file := example(text)
		assert.Empty(t, problems(retiredIn(t, path, file)), text)
	}
	for path, text := range map[string]string{
		"docs/x.md": "# A title\n\nA seat is taken.\n", "store/database/postgres/x.sql": "-- a\n-- combiner\n", "graph/schema/x.graphqls": "\"Whoever knows the id\"\nid: ID!\n",
	} {
		assert.Len(t, retiredIn(t, path, []byte(text)), 1, path)
	}
	assert.Equal(t, "store/x.go: line 4: \"seat\": write waiter", problems(retiredIn(t, "store/x.go", []byte("package x\n\n// two\n// a seat\nvar x int\n"))))
}

func TestWordsOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"holdTTL": "hold ttl", "HTTPPlan": "http plan", "stock_movement_packs": "stock movement packs", "planLocks2": "plan locks", "seat": "seat", "TestSQLiteIDs": "test sq lite i ds",
	} {
		assert.Equal(t, want, strings.Join(wordsOf(name), " "))
	}
}

func TestRuleDocuments(t *testing.T) {
	t.Parallel()
	files := map[string]bool{"docs/x.md": true, "docs/y.md": true, "README.md": true, "store/x.go": true, "make": false}
	in := tree{
		words: map[string]bool{"holdTTL": true, "make": true, "test": true}, tests: map[string]bool{"TestIs": true},
		exists:   func(path string) bool { return files[path] },
		named:    func(name string) bool { return name == "x.go" },
		headings: func(path string) []string { return headings("# In " + path + "\n\n## Two words, and more\n") },
	}
	for text, want := range map[string]string{
		"`TestIs`, TestIs": "", "see TestGone": "there is no test TestGone",
		"[a](y.md)": "", "[a](../README.md)": "", "[a](https://x.example/y#z)": "", "[a](z.md)": "there is no file for the link z.md",
		"[a](y.md#two-words-and-more)": "", "[a](#two-words-and-more)": "", "[a](y.md#three)": "docs/y.md has no heading #three", "[a](#three)": "docs/x.md has no heading #three",
		"`store/x.go`": "", "in store/y.go, line 1": "there is no path store/y.go", "```text\nstore/z\n```\n": "there is no path store/z", "https://x.example/store/y": "",
		"`x.go`": "", "`y.go`": "there is no file `y.go`", "`make test`, `holdTTL`": "", "`make tea`": "no file has the word tea of `make tea`",
	} {
		if want != "" {
			want = "docs/x.md: " + want
		}
		assert.Equal(t, want, problems(documentProblems("docs/x.md", text, in)), text)
	}
}

func TestRuleFailures(t *testing.T) {
	t.Parallel()
	const file = "docs/failures.md: "
	head := "\n" + testedTables["docs/failures.md"]
	for text, want := range map[string]string{
		head + "| a | b | c | `TestXy` |\n\nmore\n":               "",
		head + "| a | b | c | `TestXy` |\n| d | e | f | none |\n": file + "no test in: | d | e | f | none |",
		head + "| a | b | `TestXy` |\n":                           file + "no test in: | a | b | `TestXy` |",
		head:                                                      file + "the table is empty",
		"# Failures\n":                                            file + "has no table " + testedTables["docs/failures.md"],
	} {
		assert.Equal(t, want, problems(untested("docs/failures.md", text)), text)
	}
}

func TestRuleRecords(t *testing.T) {
	t.Parallel()
	right := "### 1. First\n\n### 2. Second\n"
	mention := func(text string) map[string][]byte { return map[string][]byte{"x.go": []byte(text)} }
	assert.Empty(t, recordProblems(right, mention("see docs/decisions.md, record 2")))
	assert.Equal(t, "x.go: there is no record 3", problems(recordProblems(right, mention("see docs/decisions.md, record 3"))))
	assert.Equal(t, "x.go: there is no record 4", problems(recordProblems(right, mention("see [decision 4](docs/decisions.md)"))))
	assert.Equal(t, "docs/decisions.md: record 1 must have the number 2, and so must its mentions", problems(recordProblems("### 1. First\n\n### 1. Second\n", nil)))
}
