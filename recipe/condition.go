package recipe

import (
	"slices"
	"strings"

	"attache/internal/yamldoc"
)

// condition is a `when`: what parameters must be. It is decided when a
// credential is bound, never per request. The empty condition always holds.
type condition struct {
	at    yamldoc.Value
	tests []paramTest
}

type paramTest struct {
	param int
	name  string
	want  test
}

// parseCondition reads a map from parameters to a scalar, null (without a
// value) or a list of those.
func parseCondition(v yamldoc.Value, r *Recipe) condition {
	c := condition{at: v}
	for _, e := range v.Entries() {
		i, ok := r.index[e.Name]
		if !ok {
			e.Key.Errorf("%s is no parameter of this recipe%s", e.Name, yamldoc.DidYouMean(e.Name, r.paramNames()))
			continue
		}
		t := parseTest(e.Value)
		checkEnum(e.Value, r.Params[i].Enum)
		c.tests = append(c.tests, paramTest{param: i, name: e.Name, want: t})
	}
	if v.IsMap() && len(v.Entries()) == 0 {
		v.Errorf("says nothing: name a parameter and its value")
	}
	return c
}

// checkEnum reports values that the parameter can never have.
func checkEnum(v yamldoc.Value, enum []string) {
	if len(enum) == 0 {
		return
	}
	for _, item := range v.List(true) {
		if !item.IsScalar() {
			continue
		}
		text, _ := item.Text()
		if _, isRegexp := slashed(text); !isRegexp && !slices.Contains(enum, text) {
			item.Errorf("%q is not one of %s%s", text, strings.Join(enum, ", "), yamldoc.DidYouMean(text, enum))
		}
	}
}

func (c condition) isEmpty() bool { return len(c.tests) == 0 }

// String shows the condition as in the file: "login: id".
func (c condition) String() string {
	words := make([]string, len(c.tests))
	for i, t := range c.tests {
		values := make([]string, len(t.want.any))
		for k, a := range t.want.any {
			values[k] = a.text
			if a.absent {
				values[k] = "null"
			}
		}
		words[i] = t.name + ": " + strings.Join(values, " or ")
	}
	return strings.Join(words, ", ")
}
