// Package examples tries every example as its README says: the emulator, the
// proxy with the example's file, and the two requests with curl.
package examples

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"attache/internal/app"
	"attache/internal/config"
	"attache/internal/emulator"
)

// Where the examples' emulators and proxies listen.
const (
	emulatorAddress = "127.0.0.1:8600"
	proxyPort       = ":8484"
)

var (
	setting = regexp.MustCompile(`(?m)^export (.*)$`)
	emulate = regexp.MustCompile(`(?m)^attache emulate (\S+) --listen (\S+)$`)
	curls   = regexp.MustCompile(`(?m)^curl (.*)$`)
	digits  = regexp.MustCompile(`[0-9]+`)
)

func TestExamples(t *testing.T) {
	readmes, _ := filepath.Glob("*/README.md")
	tried := 0
	for _, path := range readmes {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if vendor := emulate.FindStringSubmatch(string(data)); vendor != nil {
			tried++
			t.Run(filepath.Dir(path), func(t *testing.T) {
				if vendor[2] != emulatorAddress {
					t.Errorf("the emulator listens on %s, want %s", vendor[2], emulatorAddress)
				}
				try(t, filepath.Dir(path), vendor[1], string(data))
			})
		}
	}
	if tried < 4 {
		t.Errorf("only %d of the folders %v were tried", tried, readmes)
	}
}

// try does what the README in dir says, with other ports.
func try(t *testing.T, dir, vendor, readme string) {
	export(t, readme)
	emu, err := emulator.New(vendor, emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(emu)
	t.Cleanup(server.Close)
	emulated := server.Listener.Addr().String()
	client := clientOf(emulated, run(t, dir, emulated))

	commands := curls.FindAllStringSubmatch(readme, -1)
	if len(commands) != 2 {
		t.Fatalf("the README has %d curl commands, want one request and one fault", len(commands))
	}
	before := send(t, client, commands[0][1])
	send(t, client, commands[1][1])
	after := send(t, client, commands[0][1])
	if digits.ReplaceAllString(before, "0") != digits.ReplaceAllString(after, "0") {
		t.Errorf("before the fault the answer was %s, after it %s", before, after)
	}
	var refused uint64
	for _, n := range emu.Stats().Refused {
		refused += n
	}
	if refused == 0 {
		t.Error("the fault refused no request, so it shows nothing")
	}
}

// export sets the variables that the README says.
func export(t *testing.T, readme string) {
	for _, line := range setting.FindAllStringSubmatch(readme, -1) {
		for assignment := range strings.FieldsSeq(line[1]) {
			name, value, _ := strings.Cut(assignment, "=")
			t.Setenv(name, value)
		}
	}
}

// run runs attache with the example's file and returns its address.
func run(t *testing.T, dir, emulated string) string {
	path := filepath.Join(dir, "attache.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(data), emulatorAddress, emulated)
	for _, address := range []string{"listen: 127.0.0.1:8484", "admin: 127.0.0.1:8485"} {
		key, _, _ := strings.Cut(address, ":")
		if text = strings.Replace(text, "\n"+address, "\n"+key+": 127.0.0.1:0", 1); strings.Contains(text, address) {
			t.Fatalf("%s does not say %s", path, address)
		}
	}
	address, _ := start(t, path, dir, text)
	return address
}

// start runs attache with a configuration and returns its address.
func start(t *testing.T, path, dir, text string) (string, *config.Config) {
	t.Helper()
	cfg, err := config.Parse(path, []byte(text), dir)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(app.Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return a.Addr(), cfg
}

// clientOf returns a client that finds the example's addresses where they are
// in this test, whatever the host name.
func clientOf(emulated, proxied string) *http.Client {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		switch {
		case address == emulatorAddress:
			address = emulated
		case strings.HasSuffix(address, proxyPort):
			address = proxied
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

// send does what a curl command says and returns the body of the answer, which
// must be a good one.
func send(t *testing.T, client *http.Client, command string) string {
	t.Helper()
	method, body, header := http.MethodGet, "", http.Header{}
	var target *url.URL
	words := split(command)
	for i := 0; i < len(words); i++ {
		switch word := words[i]; {
		case word == "-i":
		case word == "-d" && i+1 < len(words):
			i++
			method, body = http.MethodPost, words[i]
		case word == "-H" && i+1 < len(words):
			i++
			name, value, _ := strings.Cut(words[i], ":")
			header.Set(name, strings.TrimSpace(value))
		default:
			u, err := url.Parse(word)
			if err != nil || u.Host == "" || target != nil {
				t.Fatalf("curl %s: what is %q?", command, word)
			}
			target = u
		}
	}
	if target == nil {
		t.Fatalf("curl %s: there is no address", command)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, target.String(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("curl %s: %s %s %v", command, answer.Status, data, err)
	}
	return string(data)
}

// split splits a command at spaces, save in single quotes.
func split(command string) []string {
	var words []string
	for i, part := range strings.Split(command, "'") {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	return words
}
