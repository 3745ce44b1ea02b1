package docs

import (
	"crypto/x509"
	"encoding/pem"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// keySections says under which headings of configuration.md the keys stand that
// a function of the parser accepts.
var keySections = map[string][]string{
	"config":       {"## The first level"},
	"listener":     {"### listen"},
	"serverTLS":    {"### TLS on a listener"},
	"acme":         {"### Certificates by ACME"},
	"eab":          {"### Certificates by ACME"},
	"certificates": {"### certificates"},
	"caller":       {"### callers"},
	"bounds":       {"### limits"},
	"handout":      {"### handout"},
	"admin":        {"### admin"},
	"drain":        {"### drain"},
	"log":          {"### log"},
	"credential":   {"## Credentials"},
	"origin":       {"### with"},
	"value":        {"## TLS and corporate proxies"},
	"parseRenewal": {"### refresh"},
	"limits":       {"### instances"},
	"route":        {"## Routes"},
	"allowList":    {"### allow"},
	"waits":        {"### replay", "### timeout"},
	"tls":          {"## TLS and corporate proxies"},
}

// Every key that the parser accepts stands in its section of the reference, and
// no table there has a key that the parser does not accept.
func TestReferenceNamesEveryKey(t *testing.T) {
	page := read(t, "configuration.md")
	accepted := acceptedKeys(t)
	all := map[string]bool{}
	for function, keys := range accepted {
		headings := keySections[function]
		if headings == nil {
			t.Errorf("the parser's function %s accepts keys; say in keySections where configuration.md names them", function)
			continue
		}
		text := ""
		for _, heading := range headings {
			own, _, _ := strings.Cut(section(t, page, heading), "\n### ")
			text += own
		}
		for key := range keys {
			all[key] = true
			if !keyIn(text, key) {
				t.Errorf("configuration.md: the section %q does not name the key %s", headings, key)
			}
		}
	}
	for function := range keySections {
		if len(accepted[function]) == 0 {
			t.Errorf("the parser has no function %s that accepts keys; take it out of keySections", function)
		}
	}
	documented := documentedKeys(page)
	if len(documented) < 40 {
		t.Errorf("found only %d keys in the tables of configuration.md", len(documented))
	}
	for _, key := range documented {
		if !all[key] {
			t.Errorf("configuration.md has the key %s, which the parser does not accept", key)
		}
	}
}

// keyIn reports whether a text names a key: as code of its own, or as the
// member of a map in code.
func keyIn(text, key string) bool {
	return strings.Contains(text, "`"+key+"`") || strings.Contains(text, "{"+key+": ") || strings.Contains(text, "`"+key+": ")
}

// acceptedKeys returns the keys that the functions of the configuration's
// parser pass to Object, by function.
func acceptedKeys(t *testing.T) map[string]map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../internal/config/*.go")
	if err != nil {
		t.Fatal(err)
	}
	accepted := map[string]map[string]bool{}
	for _, file := range append(files, "../recipe/renewal.go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range source.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				for key := range keysOf(t, f) {
					if accepted[f.Name.Name] == nil {
						accepted[f.Name.Name] = map[string]bool{}
					}
					accepted[f.Name.Name][key] = true
				}
			}
		}
	}
	return accepted
}

// keysOf returns the keys that a function passes to Object.
func keysOf(t *testing.T, f *ast.FuncDecl) map[string]bool {
	t.Helper()
	keys := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if method, ok := call.Fun.(*ast.SelectorExpr); ok && method.Sel.Name == "Object" {
			for _, arg := range call.Args {
				collect(t, f, arg, keys)
			}
		}
		return true
	})
	return keys
}

// collect adds the texts of an expression to keys: literals, lists of them,
// append, and variables of the function that hold such a list. Anything else
// ends the test, so that no key gets past it.
func collect(t *testing.T, f *ast.FuncDecl, e ast.Expr, keys map[string]bool) {
	t.Helper()
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		keys[text] = true
		return
	case *ast.CompositeLit:
		for _, element := range e.Elts {
			collect(t, f, element, keys)
		}
		return
	case *ast.CallExpr:
		if name(e.Fun) == "append" {
			for _, arg := range e.Args {
				collect(t, f, arg, keys)
			}
			return
		}
	case *ast.Ident:
		if values := assigned(f, e.Name); len(values) > 0 {
			for _, value := range values {
				collect(t, f, value, keys)
			}
			return
		}
	}
	t.Fatalf("cannot tell which keys the parser's function %s accepts; teach collect", f.Name.Name)
}

// assigned returns what a function assigns to a variable; of keys = append(keys,
// …) what is appended.
func assigned(f *ast.FuncDecl, variable string) []ast.Expr {
	var values []ast.Expr
	ast.Inspect(f, func(n ast.Node) bool {
		set, ok := n.(*ast.AssignStmt)
		if !ok || len(set.Lhs) != 1 || name(set.Lhs[0]) != variable {
			return true
		}
		if call, ok := set.Rhs[0].(*ast.CallExpr); ok && len(call.Args) > 0 && name(call.Args[0]) == variable {
			values = append(values, call.Args[1:]...)
			return true
		}
		values = append(values, set.Rhs[0])
		return true
	})
	return values
}

// name returns the name that an expression is; "" if it is none.
func name(e ast.Expr) string {
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

var code = regexp.MustCompile("`([^`]+)`")

// documentedKeys returns what stands as code in the first column of the page's
// tables of keys.
func documentedKeys(page string) []string {
	var keys []string
	inTable := false
	for line := range strings.Lines(page) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		switch {
		case !strings.HasPrefix(line, "|"):
			inTable = false
		case strings.HasPrefix(strings.TrimSpace(first), "key"):
			inTable = true
		case inTable:
			for _, m := range code.FindAllStringSubmatch(first, -1) {
				keys = append(keys, m[1])
			}
		}
	}
	return keys
}

// Every example of the reference is a configuration, so that
// TestConfigurationsAreAccepted reads it.
func TestReferenceShowsWholeConfigurations(t *testing.T) {
	for _, block := range yamlBlocks(read(t, "configuration.md")) {
		key, _, _ := strings.Cut(block, ":")
		if !slices.Contains([]string{"listen", "handout", "certificates", "credentials", "routes"}, key) {
			t.Errorf("the example begins with %s, so nobody tries whether it is right:\n%s", key, block)
		}
	}
}

// writeKeys writes the PEM files that examples name.
func writeKeys(t *testing.T, dir string) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	for name, block := range map[string]*pem.Block{
		"corp-ca.pem": certificate, "client.pem": certificate, "client-key.pem": {Type: "PRIVATE KEY", Bytes: key},
		"server.pem": certificate, "server-key.pem": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
