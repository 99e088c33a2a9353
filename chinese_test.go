package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestChineseReadme: README.zh-CN.md has the commands, answers, links, settings, figures and
// tests of README.md, in the same order.
func TestChineseReadme(t *testing.T) {
	t.Parallel()
	english, chinese := document(t, "README.md"), document(t, "README.zh-CN.md")
	assert.Equal(t, fencesOf(t, "README.md"), fencesOf(t, "README.zh-CN.md"))
	assert.Equal(t, strings.Count(english, "\n#"), strings.Count(chinese, "\n#"), "headings")
	assert.Equal(t, strings.Count(english, "\n|"), strings.Count(chinese, "\n|"), "rows of tables")
	for what, pattern := range map[string]string{
		"links":   `\]\(([^)]+)\)`,
		"names":   "`[^`\n]+`",
		"figures": `\d[\d,.]*`,
	} {
		of := func(text string) []string {
			text = regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(text, "")
			found := slices.DeleteFunc(regexp.MustCompile(pattern).FindAllString(text, -1), func(s string) bool { return strings.Contains(s, "README") })
			slices.Sort(found)
			return slices.Compact(found)
		}
		assert.Equal(t, of(english), of(chinese), what)
	}
}
