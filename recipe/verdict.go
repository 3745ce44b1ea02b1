package recipe

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"attache/internal/secret"
	"attache/refresher"
)

// The longest texts that are shown, in bytes.
const (
	maxMessage  = 200
	maxQuote    = 60
	maxScrubbed = 32 << 10 // what is scrubbed at all; the rest is never shown
)

// judge decides what the answer to a login means: refused parents first, then
// `errors`, `success` and `value`.
func (a *attempt) judge(ans *answer, now time.Time) (refresher.Token, error) {
	value, from, outputs := a.taken(ans)
	a.trace.answer(a, ans)

	what := fmt.Sprintf("%s answered %d", a.host, ans.status)
	if i, ok := a.refusedParent(ans); ok {
		parent := a.t.parents[i]
		err := a.failAnswer(ans, refresher.Transient, what+" and refused the token "+parent.Name, nil)
		err.Refused = []int{i}
		return refresher.Token{}, err
	}
	for i := range a.t.errors {
		if rule := &a.t.errors[i]; a.matches(a.place(rule.matcher), rule.matcher, ans) {
			if found := rule.matcher.found(ans, a.quote); found != "" {
				what += " with " + found
			}
			return refresher.Token{}, a.failAnswer(ans, rule.class, what+a.message(ans, rule.message), nil)
		}
	}
	if why, failed := a.unsuccessful(ans); failed {
		return refresher.Token{}, a.failAnswer(ans, classOf(ans), what+why+a.message(ans, nil), nil)
	}
	if from == nil {
		a.trace.find(Finding{Rule: "value", Why: missing(a.t.decl.value, ans)})
		return refresher.Token{}, a.failAnswer(ans, classOf(ans), what+a.withoutToken(ans), nil)
	}
	a.trace.find(Finding{Rule: "value", Holds: true, Why: from.String()})
	if why := checkToken(value); why != "" {
		return refresher.Token{}, a.failAnswer(ans, refresher.Transient, what+" with a token that "+why, nil)
	}
	return a.accept(ans, value, from, outputs, now), nil
}

// taken takes value and outputs from an answer. Whatever looks like the token
// must not be shown, least of all when the login failed in another respect.
func (a *attempt) taken(ans *answer) (value string, from *extractor, outputs map[string]secret.String) {
	value, from = extractFirst(a.t.decl.value, ans)
	a.hide(secret.New(value))
	for i, word := range strings.Fields(value[:min(len(value), maxValue)]) {
		if i < 8 {
			a.hide(secret.New(word)) // a token with a line break may stand elsewhere without it
		}
	}
	return value, from, a.outputs(ans)
}

// accept makes the token.
func (a *attempt) accept(ans *answer, value string, from *extractor, outputs map[string]secret.String, now time.Time) refresher.Token {
	life := chooseLifetime(a.t.decl.lifetime, ans, value, from.cookie, now)
	t := refresher.Token{Value: secret.New(strings.Clone(value)), Outputs: outputs, IssuedAt: now}
	if life.d > 0 {
		t.ExpiresAt = now.Add(life.d)
	}
	if text := life.warning(); text != "" {
		a.warnings = append(a.warnings, a.scrub(text, maxMessage))
	}
	a.trace.accepted(from, t, life)
	return t
}

// outputs takes the further values; those that are not there are left out.
func (a *attempt) outputs(ans *answer) map[string]secret.String {
	var found map[string]secret.String
	for _, o := range a.t.decl.outputs {
		text, from := extractFirst(o.from, ans)
		if from == nil {
			continue
		}
		if len(text) > maxValue {
			a.warnings = append(a.warnings, fmt.Sprintf("the output %s is longer than %d bytes and was left out", o.name, maxValue))
			continue
		}
		if found == nil {
			found = map[string]secret.String{}
		}
		found[o.name] = secret.New(strings.Clone(text)) // not to keep the whole body in memory
		a.hide(found[o.name])
	}
	return found
}

func (a *attempt) refusedParent(ans *answer) (int, bool) {
	for _, rule := range a.t.refused {
		if a.refuses(rule, ans) {
			return rule.parent, true
		}
	}
	return 0, false
}

