package recipe

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/tidwall/gjson"

	"attache/internal/exchange"
	"attache/internal/yamldoc"
)

// maxValue bounds a token and every other value that is taken from an answer.
// Tokens of several KB are real; what is larger no server takes in a header.
const maxValue = 16 << 10

// extractor takes a text from an answer.
type extractor struct {
	json   string // gjson path
	header string // canonical name
	name   string // of the header as written, for messages
	cookie string
	text   bool // the whole body, less white space around it
	re     *regexp.Regexp
	trim   string // characters that are cut from both ends
}

// parseExtractors reads one extractor or a list, of which the first that is
// there counts.
func parseExtractors(v yamldoc.Value) []extractor {
	var list []extractor
	for _, item := range v.List(true) {
		if item.IsScalar() {
			item.Errorf("want a place, such as {json: data.token} or {header: X-Token}")
			continue
		}
		o := item.Object(extractorShape())
		if !item.IsMap() {
			continue
		}
		e := parseExtractor(o, extractorKinds()...)
		e.trim, _ = o.Get("trim").Text()
		list = append(list, e)
	}
	if v.IsList() && len(list) == 0 {
		v.Errorf("the list is empty")
	}
	return list
}

// parseExtractor reads the extractor's keys of o, exactly one of kinds.
func parseExtractor(o yamldoc.Object, kinds ...string) extractor {
	var e extractor
	first := ""
	for _, kind := range kinds {
		v := o.Get(kind)
		if v.IsZero() {
			continue
		}
		if first != "" {
			o.Self().Errorf("says both %s and %s; for alternatives give a list", first, kind)
			continue
		}
		first = kind
		e.parseKind(kind, v)
	}
	if first == "" && o.Self().IsMap() {
		o.Self().Errorf("want one of %s", strings.Join(kinds, ", "))
	}
	return e
}

func (e *extractor) parseKind(kind string, v yamldoc.Value) {
	if kind == "text" {
		if whole, ok := v.Bool(); ok && !whole {
			v.Errorf("want true: the whole body is the value")
		}
		e.text = true
		return
	}
	if kind == "regexp" {
		if e.re = parseRegexp(v); e.re != nil && e.re.NumSubexp() > 1 {
			v.Errorf("has several groups; mark the value with one (…) and use (?:…) for the others")
		}
		return
	}
	text, ok := v.Text()
	if !ok {
		return
	}
	if text == "" {
		v.Errorf("must not be empty")
	}
	switch kind {
	case "json":
		checkJSONPath(v, text)
		e.json = text
	case "header":
		if text != "" && !exchange.IsToken(text) {
			v.Errorf("%q is no header name", text)
		}
		e.header, e.name = http.CanonicalHeaderKey(text), text
	case "cookie":
		if text != "" && !exchange.IsToken(text) {
			v.Errorf("%q is no cookie name", text)
		}
		e.cookie = text
	}
}

// checkJSONPath reports a path of the JSONPath kind: these are gjson's, where $
// is a letter like others.
func checkJSONPath(v yamldoc.Value, path string) {
	if rest, ok := strings.CutPrefix(path, "$."); ok {
		v.Errorf("a path begins with the name of a member, not with $: write %s", shorten(rest, 60))
	} else if path == "$" || strings.HasPrefix(path, "$[") {
		v.Errorf("a path begins with the name of a member, or with the number of an item, not with $: 0.token")
	}
}

// String names the place in messages.
func (e *extractor) String() string {
	switch {
	case e.json != "":
		return "json " + e.json
	case e.header != "":
		return "header " + e.name
	case e.cookie != "":
		return "cookie " + e.cookie
	case e.text:
		return "text"
	}
	return "regexp"
}

// extract takes the text. found is false, and why says more, when it is not
// there, null, empty after trimming, or no scalar. Numbers keep their digits.
func (e *extractor) extract(a *answer) (text string, found bool, why string) {
	switch {
	case e.json != "":
		r, ok := a.member(e.json)
		switch {
		case !ok:
			return "", false, "the body is no JSON"
		case !r.Exists(), r.Type == gjson.Null:
			return "", false, "it is missing"
		case r.Type == gjson.JSON:
			return "", false, "it is no text"
		case r.Type == gjson.String:
			text = r.Str
		default:
			text = r.Raw
		}
	case e.header != "":
		text = a.header.Get(e.header)
	case e.cookie != "":
		if c := a.cookie(e.cookie); c != nil {
			text = c.Value
		}
	case e.text:
		text = strings.TrimSpace(string(a.body))
	case e.re != nil:
		m := e.re.FindSubmatch(a.body)
		if m == nil {
			return "", false, "it does not match"
		}
		text = string(m[len(m)-1])
	}
	if text = strings.Trim(text, e.trim); text == "" {
		return "", false, "it is missing"
	}
	return text, true, ""
}

// extractFirst returns the first text that is there.
func extractFirst(list []extractor, a *answer) (text string, from *extractor) {
	for i := range list {
		if text, found, _ := list[i].extract(a); found {
			return text, &list[i]
		}
	}
	return "", nil
}

// missing says for each place why nothing was found there.
func missing(list []extractor, a *answer) string {
	words := make([]string, len(list))
	for i := range list {
		_, _, why := list[i].extract(a)
		words[i] = strings.Replace(why, "it ", list[i].String()+" ", 1)
	}
	return strings.Join(words, ", ")
}

// checkToken says why a text cannot serve as a token, or "". Tokens are never
// decoded or repaired: one that does not fit is refused.
func checkToken(text string) string {
	if len(text) > maxValue {
		return fmt.Sprintf("is longer than %d bytes", maxValue)
	}
	return badInHeader(text)
}
