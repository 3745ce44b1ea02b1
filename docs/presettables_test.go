package docs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// tokens is the table of how tokens are got.
func tokens(presets []*preset) string {
	return gather(presets, func(p *preset, add func(...string)) {
		for _, t := range p.doc.Tokens {
			body := pairsOf(t.value)
			renewal := pairsOf(body.get("renewal"))
			add("`"+t.name+"`", login(body, renewal), answer(pairsOf(body.get("success"))), taken(body), lifetimeOf(body), policy(renewal, body))
		}
	}).table("token", "where it comes from", "good when", "the answer has it as", "lifetime", "besides")
}

// login says where a token comes from.
func login(body, renewal pairs) string {
	switch {
	case body.get("request") != nil:
		return request(pairsOf(body.get("request")))
	case body.get("file") != nil:
		return "the file `" + body.text("file") + "`"
	case body.get("exec") != nil:
		return "a command"
	case body.get("static") != nil:
		return "`" + body.text("static") + "`" + letsOf(body)
	case body.get("mint") != nil:
		return "a JWT that attache signs with " + pairsOf(body.get("mint")).text("alg")
	}
	return request(pairsOf(pairsOf(renewal.get("refresh")).get("request")))
}

// letsOf says what the names of let are in a text that is the token.
func letsOf(body pairs) string {
	var parts []string
	for _, l := range pairsOf(body.get("let")) {
		fn := pairsOf(l.value)
		if len(fn) > 0 && fn[0].value.Kind == yaml.ScalarNode {
			parts = append(parts, fmt.Sprintf("`%s` is `%s` in %s", l.name, fn[0].value.Value, fn[0].name))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ", where " + strings.Join(parts, ", ")
}

// request names a request and what it carries.
func request(r pairs) string {
	method := r.text("method")
	body := ""
	for _, kind := range []string{"json", "form", "text"} {
		if r.get(kind) != nil {
			body = kind
		}
	}
	if method == "" {
		method = map[bool]string{true: "POST", false: "GET"}[body != ""]
	}
	text := "`" + method + " " + r.text("url") + "`"
	var with []string
	for _, part := range []struct{ key, before, after string }{
		{"query", "", " in the query"}, {"form", "", " in a form"}, {"json", "", " in JSON"}, {"headers", "the header ", ""},
	} {
		names := pairsOf(r.get(part.key)).names()
		if len(names) > 1 {
			part.before = strings.Replace(part.before, "header", "headers", 1)
		}
		if len(names) > 0 {
			with = append(with, part.before+codes(names)+part.after)
		}
	}
	if basic := pairsOf(r.get("basic")); len(basic) > 0 {
		with = append(with, "`"+basic.text("user")+"` and `"+basic.text("password")+"` as HTTP Basic")
	}
	if len(with) == 0 {
		return text
	}
	return text + " with " + strings.Join(with, "; ")
}

// taken says where the answer has the token and its outputs.
func taken(body pairs) string {
	text := extractors(body.get("value"))
	for _, output := range pairsOf(body.get("outputs")) {
		if text != "" {
			text += "; "
		}
		text += "output `" + output.name + "`: " + extractors(output.value)
	}
	return text
}

// each returns the items of a list, or the one that stands for it.
func each(n *yaml.Node) []*yaml.Node {
	switch {
	case n == nil:
		return nil
	case n.Kind == yaml.SequenceNode:
		return n.Content
	}
	return []*yaml.Node{n}
}

func extractors(n *yaml.Node) string {
	var words []string
	for _, item := range each(n) {
		e := pairsOf(item)
		switch {
		case e.get("json") != nil:
			words = append(words, "`"+e.text("json")+"`")
		case e.get("header") != nil:
			words = append(words, "header `"+e.text("header")+"`")
		case e.get("cookie") != nil:
			words = append(words, "cookie `"+e.text("cookie")+"`")
		case e.get("text") != nil:
			words = append(words, "the whole body")
		case e.get("regexp") != nil:
			words = append(words, "what matches `"+e.text("regexp")+"`")
		}
	}
	return strings.Join(words, ", else ")
}

// lifetimeOf says how long a token lives; without a word of the recipe it depends
// on where the token comes from.
func lifetimeOf(body pairs) string {
	switch {
	case body.get("lifetime") != nil:
		return lifetime(body.get("lifetime"))
	case body.get("static") != nil:
		return "until it is refused"
	case body.get("file") != nil:
		return "the claim `exp`, else it is read every minute"
	}
	return ""
}

func lifetime(n *yaml.Node) string {
	var words []string
	for _, item := range each(n) {
		l := pairsOf(item)
		as := map[string]string{"epoch": "an instant", "rfc3339": "a time"}[l.text("as")]
		if as == "" {
			as = l.text("as")
		}
		switch {
		case item.Kind == yaml.ScalarNode && item.Value == "until_refused":
			words = append(words, "until it is refused")
		case item.Kind == yaml.ScalarNode:
			words = append(words, item.Value)
		case l.get("jwt") != nil:
			words = append(words, "the claim `exp`")
		case l.get("cookie") != nil:
			words = append(words, "the cookie's")
		case l.get("header") != nil:
			words = append(words, "header `"+l.text("header")+"`, "+as)
		default:
			words = append(words, "`"+l.text("json")+"`, "+as)
		}
	}
	return strings.Join(words, ", else ")
}

// policy says what else a recipe says of a token.
func policy(renewal, body pairs) string {
	var words []string
	for _, m := range renewal {
		switch {
		case m.name == "refresh" && body.get("request") != nil:
			words = append(words, "renewed by "+request(pairsOf(pairsOf(m.value).get("request"))))
		case m.name != "refresh":
			words = append(words, "`"+m.name+": "+m.value.Value+"`")
		}
	}
	if revoke := pairsOf(body.get("revoke")); len(revoke) > 0 {
		words = append(words, "ended by "+request(pairsOf(revoke.get("request"))))
	}
	return strings.Join(words, "; ")
}

// injected is the table of what a route adds and removes.
func injected(presets []*preset) string {
	return gather(presets, func(p *preset, add func(...string)) {
		for i := range p.doc.Inject {
			e := pairsOf(&p.doc.Inject[i])
			note := ""
			if e.text("mode") == "default" {
				note = "unless the client sends one"
			}
			add(place(e), "`"+e.text("value")+"`", when(e), note)
		}
		for i := range p.doc.Strip {
			add(place(pairsOf(&p.doc.Strip[i])), "removed from what the client sends", "", "")
		}
	}).table("where", "what", "when", "")
}

// place names where something stands in a request or an answer.
func place(e pairs) string {
	for _, kind := range []string{"header", "query", "cookie", "json"} {
		if name := e.text(kind); name != "" {
			what := map[string]string{"query": "query parameter", "json": "member"}[kind]
			if what == "" {
				what = kind
			}
			return what + " `" + name + "`"
		}
	}
	return ""
}

func when(e pairs) string { return strings.Join(tests(e.get("when"), ": "), ", ") }

// tests names members and what they must be.
func tests(n *yaml.Node, is string) []string {
	var words []string
	for _, m := range pairsOf(n) {
		var values []string
		for _, v := range each(m.value) {
			if v.Tag == "!!null" {
				values = append(values, "absent")
				continue
			}
			values = append(values, "`"+v.Value+"`")
		}
		verb := is
		if is != ": " && !slices.ContainsFunc(values, func(v string) bool { return !strings.HasPrefix(v, "`/") }) {
			verb = " matches "
		}
		words = append(words, "`"+m.name+"`"+verb+anyOf(values))
	}
	return words
}

// refused is the table of the answers that renew a token, or carry a new one.
func refused(presets []*preset) string {
	return gather(presets, func(p *preset, add func(...string)) {
		for i := range p.doc.Refused {
			e := pairsOf(&p.doc.Refused[i])
			add("`"+e.text("token")+"`", answer(e), when(e), paths(e))
		}
		for i := range p.doc.Renewed {
			e := pairsOf(&p.doc.Renewed[i])
			note := "no refusal: its value is the new token, for " + lifetime(e.get("lifetime"))
			if e.text("hide") == "true" {
				note += "; the client does not see it"
			}
			add("`"+e.text("token")+"`", place(e), "", note)
		}
	}).table("token", "is refused by an answer with", "when", "")
}

// answer says what a matcher wants.
func answer(e pairs) string {
	var words []string
	for _, status := range []string{"status", "grpc"} {
		var values []string
		for _, v := range each(e.get(status)) {
			values = append(values, v.Value)
		}
		if len(values) > 0 {
			words = append(words, map[string]string{"status": "status ", "grpc": "gRPC status "}[status]+anyOf(values))
		}
	}
	words = append(words, tests(e.get("json"), " is ")...)
	for _, h := range tests(e.get("header"), " is ") {
		words = append(words, "header "+h)
	}
	if text := e.text("text"); text != "" {
		words = append(words, "the text `"+text+"`")
	}
	return strings.Join(words, ", and ")
}

// paths says of which requests a rule speaks.
func paths(e pairs) string {
	var words []string
	for _, key := range []string{"path", "not_path"} {
		var values []string
		for _, v := range each(e.get(key)) {
			values = append(values, v.Value)
		}
		if len(values) > 0 {
			words = append(words, map[string]string{"path": "for ", "not_path": "not for "}[key]+codes(values))
		}
	}
	return strings.Join(words, ", ")
}

// anyOf writes "1, 2 or 3", and of more than three numbers in a row "1 to 5".
func anyOf(words []string) string {
	if len(words) > 3 {
		first, last := number(words[0]), number(words[len(words)-1])
		if first > 0 && last-first == len(words)-1 {
			return words[0] + " to " + words[len(words)-1]
		}
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// number is the number that stands between backticks, or 0.
func number(word string) int {
	n, _ := strconv.Atoi(strings.Trim(word, "`"))
	return n
}
