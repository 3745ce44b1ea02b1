package app_test

import (
	"io"
	"os"
	"strings"
	"testing"

	"attache/internal/app"
	"attache/internal/config"
	"attache/internal/secret"
	"attache/internal/yamldoc"
	"attache/recipe"
)

// Showing a login must not use up a refresh token that is good for one use.
func TestTraceUsesUpNoRefreshToken(t *testing.T) {
	data, err := os.ReadFile("../config/testdata/bad/recipes/rotates.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rep yamldoc.Report
	r, _ := recipe.Parse(&rep, "rotates.yaml", data)
	c, ok := recipe.Bind(&rep, r, recipe.BindConfig{Name: "corp", With: map[string]recipe.Origin{
		"token_url": {Ref: secret.Literal("http://127.0.0.1:1")}, "refresh_token": {Ref: secret.Literal("r")},
	}})
	if !ok {
		t.Fatal(rep.Err())
	}
	err = app.Trace(t.Context(), io.Discard, app.TraceConfig{
		Config: &config.Config{Credentials: []config.Credential{{Name: "corp", Program: c}}}, Credential: "corp",
	})
	if err == nil || !strings.Contains(err.Error(), "good for one use") {
		t.Errorf("%v", err)
	}
}