// unsuccessful reports whether the answer is no success, and why when neither
// its status nor the kind of its body says it. A `success` that names no
// status wants a 2xx as well.
func (a *attempt) unsuccessful(ans *answer) (why string, failed bool) {
	wanted := []statusRange{{200, 299}}
	m := a.t.success
	if m != nil && len(m.status) > 0 {
		wanted = m.status
	}
	if !matchStatus(wanted, ans.status) {
		a.trace.find(Finding{Rule: "success", Why: fmt.Sprintf("status is %d, want %s", ans.status, statusText(wanted))})
		if ans.status >= 300 && ans.status <= 399 {
			why = " (a redirect, which no login follows)"
		}
		return why, true
	}
	if m == nil {
		a.trace.find(Finding{Rule: "success", Holds: true})
		return "", false
	}
	if a.matches("success", m, ans) {
		return "", false
	}
	if why = m.explain(ans, a.quote); why != "" {
		why = ", but " + why
	}
	return why, true
}

// withoutToken says that, and why, a successful answer holds no token.
func (a *attempt) withoutToken(ans *answer) string {
	if body := describeBody(ans); body != "" {
		return body + ", without a token"
	}
	return " without a token: " + missing(a.t.decl.value, ans) + a.message(ans, nil)
}

// failAnswer makes the error of an answer.
func (a *attempt) failAnswer(ans *answer, class refresher.Class, text string, cause error) *refresher.FetchError {
	err := a.fail(class, text, cause)
	err.RetryAfter, _ = retryAfter(ans, a.s.now())
	return err
}

// classOf is what a failed login means when no rule says so.
func classOf(ans *answer) refresher.Class {
	if ans.header.Get("Retry-After") != "" {
		return refresher.Throttled
	}
	return defaultClass(ans.status)
}

func defaultClass(status int) refresher.Class {
	switch {
	case status == http.StatusTooManyRequests:
		return refresher.Throttled
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout:
		return refresher.Permanent
	}
	return refresher.Transient
}

// retryAfter reads the header of that name (RFC 9110 section 10.2.3): seconds
// or a date. The engine decides how much of it to honour.
func retryAfter(ans *answer, now time.Time) (time.Duration, bool) {
	text := ans.header.Get("Retry-After")
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second, true
	}
	t, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return max(0, t.Sub(now)).Round(time.Second), true
}

// message returns what the vendor says, as ": text", or what its body is when
// it says nothing.
func (a *attempt) message(ans *answer, from []extractor) string {
	if from == nil {
		from = a.t.decl.message
	}
	if from == nil {
		from = usualMessages()
	}
	text, _ := extractFirst(from, ans)
	if text = a.scrub(text, maxMessage); text != "" {
		return ": " + text
	}
	return describeBody(ans)
}

// usualMessages is where vendors put what they have to say, for recipes that
// do not tell.
func usualMessages() []extractor {
	var list []extractor
	for _, path := range []string{"error_description", "message", "msg", "errmsg", "errMsg", "exceptionInfo", "detail", "title", "error.message", "error"} {
		list = append(list, extractor{json: path})
	}
	return list
}

// jwtText finds what looks like a JWT: vendors echo tokens that are not ours,
// or cut ones that scrubbing cannot recognise.
var jwtText = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}[A-Za-z0-9_.-]*`)
})

// scrub makes a text that may be shown of one that came from anywhere: no
// secret of this login, one line, at most limit bytes, and nothing that a terminal
// would obey or that turns the direction of text. A secret that is cut in two at the
// end is still recognised, see [secret.Scrub].
func (a *attempt) scrub(text string, limit int) string {
	text = a.scrubLines(text)
	text = strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return ' '
	}, text)
	return secret.Scrub(strings.TrimSpace(text), limit) // cuts
}

// scrubLines is scrub for a text of many lines.
func (a *attempt) scrubLines(text string) string {
	if a.tooShort(text) {
		return text
	}
	text = secret.Scrub(text[:min(len(text), maxScrubbed)], 0, a.secrets...)
	return strings.ToValidUTF8(jwtText().ReplaceAllString(text, "[redacted]"), "?")
}

// tooShort reports whether a text, such as a vendor's code, is too short to
// hold a secret; scrubbing is dear.
func (a *attempt) tooShort(text string) bool {
	for _, s := range a.secrets {
		if len(s.Reveal()) <= len(text) {
			return false
		}
	}
	return len(text) < 5 && utf8.ValidString(text)
}

// quote is scrub for a text that is quoted within another.
func (a *attempt) quote(text string) string { return a.scrub(text, maxQuote) }
