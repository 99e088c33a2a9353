package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// retiredWord is a word, or a meaning of a word, that this repository does not
// use, because there is a standard term.
type retiredWord struct {
	write string   // the standard term
	text  string   // a pattern of comments, strings, documents, SQL and GraphQL; the first letter of a match may be a capital
	allow string   // a pattern of the standard meaning; text that overlaps a match and names with a match are fine
	names []string // words of declared names, file names and snake_case names
	below []string // the folders where the word has the retired meaning; everywhere by default
}

// The folders where common words had a private meaning.
var (
	inStore    = []string{"store"}
	inDatabase = []string{"store/database", "store/groupcommit"}
	inCache    = []string{"store/rediscache", "store/stockfeed", "store/upkeep"}
	inBackend  = []string{"store", "bench", "faults", "docs"}
)

// retired lists them by the word. The rows follow the vocabulary of the project.
var retired = map[string]retiredWord{
	"hold": {write: "reservation", text: `(an?|the|each|every|one|no|this|active|expired|overdue) hold\b|(the|two|these|those|active|expired|overdue|many|all|its|open) holds\b`,
		allow: `a hold on`, names: []string{"hold", "holds"}, below: []string{"store", "models", "bench", "faults", "docs", "cli"}},
	"combiner":   {write: "group commit", text: `combiners?`, names: []string{"combiner", "combiners"}},
	"gathering":  {write: "group commit, or commit delay", text: `gather(s|ed|ing)?`, allow: `\bGather(s|er)?\b|\w+_per_gather`, names: []string{"gather", "gathering", "gathered"}, below: inBackend},
	"flight":     {write: "batch, or in flight", text: `flights?`, allow: `(?i)\b(in|single)[\s-]+flights?`, names: []string{"flights", "flying"}, below: inBackend},
	"flying":     {write: "in flight", text: `flying`},
	"plan":       {write: "batch, or optimistic batch", text: `plans?`, allow: `(?i).*(explain|quer|postgres|planner|generic|cached|check|parallel|statement|execution|capacity|encode|import_?plan).*`, names: []string{"plan", "plans"}, below: inBackend},
	"ahead":      {write: "optimistic batch", text: `decided\s+ahead`},
	"by version": {write: "compare-and-set", text: `(sent|decided|checked|written|batch|batches) by version`, below: inDatabase},
	"by stock":   {write: "conditional decrement", text: `by stock`, below: inDatabase},
	"remembered": {write: "snapshot cache", text: `remember(s|ed|ing)?`, names: []string{"remember", "remembered", "remembers"}, below: inDatabase},
	"contested":  {write: "contended", text: `contested`, names: []string{"contested"}},
	"firsts":     {write: "uncounted reservations", text: `firsts`, names: []string{"firsts"}, below: inBackend},
	"shape":      {write: "settings revision", text: `shapes?`, names: []string{"shape", "shapes"}, below: inDatabase},
	"pack":       {write: "ledger chunk", text: `pack(s|ed|ing)?`, names: []string{"pack", "packs", "packed", "packing"}, below: inBackend},
	"seat":       {write: "waiter", text: `seat(s|ed)?`, names: []string{"seat", "seats", "seated"}},
	"depart":     {write: "dispatch", text: `depart(s|ed|ing|ures?)?`, names: []string{"depart", "departs", "departed", "departure"}, below: inStore},
	"launch":     {write: "dispatch", text: `launch(es|ed|ing)?`, names: []string{"launch", "launched"}, below: inDatabase},
	"land":       {write: "finish", text: `land(s|ed|ing)`, names: []string{"land", "lands", "landed"}, below: inStore},
	"aside":      {write: "blocked", text: `aside`, names: []string{"aside"}},
	"behind":     {write: "blocked", allow: `Err(Replica)?Behind`, names: []string{"behind"}, below: inDatabase},
	"draft":      {write: "change set", text: `drafts?`, names: []string{"draft", "drafts"}, below: inBackend},
	"distrust":   {write: "cache bypass", text: `distrust\w*`, names: []string{"distrust", "distrusts", "distrusted"}},
	"apart":      {write: "bisection", text: `(broken|break|breaks|breaking) apart`, names: []string{"apart"}, below: inDatabase},
	"bell":       {write: "broadcast", text: `bells?`, names: []string{"bell", "bells"}},
	"pace":       {write: "backoff", text: `pace`, names: []string{"pace"}},
	"carry":      {write: "drain, or publish", text: `carr(y|ies|ied|ying)`, allow: `(?i)\bcarr(y|ies|ied)\s+out\b`, names: []string{"carry", "carries", "carried"}, below: append(inCache, "store/readthrough", "store/groupcommit")},
	"told":       {write: "publish, call, or answer", text: `(is|are|was|were|be|been|being|not|never) told|tells? (Redis|the cache|caches|subscribers?|watchers?|callers?)`, allow: `\btold\s+(apart|from)\b`, below: inStore},
	"copy": {write: "instance", text: `(other|two|three|many|both|several) copies|another copy|cop(y|ies) of (the|this) (server|program|process)`,
		below: []string{"store", "bench", "faults", "docs", "cli", "graph"}},
	"mark":     {write: "watermark", text: `(the|its|this|that|no|old|new) marks?`, names: []string{"mark", "marks"}, below: inCache},
	"mailbox":  {write: "conflating queue", text: `mailbox(es)?`, names: []string{"mailbox", "mailboxes"}},
	"board":    {write: "conflating queue", text: `boards?`, allow: `(?i)live\s+board`, names: []string{"board", "boards"}, below: inStore},
	"rereader": {write: "what it does: reading stock again after a gap", text: `rereaders?`, names: []string{"rereader"}},
	"history":  {write: "epoch", text: `(another|other|new|old|earlier|later|same) histor(y|ies)`, below: inStore},
	"keeper":   {write: "epoch check, or claim renewal", text: `keepers?`, names: []string{"keeper", "keepers"}},
	"house":    {write: "architecture", text: `house`, names: []string{"house"}},
	"room":     {write: "package", text: `rooms|(a|each|every|which|the) room`},
	"whoever":  {write: "the actor: the caller, the relay, an instance", text: `(whoever|whomever|somebody)`},
	"he":       {write: "the actor: the caller, the relay, an instance", text: `(he|him|his|himself)`},
}

