package recipe

import (
	"net/http"
	"strconv"
	"strings"

	"attache/internal/exchange"
	"attache/internal/yamldoc"
)

// matcher is a set of requirements on an answer; all must hold.
type matcher struct {
	place   string // in the file, for explanations: "refused[0]"
	when    condition
	status  []statusRange
	header  []memberTest // names in canonical form
	json    []memberTest // gjson paths
	text    *test
	grpc    grpcTest
	path    []glob // any of
	notPath []glob // none of
}

type statusRange struct{ from, to int }

type memberTest struct {
	name string
	want test
}

// parseMatcher reads the matcher's keys of o. r is nil where there are no
// parameters.
func parseMatcher(o yamldoc.Object, r *Recipe) *matcher {
	m := &matcher{place: o.Self().Path()}
	if !o.Self().IsMap() {
		return m
	}
	if r != nil && o.Has("when") {
		m.when = parseCondition(o.Get("when"), r)
	}
	for _, v := range o.Get("status").List(true) {
		if s, ok := parseStatus(v); ok {
			m.status = append(m.status, s)
		}
	}
	m.header = parseMembers(o.Get("header"), func(k yamldoc.Value, name string) string {
		if !exchange.IsToken(name) {
			k.Errorf("%q is no header name", name)
		}
		return http.CanonicalHeaderKey(name)
	})
	m.json = parseMembers(o.Get("json"), func(k yamldoc.Value, name string) string {
		if name == "" {
			k.Errorf("the path of the member is empty")
		}
		checkJSONPath(k, name)
		return name
	})
	if v := o.Get("text"); !v.IsZero() {
		t := parseTest(v)
		if t.matchAbsent() {
			v.Errorf("want a text or /regular expression/; a body is never absent")
		}
		m.text = &t
	}
	m.grpc = parseGRPC(o.Get("grpc"))
	checkGRPC(o)
	m.path = parseGlobs(o.Get("path"))
	m.notPath = parseGlobs(o.Get("not_path"))
	if !o.Has("status") && !o.Has("header") && !o.Has("json") && !o.Has("text") && !o.Has("grpc") {
		o.Self().Errorf("matches every answer; say at least one of status, header, json, text")
	}
	return m
}

func parseMembers(v yamldoc.Value, name func(key yamldoc.Value, name string) string) []memberTest {
	if !v.IsZero() && v.IsMap() && len(v.Entries()) == 0 {
		v.Errorf("says nothing: name a member and what it must be")
	}
	var tests []memberTest
	for _, e := range v.Entries() {
		tests = append(tests, memberTest{name: name(e.Key, e.Name), want: parseTest(e.Value)})
	}
	return tests
}

// parseStatus reads a status code, or a class such as 5xx.
func parseStatus(v yamldoc.Value) (statusRange, bool) {
	text, ok := v.Text()
	if !ok {
		return statusRange{}, false
	}
	if len(text) == 3 && strings.EqualFold(text[1:], "xx") && text[0] >= '1' && text[0] <= '5' {
		from := int(text[0]-'0') * 100
		return statusRange{from, from + 99}, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 100 || n > 999 {
		v.Errorf("%q is no status; want a number such as 403, or a class such as 5xx", shorten(text, 20))
		return statusRange{}, false
	}
	return statusRange{n, n}, true
}

// needsBody reports whether the body decides.
func (m *matcher) needsBody() bool { return len(m.json) > 0 || m.text != nil }

func matchStatus(ranges []statusRange, status int) bool {
	for _, r := range ranges {
		if status >= r.from && status <= r.to {
			return true
		}
	}
	return false
}

func matchHeader(t *memberTest, a *answer) bool {
	values := a.header.Values(t.name)
	if len(values) == 0 {
		return t.want.matchAbsent()
	}
	for _, v := range values {
		if t.want.matchText(v) {
			return true
		}
	}
	return false
}

// quoteMember quotes a member of an answer, unless it is called like a secret:
// one that no recipe knows, no scrubbing knows.
func quoteMember(name, text string, quote func(string) string) string {
	if secretName().MatchString(name) {
		return "[masked]"
	}
	return quote(text)
}

// found tells what the members that the matcher looks at hold: "code 4005". It
// is for matchers that match. What it quotes of the answer passes through
// quote.
func (m *matcher) found(a *answer, quote func(string) string) string {
	var words []string
	for i := range m.json {
		member, _ := a.member(m.json[i].name)
		if text, ok := jsonScalar(member); ok {
			words = append(words, m.json[i].name+" "+quoteMember(m.json[i].name, text, quote))
		}
	}
	return strings.Join(words, ", ")
}
