package recipe

import (
	"strings"
	"testing"
)

func TestTranscriptText(t *testing.T) {
	p := program(t, "n: 5, user: anna, parent: {credential: other.first}")
	answer := "HTTP/1.1 200 OK\nContent-Type: application/json\nSet-Cookie: sid=abcdefghijkl; Path=/\n\n" +
		`{"token":"tok-1234567","ttl":0,"id":"identity-1","refresh_token":"short","x":"AAAABBBBCCCCDDDDEEEEFFFFGGGG","note":"in plain words"}` + "\n\x1b[2J"
	tr, _, err := fixedSource(p, &canned{answer: []byte(answer)}).trace(t.Context(), input(p))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := tr.Write(&b, nil); err != nil {
		t.Fatal(err)
	}
	const want = `Sent
    POST https://api.example.com/base/users/anna/login?v=1&u=anna&q=a%20b%26anna&list=x&list=anna
    Accept-Encoding: gzip
    Accept: application/json, */*;q=0.5
    Authorization: Basic redacted
    Content-Type: application/json
    User-Agent: attache/test
    X-First: redacted
    X-Id: 00000000-0000-4000-8000-000000000000
    X-Parent: redacted
    
    {"user":"anna","n":5,"text":"n=5","sign":"redacted","list":[1,2.50,true,null],"big":9007199254740993}
Received
    200 OK
    Content-Type: application/json
    Set-Cookie: sid=[masked]
    
    {"token":"[masked]","ttl":0,"id":"[redacted]","refresh_token":"[masked]","x":"[28 characters]","note":"in plain words"}
    [2J
Judged
    refused[0] (first) does not match: status is 200, want 403; json code is missing, want "1"
    refused[1] (first) does not match: status is 200, want 403
    errors[0] does not match: json code is missing, want "7"
    errors[1] does not match: status is 200, want 503
    success matches
    value found: json token
Taken
    value: FINGERPRINT, 11 bytes, from json token
    output id: FINGERPRINT
    not usable as lifetime: json ttl as seconds is zero
    not usable as lifetime: jwt exp is missing
    lifetime: 1m0s, from fallback
Warning: no usable lifetime (json ttl as seconds is zero, jwt exp is missing); assuming 1m0s
`
	got := fingerprint.ReplaceAllString(b.String(), "FINGERPRINT")
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestTranscriptOfFailure(t *testing.T) {
	p := program(t, "n: 5")
	tr, _, err := fixedSource(p, &canned{answer: []byte("HTTP/1.1 401 U\nContent-Encoding: br\n\nxx")}).trace(t.Context(), input(p))
	var b strings.Builder
	tr.Write(&b, nil)
	_, got, _ := strings.Cut(b.String(), "Received\n")
	const want = `    401 Unauthorized
    Content-Encoding: br
    
    (the answer is compressed as "br", which was not asked for)
Failed
    class: permanent
    text: api.example.com answered 401, but the answer is compressed as "br", which was not asked for
`
	if err == nil || got != want {
		t.Errorf("%v, got:\n%s\nwant:\n%s", err, got, want)
	}
}

// TestTracedLinesAreText: no control character of either kind, in UTF-8 or as a
// byte, and nothing that turns text around is left of what a vendor sends.
func TestTracedLinesAreText(t *testing.T) {
	got := strings.Join(cutLines("a\tb 应用\u00a0c\r\n\x1b[31m\u009b31m\x9b31m\u202e\u200b\x7f"), "|")
	if want := "a\tb 应用\u00a0c|[31m31m\ufffd31m"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