// retiredAllowed lists, by file, the words that have their standard meaning there.
var retiredAllowed = map[string][]string{
	// A column of pg_stat_statements is total_plan_time.
	"bench/groupcommit/profile.go": {"plan"},
	// A setting of Postgres is plan_cache_mode.
	"store/database/purchase_test.go": {"plan"},
}

// wordFiles are the extensions of the files whose words are checked.
var wordFiles = []string{".go", ".sql", ".md", ".graphqls", ".graphql"}

// pattern is the compiled form of a retired word. Spaces match line breaks.
type pattern struct{ text, allow *regexp.Regexp }

var patterns = func() map[string]pattern {
	compiled := map[string]pattern{}
	for word, r := range retired {
		var p pattern
		if r.text != "" {
			p.text = regexp.MustCompile(`\b(?:` + capitalised(strings.ReplaceAll(r.text, " ", `\s+`)) + `)\b`)
		}
		if r.allow != "" {
			p.allow = regexp.MustCompile(r.allow)
		}
		compiled[word] = p
	}
	return compiled
}()

// find lists the matches of the text that no match of allow overlaps. It
// tries allow on the lines of the match and the line before.
func (p pattern) find(text string) (found [][]int) {
	if p.text == nil {
		return nil
	}
	for _, at := range p.text.FindAllStringIndex(text, -1) {
		first := strings.LastIndex(text[:max(0, strings.LastIndex(text[:at[0]], "\n"))], "\n") + 1
		last := len(text)
		if end := strings.Index(text[at[1]:], "\n"); end >= 0 {
			last = at[1] + end
		}
		if !p.allows(text[first:last], at[0]-first, at[1]-first) {
			found = append(found, at)
		}
	}
	return found
}

// allows reports whether a match of allow overlaps these bytes of the text.
func (p pattern) allows(text string, start, end int) bool {
	if p.allow == nil {
		return false
	}
	return slices.ContainsFunc(p.allow.FindAllStringIndex(text, -1), func(at []int) bool { return at[0] < end && start < at[1] })
}

