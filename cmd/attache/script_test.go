package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"attache/internal/lanetest"
)

// get asks for a URL until there is an answer, for up to ten seconds, and
// writes its status and body to the script's standard output:
//
//	get http://127.0.0.1:$PORT1/readyz [STATUS] [HEADER:VALUE ...]
//
// With a STATUS other than "-" it asks until the answer has that one.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: get URL [STATUS] [HEADER:VALUE ...]")
	}
	want := ""
	if len(args) > 1 && args[1] != "-" {
		want = args[1]
	}
	var last string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		r, err := http.NewRequest(http.MethodGet, args[0], nil)
		ts.Check(err)
		for i := 2; i < len(args); i++ {
			name, value, _ := strings.Cut(args[i], ":")
			r.Header.Set(name, value)
		}
		ans, err := http.DefaultClient.Do(r)
		if err != nil {
			last = err.Error()
			continue
		}
		body, err := io.ReadAll(ans.Body)
		ans.Body.Close()
		ts.Check(err)
		last = ans.Status + "\n" + string(body)
		if want == "" || strings.HasPrefix(ans.Status, want) {
			_, err := ts.Stdout().Write([]byte(last))
			ts.Check(err)
			return
		}
	}
	ts.Fatalf("get %s: %s", args[0], last)
}

// expand replaces $NAME in files by the script's environment. An attache.yaml gets
// the lane of this run.
func expand(ts *testscript.TestScript, neg bool, files []string) {
	if neg || len(files) == 0 {
		ts.Fatalf("usage: expand FILE ...")
	}
	for _, file := range files {
		text := os.Expand(ts.ReadFile(file), func(name string) string {
			if strings.HasPrefix(name, "PORT") || name == "WORK" {
				return ts.Getenv(name)
			}
			return "${" + name + "}"
		})
		if file == "attache.yaml" {
			text = lanetest.Configuration(text)
		}
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o644))
	}
}

// fire sends a GET request and does not wait for its answer:
//
//	fire 127.0.0.1:$PORT2 /path
func fire(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fire HOST:PORT PATH")
	}
	conn, err := net.Dial("tcp", args[0])
	ts.Check(err)
	ts.Defer(func() { conn.Close() })
	_, err = io.WriteString(conn, "GET "+args[1]+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
	ts.Check(err)
}

// waitfor asks for a URL, for up to ten seconds, until the answer's body
// matches a pattern:
//
//	waitfor URL PATTERN
func waitfor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor URL PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	var body []byte
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		ans, err := http.Get(args[0])
		ts.Check(err)
		body, err = io.ReadAll(ans.Body)
		ans.Body.Close()
		ts.Check(err)
		if pattern.Match(body) {
			return
		}
	}
	ts.Fatalf("%s never matched %s:\n%s", args[0], args[1], body)
}

// rawserver answers everything that comes on a connection with the content of a
// file, as it stands, until the script ends:
//
//	rawserver 127.0.0.1:$PORT1 FILE
func rawserver(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: rawserver HOST:PORT FILE")
	}
	answer := strings.ReplaceAll(ts.ReadFile(args[1]), "\n", "\r\n")
	l, err := net.Listen("tcp", args[0])
	ts.Check(err)
	var serving sync.WaitGroup
	ended := make(chan struct{})
	ts.Defer(func() {
		close(ended)
		l.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				<-ended
				conn.Close()
			})
			serving.Go(func() {
				request := make([]byte, 4096)
				for {
					if _, err := conn.Read(request); err != nil {
						return
					}
					io.WriteString(conn, answer)
				}
			})
		}
	})
}
