package recipe

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// The requirements of a matcher are numbered, in the order in which they are
// checked: those on the head first, then those on the body. What decides
// whether an answer matches and what explains why it does not are therefore one
// and the same: [matcher.holds].
const (
	needStatus = iota
	needGRPC
	needPath
	needOtherPath
	needHeaders // the first of header; those of json follow, then text
)

// heads returns how many requirements look at the head alone.
func (m *matcher) heads() int { return needHeaders + len(m.header) }

// requirements returns how many there are.
func (m *matcher) requirements() int { return m.heads() + len(m.json) + 1 }

// holds decides the requirement of that number; one that the matcher does not
// make holds.
func (m *matcher) holds(number int, a *answer) bool {
	switch number {
	case needStatus:
		return len(m.status) == 0 || matchStatus(m.status, a.status)
	case needGRPC:
		return m.grpc == 0 || m.grpc.match(a)
	case needPath:
		return len(m.path) == 0 || matchPath(m.path, a.path)
	case needOtherPath:
		return !matchPath(m.notPath, a.path)
	}
	if number < m.heads() {
		return matchHeader(&m.header[number-needHeaders], a)
	}
	if i := number - m.heads(); i < len(m.json) {
		return m.json[i].holds(a)
	}
	return m.text == nil || m.text.matchContent(string(a.body))
}

// matchHead checks everything but the body.
func (m *matcher) matchHead(a *answer) bool { return m.hold(0, m.heads(), a) }

func (m *matcher) match(a *answer) bool { return m.hold(0, m.requirements(), a) }

func (m *matcher) hold(from, to int, a *answer) bool {
	for i := from; i < to; i++ {
		if !m.holds(i, a) {
			return false
		}
	}
	return true
}

// misses says of each requirement that does not hold, why: `status is 200, want
// 403`, `json resultCode is "1", want "0"`. There are none exactly if the
// matcher matches. What is quoted of the answer passes through quote.
func (m *matcher) misses(a *answer, quote func(string) string) []string {
	return m.missesOf(0, m.requirements(), a, quote)
}

func (m *matcher) missesOf(from, to int, a *answer, quote func(string) string) []string {
	var list []string
	for i := from; i < to; i++ {
		if !m.holds(i, a) {
			list = append(list, m.miss(i, a, quote))
		}
	}
	return list
}

// miss says why the requirement of that number does not hold.
func (m *matcher) miss(number int, a *answer, quote func(string) string) string {
	switch number {
	case needStatus:
		return fmt.Sprintf("status is %d, want %s", a.status, statusText(m.status))
	case needGRPC:
		if text := grpcText(a); text != "" {
			return fmt.Sprintf("grpc is %s, want %s", quote(text), m.grpc)
		}
		return fmt.Sprintf("grpc has no status, want %s", m.grpc)
	case needPath:
		return fmt.Sprintf("path is %s, which no pattern matches", quote(a.path))
	case needOtherPath:
		return fmt.Sprintf("path is %s, which not_path matches", quote(a.path))
	}
	if number < m.heads() {
		return missHeader(&m.header[number-needHeaders], a)
	}
	if i := number - m.heads(); i < len(m.json) {
		return missJSON(&m.json[i], a, quote)
	}
	return "text does not match " + m.text.String()
}

// missHeader does not quote the header: a value that no recipe knows may be a
// secret that no scrubbing knows.
func missHeader(t *memberTest, a *answer) string {
	if len(a.header.Values(t.name)) == 0 {
		return fmt.Sprintf("header %s is missing, want %s", t.name, t.want)
	}
	return fmt.Sprintf("header %s is not %s", t.name, t.want)
}

func missJSON(t *memberTest, a *answer, quote func(string) string) string {
	member, ok := a.member(t.name)
	if !ok {
		return fmt.Sprintf("the body is no JSON, want json %s %s", t.name, t.want)
	}
	if text, ok := jsonScalar(member); ok {
		return fmt.Sprintf("json %s is %q, want %s", t.name, quoteMember(t.name, text, quote), t.want)
	}
	if !member.Exists() || member.Type == gjson.Null {
		return fmt.Sprintf("json %s is missing, want %s", t.name, t.want)
	}
	return fmt.Sprintf("json %s is not %s", t.name, t.want)
}

// explain is the first of misses as error texts have it, without the status,
// and "" when the body is no JSON: they name both on their own.
func (m *matcher) explain(a *answer, quote func(string) string) string {
	for i := needStatus + 1; i < m.requirements(); i++ {
		if m.holds(i, a) {
			continue
		}
		if _, ok := a.document(); !ok && i >= m.heads() && i < m.heads()+len(m.json) {
			return ""
		}
		return strings.TrimPrefix(m.miss(i, a, quote), "json ")
	}
	return ""
}

// statusText shows statuses as recipes have them: "403", "one of 401, 5xx".
func statusText(ranges []statusRange) string {
	words := make([]string, len(ranges))
	for i, r := range ranges {
		words[i] = fmt.Sprint(r.from)
		if r.from != r.to {
			words[i] = fmt.Sprintf("%dxx", r.from/100)
		}
	}
	if len(words) == 1 {
		return words[0]
	}
	return "one of " + strings.Join(words, ", ")
}
