// Package examples tries the examples of vendors that have no emulator: the proxy
// with the example's file, a stand-in for every host, and the requests of the
// README. Those that have one are followed word for word by cmd/attache.
package examples

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"attache/internal/app"
	"attache/internal/config"
	"attache/internal/lanetest"
)

// proxyPort is where the examples' proxies listen.
const proxyPort = ":8484"

var (
	setting = regexp.MustCompile(`(?m)^export (.*)$`)
	emulate = regexp.MustCompile(`(?m)^attache emulate `)
	curls   = regexp.MustCompile(`(?m)^curl (.*)$`)
)

// export sets the variables that the README says.
func export(t *testing.T, readme string) {
	for _, line := range setting.FindAllStringSubmatch(readme, -1) {
		for assignment := range strings.FieldsSeq(line[1]) {
			name, value, _ := strings.Cut(assignment, "=")
			t.Setenv(name, value)
		}
	}
}

// start runs attache with a configuration and returns its address.
func start(t *testing.T, path, dir, text string) (string, *config.Config) {
	t.Helper()
	cfg, err := config.Parse(path, []byte(lanetest.Configuration(text)), dir)
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

// clientOf returns a client that finds the example's proxy where it is in this
// test, whatever the host name.
func clientOf(proxied string) *http.Client {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasSuffix(address, proxyPort) {
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
		case word == "-X" && i+1 < len(words):
			i++
			method = words[i]
		case word == "--data-urlencode" && i+1 < len(words):
			i++
			name, value, _ := strings.Cut(words[i], "=")
			method, body = http.MethodPost, name+"="+url.QueryEscape(value)
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
