package recipe

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"attache/internal/yamldoc"
)

// test is what a scalar is compared with: any of the alternatives may hold.
type test struct{ any []alternative }

// alternative is a canonical scalar, a regular expression or absence.
type alternative struct {
	text   string
	re     *regexp.Regexp
	absent bool
}

// parseTest reads a scalar, null (absent), /RE2/, or a list of those.
func parseTest(v yamldoc.Value) test {
	var t test
	items := []yamldoc.Value{v}
	if v.IsList() {
		items = v.List(false)
		if len(items) == 0 {
			v.Errorf("the list is empty, so nothing could match")
		}
	}
	for _, item := range items {
		if item.IsNull() {
			t.any = append(t.any, alternative{absent: true})
			continue
		}
		text, ok := item.Text()
		if !ok {
			continue
		}
		if pattern, isRegexp := slashed(text); isRegexp {
			re, err := regexp.Compile(pattern)
			if err != nil {
				item.Errorf("not a regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
				continue
			}
			t.any = append(t.any, alternative{text: text, re: re})
			continue
		}
		t.any = append(t.any, alternative{text: canonicalScalar(text, item.IsNumber())})
	}
	return t
}

// slashed returns what stands between the slashes of /…/.
func slashed(text string) (pattern string, ok bool) {
	if len(text) > 2 && text[0] == '/' && text[len(text)-1] == '/' {
		return text[1 : len(text)-1], true
	}
	return "", false
}

// canonicalScalar gives numbers one spelling, so that 200, 200.0 and 2e2 are
// the same; integers keep every digit. Texts stay as they are.
func canonicalScalar(text string, number bool) string {
	if !number {
		return text
	}
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return strconv.FormatInt(n, 10)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// matchText compares a text that is there.
func (t test) matchText(text string) bool {
	for _, a := range t.any {
		if a.re != nil {
			if a.re.MatchString(text) {
				return true
			}
		} else if !a.absent && a.text == text {
			return true
		}
	}
	return false
}

// matchAbsent reports whether absence is what is wanted.
func (t test) matchAbsent() bool {
	for _, a := range t.any {
		if a.absent {
			return true
		}
	}
	return false
}

// onlyAbsent reports whether nothing but absence is wanted.
func (t test) onlyAbsent() bool {
	for _, a := range t.any {
		if !a.absent {
			return false
		}
	}
	return len(t.any) > 0
}

// matchContent is matchText for a whole body, where a text need only occur.
func (t test) matchContent(body string) bool {
	for _, a := range t.any {
		if a.re != nil {
			if a.re.MatchString(body) {
				return true
			}
		} else if !a.absent && strings.Contains(body, a.text) {
			return true
		}
	}
	return false
}

// matchJSON compares a member of a JSON document. Null counts as absent; of an
// array any element may match; an object never does.
func (t test) matchJSON(r gjson.Result) bool {
	if !r.Exists() || r.Type == gjson.Null {
		return t.matchAbsent()
	}
	if r.IsArray() {
		found := false
		r.ForEach(func(_, item gjson.Result) bool {
			found = !item.IsArray() && t.matchJSON(item)
			return !found
		})
		return found
	}
	text, ok := jsonScalar(r)
	return ok && t.matchText(text)
}

// jsonScalar returns the canonical text of a scalar.
func jsonScalar(r gjson.Result) (string, bool) {
	switch r.Type {
	case gjson.String:
		return r.Str, true
	case gjson.Number:
		return canonicalScalar(r.Raw, true), true
	case gjson.True:
		return "true", true
	case gjson.False:
		return "false", true
	}
	return "", false
}

// String shows the test in messages: `"0"`, `one of "0", "1"`, `absent`.
func (t test) String() string {
	words := make([]string, len(t.any))
	for i, a := range t.any {
		switch {
		case a.absent:
			words[i] = "absent"
		case a.re != nil:
			words[i] = a.text
		default:
			words[i] = strconv.Quote(a.text)
		}
	}
	if len(words) == 1 {
		return words[0]
	}
	return "one of " + strings.Join(words, ", ")
}
