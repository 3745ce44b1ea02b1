package recipe

import (
	"path/filepath"
	"testing"
)

// TestConditionOnPresence: of a file it is known that it gives a value, though not
// which, so a condition may ask whether there is none.
func TestConditionOnPresence(t *testing.T) {
	const recipe = `
recipe: x
params: {secret: {secret: true}}
tokens: {access: {static: x}}
inject:
  - {header: X-Public, value: a, when: {secret: null}}
`
	path := filepath.Join(t.TempDir(), "secret")
	writeFile(t, path, "s")
	for with, want := range map[string]int{"": 1, "secret: s": 0, "secret: {file: " + path + "}": 0} {
		p := loadConfig(t, recipe, "credentials: {c: {with: {"+with+"}}}\nroute: {use: [c]}").plan
		fields, err := p.AppendFields(nil, nil, nil)
		if err != nil || len(fields) != want {
			t.Errorf("with %s: %v %v, want %d fields", with, fields, err, want)
		}
	}
}
