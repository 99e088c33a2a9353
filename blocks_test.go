package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"
	"go.yaml.in/yaml/v3"
)

// These tests see to it that no code in a document is left to itself: a test of its own runs
// it, or it is checked here by its kind.

// blockTests are the tests that run blocks of a document, by the document and the kinds of
// its blocks. Blocks without a row are checked by their kind.
var blockTests = map[string]map[string]string{
	"README.md":          {"sh json text": "TestReadmeCommands"},
	"README.zh-CN.md":    {"sh json text": "TestChineseReadme"},
	"docs/storefront.md": {"sh json text": "TestStorefrontCommands"},
	"docs/orders.md":     {"sh json text": "TestOrdersCommands"},
	"docs/merchants.md":  {"sh json text": "TestMerchantsCommands"},
	"docs/federation.md": {"sh json graphql js": "TestFederationGuide"},
	"docs/demo.md":       {"sh": "TestRunningCommands"},
	"docs/running.md":    {"sh sql": "TestRunningCommands"},
	"docs/settings.md":   {"yaml": "TestConfigFile"},
	"docs/operators.md":  {"sh yaml": "TestOperatorsCommands"},
	"docs/clients.md":    {"json text": "TestClientsBlocks", "ts js": "web/caches/snippets.test.js"},
	"faults/README.md":   {"go": "TestScenarioOfTheGuide"},
}

// blocksOf lists the blocks of a document, those without a language too.
func blocksOf(t *testing.T, path string) (blocks []fence) {
	t.Helper()
	for _, found := range regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```$").FindAllStringSubmatch(document(t, path), -1) {
		blocks = append(blocks, fence{found[1], found[2]})
	}
	return blocks
}

// blocksOfKind lists the texts of a document's blocks of a kind.
func blocksOfKind(t *testing.T, path, kind string) (texts []string) {
	t.Helper()
	for _, b := range blocksOf(t, path) {
		if b.language == kind {
			texts = append(texts, b.text)
		}
	}
	require.NotEmpty(t, texts, "%s: %s", path, kind)
	return texts
}

// allDocuments are the documents of all folders.
func allDocuments(t *testing.T) (all []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (slices.Contains([]string{"node_modules", "testdata", "third_party"}, entry.Name()) || len(path) > 1 && entry.Name()[0] == '.') {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			all = append(all, filepath.ToSlash(path))
		}
		return nil
	}))
	return all
}

// blockTest is the test that runs a kind of blocks of a document, if there is one.
func blockTest(document, kind string) string {
	for kinds, test := range blockTests[document] {
		if slices.Contains(strings.Fields(kinds), kind) {
			return test
		}
	}
	return ""
}

// indentedCode is code that no fence marks.
var indentedCode = regexp.MustCompile(`\n\n    \S.*`)

// TestEveryBlockIsTested: each block of each document is run by a test, or valid for its kind.
func TestEveryBlockIsTested(t *testing.T) {
	t.Parallel()
	used, blocks := map[string]bool{}, 0
	for _, path := range allDocuments(t) {
		text := document(t, path)
		assert.Equal(t, 0, strings.Count(text, "```")%2, "%s: a fence does not close", path)
		assert.Len(t, blocksOf(t, path), strings.Count(text, "```")/2, "%s: a fence that is not read here", path)
		assert.Empty(t, indentedCode.FindString(fencePattern.ReplaceAllString(text, "")), "%s: put code into a fence with its language", path)
		before := fence{}
		for _, b := range blocksOf(t, path) {
			blocks++
			if test := blockTest(path, b.language); test != "" {
				used[path+test] = true
			} else {
				report(t, "blocks", checkedByKind(t, path, b, before))
			}
			before = b
		}
		for _, span := range spanPattern.FindAllStringSubmatch(fencePattern.ReplaceAllString(text, ""), -1) {
			if inlineCommand.MatchString(span[1]) {
				report(t, "commands", offences(path, commandProblems(t, span[1], commandFolder(path))))
			}
		}
	}
	assert.Greater(t, blocks, 100)
	for path, tests := range blockTests {
		for kinds, test := range tests {
			assert.True(t, used[path+test], "%s has no block of %s any more", path, kinds)
			assert.True(t, namesDocument(t, test, path), "%s: there is no test %s that names this document", path, test)
		}
	}
}

