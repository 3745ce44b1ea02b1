package config

import (
	"testing"

	"attache/internal/secret"
	"attache/internal/yamldoc"
	"attache/recipe"
)

// A store that outlives the process may hold what rotates; what does not rotate
// goes anywhere.
func TestForgotten(t *testing.T) {
	data, err := readFile("testdata/bad/recipes/rotates.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rep := &yamldoc.Report{}
	r, _ := recipe.Parse(rep, "rotates.yaml", data)
	for _, tt := range []struct {
		store StoreKind
		kind  string
		want  bool
	}{
		{StoreMemory, "strict", true},
		{StoreMemory, "lax", false},
		{StoreFile, "strict", false},
		{StoreRedis, "strict", false},
		{StoreFile, "lax", false},
	} {
		c, ok := recipe.Bind(rep, r, recipe.BindConfig{Name: "c", With: map[string]recipe.Origin{
			"token_url": {Ref: secret.Literal("https://h")}, "refresh_token": {Ref: secret.Literal("r")}, "kind": {Ref: secret.Literal(tt.kind)},
		}})
		if !ok {
			t.Fatal(rep.Err())
		}
		if got := forgotten(tt.store, c.Tokens()[0]); (got != "") != tt.want {
			t.Errorf("%s, %s: %q, want a mistake: %v", tt.store, tt.kind, got, tt.want)
		}
	}
}
