package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func testUpstream(t *testing.T) (u *upstream, ca string) {
	t.Helper()
	ca = filepath.Join(t.TempDir(), "ca.pem")
	certificate, err := makeCertificate(ca)
	if err != nil {
		t.Fatal(err)
	}
	if u, err = startUpstream(certificate); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.close(); err != nil {
			t.Error(err)
		}
	})
	return u, ca
}

// loadOf is a case's load, straight onto the upstream.
func loadOf(u *upstream, c loadCase) load {
	return load{
		Port: u.Plain, Requests: c.requests("127.0.0.1"), AnswerBytes: c.AnswerBytes, Chunked: c.Chunked, Connections: 4, Rate: c.Rate,
		Warm: time.Millisecond, Measure: 50 * time.Millisecond,
	}
}

func TestEveryCaseIsAnsweredWithoutErrors(t *testing.T) {
	u, _ := testUpstream(t)
	for _, c := range cases() {
		l, marks := loadOf(u, c), 0
		out, err := run(t.Context(), l, func() error { marks++; return nil })
		// A machine that is busy with something else gets more time.
		for out.Latency.total == 0 && err == nil && l.Measure < 10*time.Second {
			l.Measure, marks = 2*l.Measure, 0
			out, err = run(t.Context(), l, func() error { marks++; return nil })
		}
		if err != nil || out.Errors != 0 {
			t.Errorf("%s: %d errors, %v, %v", c.Name, out.Errors, out.FirstErr, err)
		}
		if out.Answers == 0 || out.Latency.total == 0 || out.Latency.quantile(0.5) <= 0 || marks != 2 {
			t.Errorf("%s: %d answers, %d latencies, %d marks", c.Name, out.Answers, out.Latency.total, marks)
		}
		if open := c.Rate > 0; open != (out.Late.total > 0) {
			t.Errorf("%s: %d requests were seen to be late or in time", c.Name, out.Late.total)
		}
	}
}

func TestWrongAnswersAreCountedAndEndTheRun(t *testing.T) {
	u, _ := testUpstream(t)
	for name, change := range map[string]func(*load){
		"status": func(l *load) { l.Requests = [][]byte{[]byte("GET /gone HTTP/1.1\r\n\r\n")}; l.AnswerBytes = 0 },
		"length": func(l *load) { l.AnswerBytes = 201 },
		"close":  func(l *load) { l.Requests = [][]byte{[]byte("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n")} },
	} {
		l := loadOf(u, cases()[0])
		l.Measure = time.Minute
		change(&l)
		out, err := run(t.Context(), l, func() error { return nil })
		if err == nil || out.Errors < maxErrors {
			t.Errorf("%s: %d errors, %v", name, out.Errors, err)
		}
	}
}

func TestMissingAnswersAreErrors(t *testing.T) {
	r := &loader{
		epoch: time.Now().Add(-time.Hour), until: 50 * time.Minute, out: outcome{Latency: new(histogram), Late: new(histogram)},
		clients: []*client{nil, {waiting: true, intended: 40 * time.Minute}, {intended: time.Minute}},
		open:    &schedule{start: 50*time.Minute - 3*time.Second, rate: 1},
	}
	r.countMissing()
	// One on a connection, and three that no connection was free for. The histogram
	// ends at 18 minutes.
	if r.out.Errors != 4 || r.out.Latency.total != 4 || r.out.Latency.quantile(1) < 18*time.Minute {
		t.Errorf("%d errors, %d latencies, the longest %v", r.out.Errors, r.out.Latency.total, r.out.Latency.quantile(1))
	}
}