// namesDocument reports whether a test exists, in a file that names the document.
func namesDocument(t *testing.T, test, document string) bool {
	t.Helper()
	if strings.HasSuffix(test, ".js") {
		text, err := os.ReadFile(test)
		return err == nil && strings.Contains(string(text), document)
	}
	for file, text := range sources(t) {
		if isTest(file) && strings.Contains(string(text), "\nfunc "+test+"(") {
			return strings.Contains(string(text), path.Base(document))
		}
	}
	return false
}

// commandFolder is where the commands of a document's sentences are run.
func commandFolder(document string) string {
	if strings.HasPrefix(document, "examples/") {
		return path.Dir(document)
	}
	return "."
}

func offences(path string, problems []string) (found []offence) {
	for _, problem := range problems {
		found = append(found, offence{path, problem})
	}
	return found
}

// checkedByKind checks a block that no test runs.
func checkedByKind(t *testing.T, path string, b, before fence) []offence {
	t.Helper()
	var problems []string
	var value any
	switch b.language {
	case "sh":
		folder := "."
		for _, c := range shellCommands(t, b.text, nil) {
			if c.words[0] == "cd" {
				folder = filepath.Join(folder, c.words[1])
			}
			problems = append(problems, commandProblems(t, strings.Join(c.words, " "), folder)...)
		}
	case "json":
		if err := json.Unmarshal([]byte(b.text), &value); err != nil {
			problems = append(problems, err.Error())
		}
	case "yaml":
		if err := yaml.Unmarshal([]byte(b.text), &value); err != nil {
			problems = append(problems, err.Error())
		}
	case "graphql":
		problems = append(problems, graphqlProblems(t, b.text)...)
	case "mermaid":
		problems = append(problems, drawingProblems(b.text)...)
	case "":
		if line := regexp.MustCompile(`(?m)^(\$|go|make|onhand|curl|psql|npm|kubectl|docker) .*`).FindString(b.text); line != "" {
			problems = append(problems, "a command in a block without a language: "+line)
		}
	case "text":
		if before.language != "sh" {
			problems = append(problems, "output without a command before it")
		}
	default:
		problems = append(problems, "nothing runs this block of "+b.language+": write a test, and name it in blockTests: "+b.text)
	}
	return offences(path, problems)
}

var apiSchema = sync.OnceValues(func() (*ast.Schema, error) {
	files, err := readFiles(".graphqls")
	var all []*ast.Source
	for file, text := range files {
		if path.Dir(file) == "graph/schema" {
			all = append(all, &ast.Source{Name: file, Input: string(text)})
		}
	}
	if err != nil {
		return nil, err
	}
	return gqlparser.LoadSchema(all...)
})

// graphqlProblems validates operations against the schema. A selection is one of the answer to reserveStock.
func graphqlProblems(t *testing.T, text string) (problems []string) {
	t.Helper()
	schema, err := apiSchema()
	require.NoError(t, err)
	if !regexp.MustCompile(`(?m)^(\{|query|mutation|subscription)`).MatchString(text) {
		text = `mutation { reserveStock(input: {idempotencyKey: "k", lines: [{productId: "p", quantity: 1}]}) { ` + text + ` } }`
	}
	_, list := gqlparser.LoadQueryWithRules(schema, text, rules.NewDefaultRules())
	for _, err := range list {
		problems = append(problems, err.Error())
	}
	return problems
}

// drawingProblems reads a diagram of states: each line is a transition or the heading.
func drawingProblems(text string) (problems []string) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if lines[0] != "stateDiagram-v2" {
		return []string{"a kind of diagram that is not known here: " + lines[0]}
	}
	for _, line := range lines[1:] {
		if !regexp.MustCompile(`^ +(\[\*\]|\w+) --> (\[\*\]|\w+)(: [^:;]+)?$`).MatchString(line) {
			problems = append(problems, "not a transition: "+line)
		}
	}
	return problems
}

// inlineCommand is a command in the middle of a sentence.
var inlineCommand = regexp.MustCompile(`^((make|onhand|go (run|build|test|generate|install)|npm|kubectl|helm|docker compose|openssl) |scripts/\w)`)

