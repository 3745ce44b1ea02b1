package recipe

import (
	"regexp"
	"strings"

	"attache/internal/yamldoc"
)

// glob is a pattern of paths: * stays within a segment, ** crosses them. Every
// answer is compared with some, so the usual ones are decided by their literal
// texts alone.
type glob struct {
	// texts stand between the ** in this order: the first one begins the path,
	// the last one ends it.
	texts []string
	// pattern decides if there is more than that to it; nil: there is not.
	pattern *regexp.Regexp
}

func parseGlobs(v yamldoc.Value) []glob {
	var globs []glob
	for _, item := range v.List(true) {
		text, ok := item.Text()
		if !ok {
			continue
		}
		if !strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "*") {
			item.Errorf("a path starts with / or **")
			continue
		}
		g, err := newGlob(text)
		if err != nil { // far too long, or not UTF-8
			item.Errorf("not usable as a path: %v", err)
			continue
		}
		globs = append(globs, g)
	}
	return globs
}

func newGlob(text string) (glob, error) {
	re, err := regexp.Compile(globPattern(text))
	if err != nil {
		return glob{}, err
	}
	// U+FFFD in an expression stands for any byte that is not UTF-8.
	if texts := strings.Split(text, "**"); !strings.ContainsAny(strings.Join(texts, ""), "*\uFFFD") {
		return glob{texts: texts}, nil
	}
	return glob{pattern: re}, nil
}

// globPattern is the glob as a regular expression, which matches in linear
// time.
func globPattern(glob string) string {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for glob != "" {
		switch {
		case strings.HasPrefix(glob, "**"):
			b.WriteString(`.*`)
			glob = glob[2:]
		case glob[0] == '*':
			b.WriteString(`[^/]*`)
			glob = glob[1:]
		default:
			i := strings.IndexByte(glob, '*')
			if i < 0 {
				i = len(glob)
			}
			b.WriteString(regexp.QuoteMeta(glob[:i]))
			glob = glob[i:]
		}
	}
	b.WriteString(`\z`)
	return b.String()
}

func matchPath(globs []glob, path string) bool {
	for i := range globs {
		if globs[i].match(path) {
			return true
		}
	}
	return false
}

func (g *glob) match(path string) bool {
	if g.pattern != nil {
		return g.pattern.MatchString(path)
	}
	last := len(g.texts) - 1
	if last == 0 {
		return path == g.texts[0]
	}
	path, ok := strings.CutPrefix(path, g.texts[0])
	if !ok {
		return false
	}
	if path, ok = strings.CutSuffix(path, g.texts[last]); !ok {
		return false
	}
	for _, text := range g.texts[1:last] {
		i := strings.Index(path, text)
		if i < 0 {
			return false
		}
		path = path[i+len(text):]
	}
	return true
}
