package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"attache/internal/shape"
)

// A file that writes out every default of the shapes means what one without them
// means: so the reference and editors tell the truth about them.
func TestDefaultsAreThoseOfTheShapes(t *testing.T) {
	const route = "routes: [{upstream: 'https://api.example.com'%s}]\n"
	plain, err := Parse("f", fmt.Appendf(nil, "listen: {address: '127.0.0.1:8484'}\n"+route, ""), ".")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	write := func(o shape.Object, but ...string) string {
		var members []string
		for _, k := range o.Keys {
			if k.Default != "" && !strings.Contains(" "+strings.Join(but, " ")+" ", " "+k.Name+" ") {
				n++
				members = append(members, fmt.Sprintf("%s: %q", k.Name, k.Default))
				if k.Type.Kind == shape.KindBool {
					members[len(members)-1] = k.Name + ": " + k.Default
				}
			}
		}
		return strings.Join(members, ", ")
	}
	text := fmt.Sprintf("%s\nlisten: {address: '127.0.0.1:8484', %s, limits: {%s}}\nadmin: {%s}\ndrain: {%s}\nlog: {%s}\n",
		strings.ReplaceAll(write(Shape(), "listen", "admin"), ", ", "\n"), write(listenerShape(), "mode"), write(limitsShape()), write(adminShape()),
		write(drainShape()), write(logShape()))
	text += fmt.Sprintf(route, ", "+write(routeShape())+", replay: {"+write(replayShape())+"}, timeout: {"+write(timeoutShape())+"}")
	written, err := Parse("f", []byte(text), ".")
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	ignored := cmpopts.IgnoreFields(Route{}, "Plan")
	if d := cmp.Diff(plain, written, ignored, cmp.Comparer(TLS.equal), cmp.Comparer(Proxy.equal)); d != "" {
		t.Errorf("a default is another than the shapes say (-without +with):\n%s\n%s", d, text)
	}
	if n < 18 {
		t.Errorf("only %d defaults were written", n)
	}
}

// The same for a credential, whose defaults the engine has.
func TestDefaultsOfInstances(t *testing.T) {
	for _, k := range instancesShape().Keys {
		want := map[string]string{"max": fmt.Sprint(defaultMaxInstances), "idle": shape.DurationText(defaultIdle), "logins_per_minute": fmt.Sprint(defaultLoginRate)}[k.Name]
		if k.Default != want {
			t.Errorf("the shape says that %s is %s by default, and it is %s", k.Name, k.Default, want)
		}
	}
	if k, _ := listenerShape().Key("mode"); k.Default != fmt.Sprintf("%04o", defaultMode) {
		t.Errorf("the shape says that mode is %s by default", k.Default)
	}
}