// commandProblems checks a command that is not run here: what it names exists.
func commandProblems(t *testing.T, line, folder string) []string {
	t.Helper()
	words := strings.Fields(regexp.MustCompile(`\b[A-Z_]+='[^']*'|\b[A-Z_]+=\S+`).ReplaceAllString(line, ""))
	if len(words) == 0 {
		return nil
	}
	missing := func(what string, is bool) []string {
		if is {
			return nil
		}
		return []string{fmt.Sprintf("%s: there is no %s", line, what)}
	}
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(folder, name))
		return err == nil
	}
	switch {
	case words[0] == "make":
		if len(words) == 1 {
			return nil
		}
		return append(missing("target "+words[1], strings.Contains(document(t, "Makefile"), "\n"+words[1]+": ## ")), benchProblems(t, line)...)
	case words[0] == "onhand":
		return programProblems(t, line, words[1:])
	case len(words) > 2 && strings.HasPrefix(words[2], "./bench/"):
		return benchProblems(t, line)
	case words[0] == "go":
		for _, word := range words[2:] {
			if name, _, _ := strings.Cut(word, "/..."); strings.HasPrefix(word, ".") && !exists(name) {
				return missing("folder "+word, false)
			}
		}
		return missing("go command "+words[1], slices.Contains([]string{"run", "build", "test", "generate", "install"}, words[1]))
	case words[0] == "npm":
		scripts := document(t, npmFile(folder))
		return missing("npm script", words[1] == "ci" || regexp.MustCompile(`"`+words[len(words)-1]+`": "`).MatchString(scripts))
	case strings.HasPrefix(words[0], "scripts/"):
		return missing(words[0], exists(words[0]))
	case words[0] == "cd":
		return missing(words[1], exists("."))
	case slices.Contains([]string{"kubectl", "helm", "docker"}, words[0]):
		for _, word := range words {
			if strings.HasPrefix(word, "deploy/") && !exists(word) {
				return missing(word, false)
			}
		}
		return nil
	case words[0] == "openssl":
		return missing("such use of openssl", line == "openssl rand -hex 32")
	}
	return []string{"a command that nothing checks: " + line}
}

// npmFile is where the scripts of a folder are; a sentence names the folder beside the command.
func npmFile(folder string) string {
	if folder == "." {
		folder = "web/board"
	}
	return filepath.Join(folder, "package.json")
}

// programProblems checks the command and the flags of the program against its help.
func programProblems(t *testing.T, line string, words []string) (problems []string) {
	t.Helper()
	help, ok := programHelp(t)[words[0]]
	if !ok {
		return []string{line + ": there is no such command"}
	}
	for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(strings.Join(words, " "), -1) {
		if flag != "--help" && !strings.Contains(help, flag) {
			problems = append(problems, line+": there is no "+flag)
		}
	}
	return problems
}

var (
	helpOnce     sync.Once
	helpCommands map[string]string
)

// programHelp has the help of every command.
func programHelp(t *testing.T) map[string]string {
	t.Helper()
	helpOnce.Do(func() {
		helpCommands = map[string]string{}
		for _, name := range []string{"serve", "migrate", "demo", "import", "export", "stock", "ledger", "audit", "schema", "token", "version"} {
			code, help, stderr := run(t, t.TempDir(), nil, name, "--help")
			require.Equal(t, 0, code, stderr)
			helpCommands[name] = help
		}
	})
	return helpCommands
}

// benchProblems checks the flags that a command gives to programs of bench.
func benchProblems(t *testing.T, line string) (problems []string) {
	t.Helper()
	target := regexp.MustCompile(`(?:BENCH=|go run \./bench/|make (alternate))(\w*)`).FindStringSubmatch(line)
	if target == nil && !strings.HasPrefix(line, "make bench") {
		return nil
	}
	folder := "groupcommit"
	if target != nil {
		folder = target[1] + target[2]
	}
	flags := map[string]bool{"list": true}
	for file, text := range sources(t) {
		if path.Dir(file) == "bench/"+folder {
			for _, field := range regexp.MustCompile("(?m)^\t([A-Z]\\w*) .*`.*help:\"").FindAllSubmatch(text, -1) {
				words := regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAll(field[1], []byte("$1-$2"))
				flags[strings.ToLower(string(words))] = true
			}
		}
	}
	for _, flag := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(line, -1) {
		if !flags[flag[1]] {
			problems = append(problems, line+": bench/"+folder+" has no "+flag[0])
		}
	}
	return problems
}
