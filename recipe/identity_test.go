package recipe

import (
	"fmt"
	"strings"
	"testing"
)

// keyText shows an identity in one line, without the part of the recipe's
// source, which is a hash.
func keyText(p *TokenProgram) string {
	var words []string
	for _, part := range p.Key {
		if strings.HasSuffix(part.Name, "source") {
			continue
		}
		value := part.Value.Reveal()
		if part.FromRequest {
			value = fmt.Sprintf("<%s>", p.Params[part.Param].Name)
		}
		if part.File != nil {
			value = part.File.String()
		}
		words = append(words, part.Name+"="+value)
	}
	return strings.Join(words, " ")
}

func TestIdentity(t *testing.T) {
	const recipe = `
recipe: x
params:
  endpoint: {default: "https://h", type: url}
  user: {required: true}
  name: {default: "${user}", key: false}
  alias: {default: "@${user}"}
  n: {type: int}
  pass: {secret: true}
  unused: {}
tokens:
  app:
    request: {url: "${endpoint}/a", json: {n: "${n}"}}
    value: {json: t}
    lifetime: 1h
  session:
    let: {sign: {md5: "${pass}"}}
    request: {url: "${endpoint}/s", json: {u: "${user}", name: "${name}", sign: "${sign}"}, headers: {A: "${app}"}}
    value: {json: t}
    lifetime: 1h
  aliased:
    request: {url: "${endpoint}/l", json: {a: "${alias}"}}
    value: {json: t}
    lifetime: 1h
  named:
    request: {url: "${endpoint}/n", json: {a: "${name}"}}
    value: {json: t}
    lifetime: 1h
`
	const config = `
credentials:
  literal: {with: {user: anna, name: Anna, n: "007", pass: p, unused: z}}
  same: {with: {unused: y, pass: {env: IDENTITY_PASS}, n: 7, name: other, user: anna, endpoint: "https://h"}}
  file: {with: {user: anna, pass: {file: FILE}}}
  keyed: {with: {user: {header: X-User}, name: {header: X-Name}, alias: {query: alias}}}
  derived: {with: {user: {header: X-User}}}
  loose: {with: {user: anna, name: {credential: keyed.session}}}
  joined: {with: {user: {credential: keyed.session}, name: {credential: literal.app}}}
`
	t.Setenv("IDENTITY_PASS", "p")
	path := t.TempDir() + "/pass"
	writeFile(t, path, "p")
	c := loadConfig(t, recipe, strings.ReplaceAll(config, "FILE", path))
	for _, tt := range []struct{ cred, token, want, params string }{
		{"literal", "app", "recipe=x token=app with.endpoint=https://h with.n=7", ""},
		{"literal", "session", "recipe=x token=session with.endpoint=https://h with.user=anna with.pass=p needs.app.recipe=x needs.app.token=app needs.app.with.endpoint=https://h needs.app.with.n=7", ""},
		{"literal", "aliased", "recipe=x token=aliased with.endpoint=https://h with.alias=@anna", ""},
		{"file", "session", "recipe=x token=session with.endpoint=https://h with.user=anna with.pass=file:" + path + " needs.app.recipe=x needs.app.token=app needs.app.with.endpoint=https://h", ""},
		{"keyed", "app", "recipe=x token=app with.endpoint=https://h", ""},
		{"keyed", "session", "recipe=x token=session with.endpoint=https://h with.user=<user> needs.app.recipe=x needs.app.token=app needs.app.with.endpoint=https://h", "user name-"},
		{"keyed", "aliased", "recipe=x token=aliased with.endpoint=https://h with.alias=<alias>", "alias"},
		{"keyed", "named", "recipe=x token=named with.endpoint=https://h", "name-"},
		{"derived", "session", "recipe=x token=session with.endpoint=https://h with.user=<user> needs.app.recipe=x needs.app.token=app needs.app.with.endpoint=https://h", "user"},
		{"derived", "aliased", "recipe=x token=aliased with.endpoint=https://h with.alias default=@${user} with.user=<user>", "user"},
		{"derived", "named", "recipe=x token=named with.endpoint=https://h", "user-"},
		{"loose", "named", "recipe=x token=named with.endpoint=https://h", "user- name-"},
		{"joined", "named", "recipe=x token=named with.endpoint=https://h", ""},
		{"joined", "aliased", "recipe=x token=aliased with.endpoint=https://h with.alias default=@${user} with.user.recipe=x with.user.token=session with.user.with.endpoint=https://h with.user.with.user=<user> " +
			"with.user.needs.app.recipe=x with.user.needs.app.token=app with.user.needs.app.with.endpoint=https://h", "user name-"},
	} {
		p := c.creds[tt.cred].program(tt.token)
		if got := keyText(p); got != tt.want {
			t.Errorf("%s.%s:\n got %s\nwant %s", tt.cred, tt.token, got, tt.want)
		}
		var params []string
		for _, param := range p.Params {
			if !param.Identity {
				param.Name += "-"
			}
			params = append(params, param.Name)
		}
		if got := strings.Join(params, " "); got != tt.params {
			t.Errorf("%s.%s: parameters %q, want %q", tt.cred, tt.token, got, tt.params)
		}
	}
	if a, b := keyText(c.creds["literal"].program("session")), keyText(c.creds["same"].program("session")); a != b {
		t.Errorf("the order and the way of giving parameters count:\n%s\n%s", a, b)
	}
}

// TestIdentityOfOwnRecipe: two recipes that call themselves the same are
// different issuers, unless they are the same text.
func TestIdentityOfOwnRecipe(t *testing.T) {
	key := func(url string) string {
		c := loadConfig(t, "recipe: x\ntokens: {t: {request: {url: \""+url+"\"}, value: {json: t}, lifetime: 1h}}\n", "credentials: {c: {with: {}}}")
		return fmt.Sprint(c.creds["c"].program("t").Key)
	}
	one, same, other := key("https://a/"), key("https://a/"), key("https://b/")
	if one != same || one == other {
		t.Error("the recipe's text is no part of the identity")
	}
}

// TestIdentityShowsNoSecret: a login's identity holds secrets, and whoever
// prints it must not print them.
func TestIdentityShowsNoSecret(t *testing.T) {
	const recipe = "recipe: x\nparams: {p: {secret: true}}\n" +
		"tokens: {t: {request: {url: 'https://h/', json: {p: '${p}'}}, value: {json: t}, lifetime: 1h}}\n"
	c := loadConfig(t, recipe, "credentials: {c: {with: {p: secret-canary}}}")
	program := c.creds["c"].program("t")
	if key := keyText(program); !strings.Contains(key, "with.p=secret-canary") {
		t.Fatalf("the secret is no part of the identity: %s", key)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if shown := fmt.Sprintf(verb, program.Key); strings.Contains(shown, "canary") {
			t.Errorf("%s shows %s", verb, shown)
		}
	}
}
