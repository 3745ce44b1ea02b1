package proxy

import (
	"net/url"
	"strings"

	"attache/internal/exchange"
)

// tokenLeast is the length from which an injected query value is looked for in
// answers; shorter ones are no tokens, and would be found everywhere.
const tokenLeast = 8

// withoutTokens leaves out what repeats an injected query value: upstreams
// mention the address that they were asked for in Location, Link, Refresh and
// others, also inside the query of a login page's address. A Location is kept
// without its query and fragment if that helps.
func withoutTokens(key string, values []string, injected []exchange.Field) []string {
	for i := range injected {
		f := &injected[i]
		if f.In != exchange.Query || len(f.Value) < tokenLeast {
			continue
		}
		for _, token := range spellings(f.Value) {
			values = without(key, values, token)
		}
	}
	return values
}

// spellings returns a query value, which is percent-encoded, in the spellings in
// which an address may repeat it, in lower case.
func spellings(value string) []string {
	raw, err := url.QueryUnescape(value)
	if err != nil {
		raw = value
	}
	once, path := url.QueryEscape(raw), url.PathEscape(raw)
	all := []string{raw, value, once, path, url.QueryEscape(value), url.QueryEscape(once), url.QueryEscape(path)}
	for i := range all {
		all[i] = strings.ToLower(all[i]) // %2F and %2f are the same
	}
	return all
}

func without(key string, values []string, token string) []string {
	clean := true
	for _, v := range values {
		clean = clean && !strings.Contains(strings.ToLower(v), token)
	}
	if clean {
		return values
	}
	var kept []string
	for _, v := range values {
		if key == "Location" || key == "Content-Location" {
			if strings.Contains(strings.ToLower(v), token) {
				ref := cutReference(v)
				ref.query, ref.fragment = "", ""
				v = ref.String()
			}
		}
		if !strings.Contains(strings.ToLower(v), token) {
			kept = append(kept, v)
		}
	}
	return kept
}

// foreignStatus leaves out what an upstream says in attache's name, so that an
// application can tell attache's own answers by their Proxy-Status (RFC 9209).
func foreignStatus(values []string) []string {
	var kept []string
	for _, v := range values {
		own := false
		for member := range strings.SplitSeq(v, ",") {
			name, _, _ := strings.Cut(member, ";")
			own = own || strings.EqualFold(strings.Trim(strings.TrimSpace(name), `"`), "attache")
		}
		if !own {
			kept = append(kept, v)
		}
	}
	return kept
}