// capitalised lets every alternative of a pattern begin with a capital.
func capitalised(text string) string {
	return regexp.MustCompile(`(^|\||^\()([a-z])`).ReplaceAllStringFunc(text, func(start string) string {
		letter := start[len(start)-1:]
		return start[:len(start)-1] + "[" + letter + strings.ToUpper(letter) + "]"
	})
}

// marker matches what begins a line of a comment.
var marker = regexp.MustCompile(`(?m)^[ \t]*(//|--|#|>)`)

// retiredIn lists the retired words of a file.
func retiredIn(t *testing.T, path string, text []byte) (found []offence) {
	t.Helper()
	plain := marker.ReplaceAllStringFunc(string(text), func(start string) string { return strings.Repeat(" ", len(start)) })
	names := namesIn(t, path, text)
	for _, word := range slices.Sorted(maps.Keys(retired)) {
		r, p := retired[word], patterns[word]
		below := r.below == nil || slices.ContainsFunc(r.below, func(folder string) bool { return within(path, folder) })
		if !below || slices.Contains(retiredAllowed[path], word) {
			continue
		}
		for _, at := range p.find(plain) {
			line := 1 + strings.Count(plain[:at[0]], "\n")
			found = append(found, offence{path, fmt.Sprintf("line %d: %q: write %s", line, plain[at[0]:at[1]], r.write)})
		}
		for _, name := range names {
			private := slices.ContainsFunc(wordsOf(name), func(part string) bool { return slices.Contains(r.names, part) })
			if private && (p.allow == nil || !p.allow.MatchString(name)) {
				found = append(found, offence{path, fmt.Sprintf("the name %s: write %s", name, r.write)})
			}
		}
	}
	return found
}

var snakeCase = regexp.MustCompile(`\b[a-z0-9]+(_[a-z0-9]+)+\b`)

// namesIn lists the names that a file declares, its own name, and every
// snake_case name in it: columns, metrics, fields of Redis.
func namesIn(t *testing.T, path string, text []byte) []string {
	t.Helper()
	names := map[string]bool{}
	base, _, _ := strings.Cut(filepath.Base(path), ".")
	names[base] = true
	for _, name := range snakeCase.FindAllString(string(text), -1) {
		names[name] = true
	}
	if filepath.Ext(path) == ".go" {
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			for _, name := range declaredBy(node) {
				names[name.Name] = true
			}
			return true
		})
	}
	return slices.Sorted(maps.Keys(names))
}

// declaredBy lists the names that a node declares.
func declaredBy(node ast.Node) (names []*ast.Ident) {
	switch n := node.(type) {
	case *ast.File:
		return []*ast.Ident{n.Name}
	case *ast.FuncDecl:
		return []*ast.Ident{n.Name}
	case *ast.TypeSpec:
		return []*ast.Ident{n.Name}
	case *ast.ValueSpec:
		return n.Names
	case *ast.Field:
		return n.Names
	case *ast.AssignStmt:
		if n.Tok == token.DEFINE {
			return identifiers(n.Lhs...)
		}
	case *ast.RangeStmt:
		if n.Tok == token.DEFINE {
			return identifiers(n.Key, n.Value)
		}
	}
	return nil
}

func identifiers(expressions ...ast.Expr) (names []*ast.Ident) {
	for _, e := range expressions {
		if name, ok := e.(*ast.Ident); ok {
			names = append(names, name)
		}
	}
	return names
}

// wordsOf splits a name in camel case or snake case into lower-case words.
func wordsOf(name string) (words []string) {
	start := 0
	runes := []rune(name)
	add := func(end int) {
		if start < end {
			words = append(words, strings.ToLower(string(runes[start:end])))
		}
		start = end
	}
	for i, r := range runes {
		switch {
		case r == '_' || unicode.IsDigit(r):
			add(i)
			start = i + 1
		case unicode.IsUpper(r) && (i > 0 && !unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			add(i)
		}
	}
	add(len(runes))
	return words
}

// TestRetiredWords: names, comments, documents, SQL and GraphQL use the standard
// terms.
func TestRetiredWords(t *testing.T) {
	t.Parallel()
	files, err := readFiles(wordFiles...)
	require.NoError(t, err)
	assert.Greater(t, len(files), 100)
	for path, text := range files {
		if path != "words_test.go" && path != "rules_test.go" && !generated(path) {
			report(t, "words", retiredIn(t, path, text))
		}
	}
}
