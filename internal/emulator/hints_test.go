package emulator

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// shellWords splits a line of plain words and words in single quotes.
func shellWords(line string) []string {
	var words []string
	for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		words = append(words, m[1]+m[2])
	}
	return words
}

// curl does what a curl line says.
func (b *bench) curl(line string) answer {
	b.t.Helper()
	var method, target string
	var data, headers []string
	words := shellWords(line)
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "-H":
			i++
			headers = append(headers, words[i])
		case "-d":
			i++
			data, method = append(data, words[i]), "POST"
		case "-X":
			i++
			method = words[i]
		case "-u":
			i++
			user, password, _ := strings.Cut(words[i], ":")
			headers = append(headers, basic(user, password))
		default:
			target = words[i]
		}
	}
	if method == "" {
		method = "GET"
	}
	if typed := func(h string) bool { return strings.HasPrefix(h, "Content-Type:") }; len(data) > 0 && !slices.ContainsFunc(headers, typed) {
		headers = append(headers, oauth2FormType)
	}
	return b.ask(method+" "+target, strings.Join(data, "&"), headers...)
}

// TestHints runs every curl line, with the tokens of the lines before put in.
func TestHints(t *testing.T) {
	for _, tc := range []struct {
		vendor  string
		version OpenIMVersion
		recipe  string
	}{
		{UMS, OpenIM37, "jiguang-ums"}, {QiniuIM, OpenIM37, "qiniu-im"}, {HuaweiAICC, OpenIM37, "huawei-aicc"},
		{OpenIM, OpenIM23, ""}, {OpenIM, OpenIM37, "openim"}, {OpenIM, OpenIMMain, "openim/user"},
		{OAuth2, OpenIM37, "oauth2/client-credentials"},
	} {
		b := start(t, tc.vendor, Options{}).version(tc.version)
		h := b.Hints("http://127.0.0.1:8600/")
		if h.Recipe != tc.recipe {
			t.Errorf("%s %s: recipe %q, want %q", tc.vendor, tc.version, h.Recipe, tc.recipe)
		}
		for _, u := range h.Upstreams {
			if !strings.HasPrefix(u.URL, "http://127.0.0.1:8600") || b.Handler(u.Name) == nil {
				t.Errorf("%s: upstream %+v", tc.vendor, u)
			}
		}
		tokens := map[string]string{}
		for _, line := range h.Curl {
			for name, value := range tokens {
				line = strings.ReplaceAll(line, name, value)
			}
			a := b.curl(line)
			for name, paths := range map[string][]string{"ACCESS": {"AccessToken"}, "TOKEN": {"token", "data.token", "access_token"}} {
				for _, path := range paths {
					if v := a.get(path); v != "" {
						tokens[name] = v
					}
				}
			}
			if tokens["ADMIN"] == "" {
				if v := a.get("data.token"); v != "" {
					tokens["ADMIN"] = v
				}
			}
			for _, path := range []string{"code", "errcode", "errCode", "resultCode", "error"} {
				if v := a.get(path); a.status != 200 || v != "" && v != "0" && v != "200" {
					t.Errorf("%s: %s\n\t%d %s", tc.vendor, line, a.status, a.body)
				}
			}
		}
		if len(tokens) == 0 {
			t.Errorf("%s: no line gave a token", tc.vendor)
		}
		for _, p := range h.Params {
			if !strings.Contains(h.String(), "  "+p.Name+": "+p.Value+"\n") {
				t.Errorf("%s: %s is missing in %s", tc.vendor, p.Name, h)
			}
		}
	}
}