func TestAnInterruptionEndsTheLoad(t *testing.T) {
	u, _ := testUpstream(t)
	ctx, cancel := context.WithCancel(t.Context())
	l := loadOf(u, cases()[0])
	l.Measure = 20 * time.Second
	if _, err := run(ctx, l, func() error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestUpstreamIssuesTokensAndShowsWhatItSees(t *testing.T) {
	u, _ := testUpstream(t)
	post := func(path, header, body string) []byte {
		c := loadCase{Path: path}
		return append([]byte(strings.Replace(string(c.request("x", header)), "GET", "POST", 1)), body...)
	}
	const asked = `{"user":"user-7"}`
	got, err := ask(u.Plain, post("/login", "Content-Length: 17\r\n", asked))
	if want := `{"token":"` + tokenOf("user-7") + `"}`; err != nil || got != want {
		t.Errorf("login: %q %v, want %q", got, err, want)
	}
	if got, err := ask(u.Plain, post("/login", "Content-Length: 2\r\n", "{}")); err == nil {
		t.Errorf("a login without a user gave %q", got)
	}
	got, err = ask(u.Plain, post("/check", "AUTHORIZATION: second\r\n", ""))
	if want := " Bearer " + clientToken + "\n second\n"; err != nil || got != want {
		t.Errorf("check: %q %v, want %q", got, err, want)
	}
}

// TLS runs in the same loop as everything else, also if a request comes in
// pieces.
func TestUpstreamSpeaksTLS(t *testing.T) {
	u, ca := testUpstream(t)
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	fd, err := dial(u.TLS)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	conn := tls.Client(&rawConn{fd: fd, blocks: true}, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	request := cases()[0].request("localhost", "")
	for _, cut := range []int{len(request), 1, 30} {
		for _, piece := range [][]byte{request[:cut], request[cut:]} {
			if _, err := conn.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
		buf := make([]byte, 1<<10)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if end, length, err := message(buf[:n]); end != n || length != 200 || err != nil {
			t.Errorf("answer of %d bytes, %v", length, err)
		}
	}
	// A long answer is one record, as it is with other servers.
	large := loadCase{Path: "/large"}
	if _, err := conn.Write(large.request("localhost", "")); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 16<<10)); err != nil || n < 10_000 {
		t.Errorf("the first record of a long answer has %d bytes, %v", n, err)
	}
	if conn.ConnectionState().Version != tls.VersionTLS13 {
		t.Error("not TLS 1.3")
	}
}

func TestARequestWithoutAnswerMakesARunWrong(t *testing.T) {
	// Connections are taken by the kernel, and nobody reads from them.
	fd, port, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	out, err := run(t.Context(), load{
		Port: port, Requests: [][]byte{[]byte("GET / HTTP/1.1\r\n\r\n")}, Connections: 3, Measure: answerWithin + 10*time.Millisecond,
	}, func() error { return nil })
	if err != nil || out.Errors != 3 || out.Answers != 0 {
		t.Errorf("%d answers, %d errors, %v, %v", out.Answers, out.Errors, out.FirstErr, err)
	}
}

// A program that is started and stopped leaves nothing behind, is on its core,
// and its CPU time is seen.
func TestProcessesAreMeasuredAndEnded(t *testing.T) {
	runtime.LockOSThread() // and never unlocked: this thread's affinity changes
	cores, err := allowedCores()
	if err != nil {
		t.Fatal(err)
	}
	core := cores[len(cores)-1]
	p, err := start(core, cores[0], t.TempDir(), filepath.Join(t.TempDir(), "output"),
		[]string{"/bin/sh", "-c", "sleep 1000 & echo ready; while :; do :; done"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for len(pids) != 2 || p.lastWords() != "ready" {
		select {
		case <-p.ended:
			t.Fatal("it ended:", p.lastWords())
		default:
		}
		if pids, err = processTree(p.cmd.Process.Pid); err != nil {
			t.Fatal(err)
		}
	}
	before, err := read(pids, cores[0], core)
	if err != nil {
		t.Fatal(err)
	}
	for after := before; after.total-before.total < 10*time.Millisecond; {
		if after, err = read(pids, cores[0], core); err != nil {
			t.Fatal(err)
		}
	}
	status, err := os.ReadFile(procPath(pids[1]) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(status), "Cpus_allowed_list:")
	if got, err := parseCores(strings.Fields(list)[0]); err != nil || len(got) != 1 || got[0] != core {
		t.Errorf("it may use the cores %v, want %d alone (%v)", got, core, err)
	}
	if rss, err := residentMemory(pids); err != nil || rss < 1<<10 {
		t.Errorf("memory %d, %v", rss, err)
	}
	p.stop()
	for _, pid := range pids {
		if stat, err := os.ReadFile(procPath(pid) + "/stat"); err == nil && !strings.Contains(string(stat), ") Z ") {
			t.Errorf("%d still runs: %s", pid, stat)
		}
	}
}
