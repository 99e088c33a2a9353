package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// documents lists the documents: those of the top level and those in docs.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, found, pattern)
		all = append(all, found...)
	}
	return all
}

func document(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(raw)
}

// tree is what documents may name.
type tree struct {
	words    map[string]bool // of code, SQL, GraphQL and scripts
	tests    map[string]bool
	exists   func(path string) bool     // a path from the top level
	named    func(name string) bool     // the name of a file in any folder
	headings func(path string) []string // of a document, as links name them
}

// otherWords are words that documents explain and no file of the tree has.
var otherWords = []string{"on_hand", "NOTIFY", "REPLACE", "CONCURRENTLY", "TRANSACTION", "VALID", "archive_mode", "archive_timeout", "recovery_target_time"}

// newTree reads the tree of this repository.
func newTree(t *testing.T) tree {
	t.Helper()
	files, err := readFiles(".go", ".graphqls", ".graphql", ".sql", ".js", ".yaml", ".service", ".cfg", ".sh")
	require.NoError(t, err)
	for _, path := range []string{"Makefile", "compose.yaml", "scripts/servers", "scripts/secrets", "scripts/restore-drill", "scripts/recover", ".goreleaser.yaml"} {
		files[path] = []byte(document(t, path))
	}
	words, tests, names := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, word := range otherWords {
		words[word] = true
	}
	for file, text := range files {
		names[path.Base(file)] = true
		if generated(file) {
			continue
		}
		for _, word := range regexp.MustCompile(`\w+`).FindAll(text, -1) {
			words[string(word)] = true
		}
		for _, test := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(\w+ \*testing\.[TF]\)`).FindAllSubmatch(text, -1) {
			tests[string(test[1])] = true
		}
	}
	return tree{
		words: words, tests: tests,
		exists: func(path string) bool {
			_, err := os.Stat(path)
			return err == nil
		},
		named:    func(name string) bool { return names[name] },
		headings: func(path string) []string { return headings(document(t, path)) },
	}
}

// headings lists the headings of a document as links name them.
func headings(text string) (anchors []string) {
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		plain := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		anchors = append(anchors, "#"+strings.ReplaceAll(plain, " ", "-"))
	}
	return anchors
}

var (
	fencePattern = regexp.MustCompile("(?ms)^```.*?^```$")
	testPattern  = regexp.MustCompile(`\b(Test|Fuzz)[A-Z]\w+`)
	linkPattern  = regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`)
	spanPattern  = regexp.MustCompile("`([^`\n]+)`")
	// pathPattern matches a path of code: from a folder of the top level on.
	pathPattern = regexp.MustCompile(`(^|[^\w./:-])((cli|graph|models|store|web|bench|faults|docs|scripts)(/[\w.-]*\w)+)`)
	filePattern = regexp.MustCompile(`^[\w.-]+\.(go|sql|graphqls?|md)$`)
)

// documentProblems lists what a document names and the tree does not have: tests,
// links, headings, paths, files, and words of code.
func documentProblems(document, text string, in tree) (found []offence) {
	flag := func(format string, args ...any) {
		found = append(found, offence{document, fmt.Sprintf(format, args...)})
	}
	for _, match := range pathPattern.FindAllStringSubmatch(text, -1) {
		if !in.exists(match[2]) {
			flag("there is no path %s", match[2])
		}
	}
	text = fencePattern.ReplaceAllString(text, "")
	for _, test := range testPattern.FindAllString(text, -1) {
		if !in.tests[test] {
			flag("there is no test %s", test)
		}
	}
	for _, link := range linkPattern.FindAllStringSubmatch(text, -1) {
		if strings.Contains(link[1], "://") {
			continue
		}
		target := document
		if link[1] != "" {
			target = path.Join(path.Dir(document), link[1])
		}
		if !in.exists(target) {
			flag("there is no file for the link %s", link[1])
		} else if link[2] != "" && path.Ext(target) == ".md" && !slices.Contains(in.headings(target), link[2]) {
			flag("%s has no heading %s", target, link[2])
		}
	}
	for _, match := range spanPattern.FindAllStringSubmatch(text, -1) {
		span := match[1]
		switch {
		case in.exists(span), in.tests[span]:
		case filePattern.MatchString(span):
			if !in.named(span) {
				flag("there is no file `%s`", span)
			}
		default:
			for _, word := range regexp.MustCompile(`\w+`).FindAllString(span, -1) {
				if !in.words[word] {
					flag("no file has the word %s of `%s`", word, span)
				}
			}
		}
	}
	return found
}

