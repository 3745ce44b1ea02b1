package interop

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
)

// h2specCase is one test of h2spec.
type h2specCase struct {
	ID      string // section and number: http2/6.9.1/2
	About   string
	Failed  bool
	Skipped bool
	Error   string
}

// TestH2spec runs every test of h2spec, the strict ones too, against a listener of
// attache and against a server of Go's net/http with the handler that is attache's
// upstream. attache's HTTP/2 is net/http's; what h2spec finds in the one may not
// be more than it finds in the other.
func TestH2spec(t *testing.T) {
	cert, key := certificate(t)
	for _, variant := range []struct {
		name   string
		listen string
		tls    bool
	}{
		{"cleartext with prior knowledge", "127.0.0.1:0", false},
		{"TLS", fmt.Sprintf("{address: '127.0.0.1:0', tls: {cert: %q, key: %q}}", cert, key), true},
	} {
		t.Run(variant.name, func(t *testing.T) {
			upstream := httptest.NewServer(http.HandlerFunc(h2specUpstream))
			defer upstream.Close()
			configuration := fmt.Sprintf(`
listen: %s
credentials:
  c: {recipe: %q}
routes:
  - {path: /, upstream: %q, use: [c]}
`, variant.listen, newTokenServer(t).recipe(t, "inject: [{header: Authorization, value: \"Bearer ${access}\"}]\n"), upstream.URL)
			found := runH2specs(t, variant.tls, map[lane]string{
				express: express.start(t, configuration).address, standard: standard.start(t, configuration).address,
				"": bareServer(t, variant.tls),
			})
			for _, l := range []lane{express, standard} {
				measured(t, l.figure("h2spec, "+variant.name+", tests that fail"),
					fmt.Sprintf("%d on attache, %d on a bare net/http server", failed(found[l]), failed(found[""])))
				compareH2spec(t, variant.name, l, found[l], found[""])
			}
		})
	}
}

// h2specUpstream has a body, because several tests of h2spec want DATA frames. It
// reads the request first, or its answer could overtake what is wrong with that.
func h2specUpstream(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintln(w, "This answer is long enough to be cut into small frames.")
}

// bareServer starts a server of net/http that speaks HTTP/2. It returns its address.
func bareServer(t *testing.T, secure bool) string {
	server := httptest.NewUnstartedServer(http.HandlerFunc(h2specUpstream))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // h2spec provokes a line with every test
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	if secure {
		protocols.SetHTTP2(true)
		server.EnableHTTP2 = true
		server.Config.Protocols = protocols
		server.StartTLS()
	} else {
		protocols.SetUnencryptedHTTP2(true)
		server.Config.Protocols = protocols
		server.Start()
	}
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func failed(cases []h2specCase) int {
	n := 0
	for _, c := range cases {
		if c.Failed {
			n++
		}
	}
	return n
}

func compareH2spec(t *testing.T, variant string, l lane, ours, theirs []h2specCase) {
	if len(ours) != len(theirs) || len(ours) < 100 {
		t.Fatalf("h2spec ran %d tests on attache and %d on net/http", len(ours), len(theirs))
	}
	line := suite{name: "h2spec, " + variant, version: moduleVersion(t, "github.com/summerwind/h2spec"), lane: l, tests: len(ours)}
	goFails := map[string]bool{}
	for _, c := range theirs {
		goFails[c.ID] = c.Failed
		if c.Failed {
			t.Logf("net/http: %s %s: %s", c.ID, c.About, c.Error)
		}
	}
	for _, c := range ours {
		switch {
		case c.Failed && !goFails[c.ID]:
			t.Errorf("attache's %s lane fails where net/http passes: %s %s\n%s", l, c.ID, c.About, c.Error)
		case c.Failed:
			reason := h2specKnown()[c.ID]
			if reason == "" {
				t.Errorf("net/http fails too, but nothing says why that may be: %s %s\n%s", c.ID, c.About, c.Error)
			}
			line.exceptions = append(line.exceptions, exception{c.ID + " " + c.About, reason})
		case c.Skipped:
			t.Errorf("h2spec skipped %s %s", c.ID, c.About)
		default:
			line.passed++
		}
	}
	if !t.Failed() {
		record(t, line)
	}
}

// h2specKnown lists the tests that a bare server of net/http fails too, with what
// it does instead.
func h2specKnown() map[string]string {
	return map[string]string{
		"http2/3.5/2":     "Go's net/http fails it too: it says 400 in HTTP/1.1 before it closes, as to a client that speaks no HTTP/2",
		"http2/4.2/3":     "Go's net/http fails it too: h2spec takes for granted that frames end at 16 KiB, while net/http announces 1 MiB",
		"http2/6.5.3/1":   "Go's net/http fails it too: it ends connections whose SETTINGS name a parameter twice, which no client needs",
		"http2/8.1.2.2/1": "Go's net/http fails it too: it answers 400, which RFC 9113 section 8.1.1 permits, where h2spec wants a stream error",
		"http2/8.1.2.2/2": "Go's net/http fails it too: it answers 400, which RFC 9113 section 8.1.1 permits, where h2spec wants a stream error",
	}
}

// runH2specs runs h2spec against several servers at a time, as most of it is waiting.
func runH2specs(t *testing.T, secure bool, servers map[lane]string) map[lane][]h2specCase {
	var mu sync.Mutex
	found := map[lane][]h2specCase{}
	t.Run("run", func(t *testing.T) {
		for l, address := range servers {
			t.Run(cmp.Or(string(l), "bare"), func(t *testing.T) {
				t.Parallel()
				cases := runH2spec(t, address, secure)
				mu.Lock()
				defer mu.Unlock()
				found[l] = cases
			})
		}
	})
	return found
}

// runH2spec runs h2spec in a child and returns its results.
func runH2spec(t *testing.T, address string, secure bool) []h2specCase {
	t.Helper()
	file := filepath.Join(t.TempDir(), "h2spec.json")
	out, err := child(t, "h2spec", "ADDRESS="+address, "TLS="+strconv.FormatBool(secure), "RESULT="+file)
	if err != nil {
		t.Fatalf("h2spec against %s: %v\n%s", address, err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []h2specCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// h2specChild runs h2spec against address and writes the results to a file.
func h2specChild(address string, secure bool, file string) error {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return err
	}
	c := &config.Config{
		Host: host, Port: port, Path: "/",
		// Tests that expect nothing more to come wait as long as this.
		Timeout:      2 * time.Second,
		MaxHeaderLen: 4000,
		Strict:       true,
		TLS:          secure,
		Insecure:     true, // the certificates of tests
	}
	var cases []h2specCase
	for _, group := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		group.Test(c)
		cases = appendH2spec(cases, group)
	}
	text, err := json.Marshal(cases)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// appendH2spec appends the results of a group and of those in it.
func appendH2spec(cases []h2specCase, group *spec.TestGroup) []h2specCase {
	for _, test := range append(group.Tests, group.StrictTests...) {
		r := test.Result
		if r == nil {
			continue
		}
		c := h2specCase{ID: fmt.Sprintf("%s/%d", group.ID(), r.Sequence), About: test.Desc, Failed: r.Failed, Skipped: r.Skipped}
		if r.Error != nil {
			c.Error = r.Error.Error()
		}
		cases = append(cases, c)
	}
	for _, inner := range group.Groups {
		cases = appendH2spec(cases, inner)
	}
	return cases
}
