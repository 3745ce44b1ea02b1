package top

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestReadsWhatAttacheWrites: every member that is shown is one that the admin
// listener writes, where it is looked for. Its own test pins what it writes.
func TestReadsWhatAttacheWrites(t *testing.T) {
	data, err := os.ReadFile("../admin/testdata/status.golden")
	if err != nil {
		t.Fatal(err)
	}
	var written any
	if err := json.Unmarshal(data, &written); err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{}
	members(reflect.TypeFor[status](), "", read)
	there := map[string]bool{}
	paths(written, "", there)
	for path := range read {
		if !there[path] {
			t.Errorf("%s is read, and nobody writes it", path)
		}
	}
	if len(read) < 40 {
		t.Errorf("only %d members are read: the walk looks in the wrong place", len(read))
	}
	var s status
	if err := json.Unmarshal(data, &s); err != nil || len(s.Tokens) == 0 || len(s.Routes) == 0 {
		t.Errorf("%d tokens, %d routes: %v", len(s.Tokens), len(s.Routes), err)
	}
}

// members collects the JSON members that a type reads.
func members(typ reflect.Type, path string, into map[string]bool) {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice:
		members(typ.Elem(), path, into)
	case reflect.Struct:
		if typ == reflect.TypeFor[time.Time]() {
			return
		}
		for f := range typ.Fields() {
			at := path + "." + f.Tag.Get("json")
			into[at] = true
			members(f.Type, at, into)
		}
	}
}

// paths collects the members that a document has.
func paths(doc any, path string, into map[string]bool) {
	switch doc := doc.(type) {
	case []any:
		for _, v := range doc {
			paths(v, path, into)
		}
	case map[string]any:
		for name, v := range doc {
			into[path+"."+name] = true
			paths(v, path+"."+name, into)
		}
	}
}

func TestEventsInARowAreOne(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	tokens := []token{
		{Credential: "a", Token: "t", Marks: []mark{{at(1), "logged_in", ""}, {at(5), "refused", "stale"}, {at(5), "refused", "renewed"}, {at(6), "login_failed", ""}, {at(7), "login_failed", ""}}},
		{Credential: "b", Token: "t", Marks: []mark{{at(2), "login_failed", ""}, {at(8), "login_failed", ""}, {at(9), "later_kind", ""}}},
	}
	var got []string
	for _, e := range eventsOf(tokens, 6) {
		_, what := e.describe()
		got = append(got, e.name+" "+what+strings.Repeat("!", e.times-1))
	}
	want := "b.t later kind, b.t a login failed, a.t a login failed!, a.t the token was refused, a.t an old token was refused, b.t a login failed"
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
}

// A token is in trouble here exactly if it is on the status page, where
// TestTroubleIsThatOfTop has the same cases.
func TestTroubleOfTokens(t *testing.T) {
	for _, tt := range []struct {
		token token
		want  int
	}{
		{token{Phase: "fresh", Required: true, Waiters: 3}, 0},
		{token{Phase: "due"}, 0},
		{token{Phase: "due", Failures: 1}, 1},
		{token{Phase: "empty"}, 0},
		{token{Phase: "empty", Required: true}, 2},
		{token{Phase: "empty", Waiters: 1}, 2},
		{token{Phase: "empty", Failures: 1}, 2},
		{token{Phase: "expired"}, 2},
		{token{Phase: "blocked"}, 2},
		{token{Keyed: true, Phases: map[string]int{"expired": 2, "empty": 1}, Waiters: 1}, 0},
		{token{Keyed: true, Phases: map[string]int{"fresh": 1}, Failures: 1}, 1},
		{token{Keyed: true, Phases: map[string]int{"fresh": 8, "expired": 1}, Failures: 1}, 2},
		{token{Keyed: true, Phases: map[string]int{"fresh": 8, "blocked": 1}}, 2},
	} {
		if got := tt.token.trouble(); got != tt.want {
			t.Errorf("%+v: %d, want %d", tt.token, got, tt.want)
		}
	}
}
