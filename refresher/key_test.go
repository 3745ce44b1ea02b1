package refresher_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

type equalKeysTest struct {
	name          string
	first, second refresher.Definition
	params        [2]refresher.Params
	same          bool
}

func equalKeysTests() []equalKeysTest {
	key := func(user refresher.KeyPart) []refresher.KeyPart {
		return []refresher.KeyPart{{Name: "recipe", Value: secret.New("aicc")}, {Name: "secret", Value: secret.New("s")}, user}
	}
	fromRequest := refresher.KeyPart{Name: "user_id", FromRequest: true, Param: 1}
	static := refresher.KeyPart{Name: "user_id", Value: secret.New("ann")}
	shape := []refresher.Param{userName, userID}
	other := []refresher.Param{userID, userName}

	return []equalKeysTest{
		{"static twice", refresher.Definition{Key: key(static)}, refresher.Definition{Key: key(static)}, [2]refresher.Params{}, true},
		{"request, then static", refresher.Definition{Key: key(fromRequest), Params: shape}, refresher.Definition{Key: key(static)},
			[2]refresher.Params{{"Ann", "ann"}, nil}, true},
		{"static, then request", refresher.Definition{Key: key(static)}, refresher.Definition{Key: key(fromRequest), Params: shape},
			[2]refresher.Params{nil, {"Ann", "ann"}}, true},
		{"another order of parameters", refresher.Definition{Key: key(fromRequest), Params: shape},
			refresher.Definition{Key: key(refresher.KeyPart{Name: "user_id", FromRequest: true, Param: 0}), Params: other},
			[2]refresher.Params{{"Ann", "ann"}, {"ann", "Annie"}}, true},
		{"another user", refresher.Definition{Key: key(fromRequest), Params: shape}, refresher.Definition{Key: key(static)},
			[2]refresher.Params{{"Bob", "bob"}, nil}, false},
		{"a length as part of a name", refresher.Definition{Key: []refresher.KeyPart{{Name: "a", Value: secret.New("b\x01c")}}},
			refresher.Definition{Key: []refresher.KeyPart{{Name: "a\x03b", Value: secret.New("c")}}}, [2]refresher.Params{}, false},
		{"parts run together", refresher.Definition{Key: []refresher.KeyPart{{Name: "a", Value: secret.New("bc")}}},
			refresher.Definition{Key: []refresher.KeyPart{{Name: "ab", Value: secret.New("c")}}}, [2]refresher.Params{}, false},
	}
}

// Equal keys are one instance, whatever credential names them and wherever
// their parts come from.
func TestEqualKeys(t *testing.T) {
	for _, test := range equalKeysTests() {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var logins atomic.Int32
				answer := func(_ int, in refresher.Input) rt.Answer {
					// Each login sees the parameters of the credential that made
					// the instance, in its order.
					if len(in.Params) == 2 && in.Params[1] != "ann" && in.Params[1] != "bob" {
						t.Errorf("a login sees the parameters %q", in.Params)
					}
					return rt.OK(fmt.Sprint("v", logins.Add(1)), time.Hour)
				}
				e := rt.Start(t, refresher.Config{})
				test.first.Source, test.second.Source = rt.Func(t, answer), rt.Func(t, answer)
				test.first.Credential, test.second.Credential = "one", "two"
				first := rt.Instance(t, rt.Define(t, e, test.first), test.params[0]...)
				second := rt.Instance(t, rt.Define(t, e, test.second), test.params[1]...)
				if (first == second) != test.same {
					t.Errorf("one instance: %v, want %v", first == second, test.same)
				}
				rt.Token(t, first)
				rt.Token(t, second)
				if n, want := logins.Load(), map[bool]int32{true: 1, false: 2}[test.same]; n != want {
					t.Errorf("%d logins, want %d", n, want)
				}
				if test.same {
					wantRejection(t, first, rt.WantToken(t, first, "v1"), "r", refresher.Renewing)
					rt.WantToken(t, second, "v2")
				}
			})
		})
	}
}
