package recipe

import (
	"fmt"

	"attache/internal/yamldoc"
)

// The bounds of a recipe. Nobody who describes an API comes near them; they keep
// a file that doubles something in each of its lines from taking all memory.
const (
	maxParams = 100
	maxTokens = 16
	maxLets   = 100
	// maxNames is how many names one text may mention.
	maxNames = 200
	// maxText is the length in bytes of a default with everything that it
	// mentions, and of a value of let.
	maxText = 64 << 10
)

// tooMany notes a problem when there are more entries than a recipe may have.
func tooMany(v yamldoc.Value, entries []yamldoc.Entry, most int, what string) []yamldoc.Entry {
	if len(entries) <= most {
		return entries
	}
	v.Errorf("has %d %s; a recipe has at most %d", len(entries), what, most)
	return entries[:most]
}

// longDefaults reports defaults that others make longer and longer. Those that
// depend on themselves are gone by now.
func (p *parser) longDefaults() {
	params := p.recipe.Params
	sizes := map[int]int{}
	var size func(i int) int
	size = func(i int) int {
		if n, ok := sizes[i]; ok {
			return n
		}
		n := 1
		for _, part := range params[i].deflt.parts {
			if part.ref == nil {
				n += len(part.text)
			} else {
				n += size(part.ref.param)
			}
		}
		if n > maxText {
			params[i].deflt.at.Errorf("the default has more than %d bytes, with those that it mentions", maxText)
			params[i].deflt, n = template{}, 1
		}
		sizes[i] = n
		return n
	}
	for i := range params {
		size(i)
	}
}

// checkLet says what is wrong with the length of a value of let.
func checkLet(name, text string) error {
	if len(text) > maxText {
		return fmt.Errorf("let %s: the value has more than %d bytes", name, maxText)
	}
	return nil
}