// TestDocumentsNameWhatExists: the tree has every test, path, file and word of
// code that the documents name, and every link has its file and heading.
func TestDocumentsNameWhatExists(t *testing.T) {
	t.Parallel()
	in := newTree(t)
	for _, path := range documents(t) {
		report(t, "documents", documentProblems(path, document(t, path), in))
	}
}

// documentBytesMax has the documents that a newcomer reads as a whole.
var documentBytesMax = map[string]int{"README.md": 10_000, "ARCHITECTURE.md": 15_000}

// TestDocumentsStayShort: the README and the architecture fit their limits.
func TestDocumentsStayShort(t *testing.T) {
	t.Parallel()
	for path, bytesMax := range documentBytesMax {
		assert.LessOrEqual(t, len(document(t, path)), bytesMax, path)
	}
}

// testedTables are the documents each row of whose table names a test, in its last cell,
// with the heads of the tables.
var testedTables = map[string]string{
	"docs/failures.md": "| what | the user sees | what repairs it | test |\n|---|---|---|---|\n",
	"docs/security.md": "| attack | answer | test |\n|---|---|---|\n",
}

// untested lists the rows of a document's table that name no test.
func untested(document, text string) (found []offence) {
	head := testedTables[document]
	_, rest, ok := strings.Cut(text, "\n"+head)
	if !ok {
		return []offence{{document, "has no table " + head}}
	}
	columns := strings.Count(head, "---")
	rows := 0
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		rows++
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != columns || !regexp.MustCompile("`(Test|Fuzz)[A-Z]\\w+`|\\.test\\.js|tests of `store`").MatchString(cells[len(cells)-1]) {
			found = append(found, offence{document, "no test in: " + strings.TrimSpace(line)})
		}
	}
	if rows == 0 {
		found = append(found, offence{document, "the table is empty"})
	}
	return found
}

// TestEveryFailureHasItsTest: each failure of docs/failures.md, and each attack of
// docs/security.md, names a test.
func TestEveryFailureHasItsTest(t *testing.T) {
	t.Parallel()
	for path := range testedTables {
		text := document(t, path)
		report(t, "documents", untested(path, text))
		assert.Greater(t, strings.Count(text, "\n|"), 10)
	}
}

var (
	recordPattern  = regexp.MustCompile(`(?m)^### (\d+)\. `)
	mentionPattern = regexp.MustCompile(`decisions\.md, record (\d+)|\[decision (\d+)\]`)
)

// recordProblems lists the records of decisions whose numbers are not 1, 2, 3 and so on,
// and the mentions, by file, of records that there are not.
func recordProblems(decisions string, files map[string][]byte) (found []offence) {
	records := recordPattern.FindAllStringSubmatch(decisions, -1)
	for i, record := range records {
		if want := fmt.Sprint(i + 1); record[1] != want {
			return []offence{{"docs/decisions.md", "record " + record[1] + " must have the number " + want + ", and so must its mentions"}}
		}
	}
	for file, text := range files {
		for _, mention := range mentionPattern.FindAllSubmatch(text, -1) {
			number := string(mention[1]) + string(mention[2])
			if n, err := strconv.Atoi(number); err != nil || n < 1 || n > len(records) {
				found = append(found, offence{file, "there is no record " + number})
			}
		}
	}
	return found
}

// TestRecordsAreNumbered: the records of docs/decisions.md have ascending numbers, and
// those that code and documents mention exist.
func TestRecordsAreNumbered(t *testing.T) {
	t.Parallel()
	files, err := readFiles(".go", ".md", ".sql")
	require.NoError(t, err)
	report(t, "records", recordProblems(document(t, "docs/decisions.md"), files))
}

// TestIndexIsWhole: docs/README.md leads to every page of docs, and every picture is shown by a document.
func TestIndexIsWhole(t *testing.T) {
	t.Parallel()
	index, all := document(t, "docs/README.md"), ""
	for _, path := range documents(t) {
		all += document(t, path)
		if page := strings.TrimPrefix(path, "docs/"); page != path && page != "README.md" {
			assert.Contains(t, index, "]("+page+")")
		}
	}
	pictures, err := filepath.Glob("docs/images/*")
	require.NoError(t, err)
	for _, picture := range pictures {
		assert.Contains(t, all, strings.TrimPrefix(picture, "docs/"))
	}
}
