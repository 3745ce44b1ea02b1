package http1

import (
	"io"
	"net/http"
	"testing"
)

// Whoever is told that the body is whole never waits for the rest of it.
func TestWhole(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n"
	for name, c := range map[string]struct {
		text  string
		piece int // bytes that each read of the connection gives
		want  bool
	}{
		"whole":         {head + "Content-Length: 5\r\n\r\nhello", 1 << 10, true},
		"but one byte":  {head + "Content-Length: 5\r\n\r\nhello", len(head) + 25, false},
		"head alone":    {head + "Content-Length: 5\r\n\r\nhello", len(head) + 21, false},
		"until the end": {head + "\r\nhello", 1 << 10, false},
		"in chunks":     {head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 1 << 10, false},
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := scriptedClient(c.text, c.piece)
			ans, err := client.Do(request(t.Context(), http.MethodGet, ""), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer ans.Body.Close()
			body := ans.Body.(*answerBody)
			if got := body.Whole(); got != c.want {
				t.Errorf("whole: %v, want %v", got, c.want)
			}
			if text, err := io.ReadAll(body); err != nil || string(text) != "hello" {
				t.Errorf("read %q, %v", text, err)
			}
			if body.Whole() {
				t.Error("it is whole after its end, when the connection is somebody else's")
			}
		})
	}
}

// Close may come while somebody asks what is here. The race detector watches.
func TestCloseWhileLooking(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	for range 500 {
		client, _ := scriptedClient(answer, 1<<10)
		ans, err := client.Do(request(t.Context(), http.MethodGet, ""), Options{})
		if err != nil {
			t.Fatal(err)
		}
		body := ans.Body.(*answerBody)
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			body.Close()
		}()
		body.Whole()
		body.Buffered()
		if text, err := io.ReadAll(body); err == nil && string(text) != "hello" {
			t.Errorf("read %q", text)
		}
		<-closed
	}
}
