package http1

import (
	"io"
	"net/http"
	"testing"
)

// A reader that asks first never waits, and is never told so of bytes that are
// those of another answer.
func TestWhatIsHereAlready(t *testing.T) {
	type here struct{ ready, whole bool }
	const head = "HTTP/1.1 200 OK\r\n"
	for name, c := range map[string]struct {
		text  string
		piece int // bytes that each read of the connection gives
		want  here
	}{
		"whole":         {head + "Content-Length: 5\r\n\r\nhello", 1 << 10, here{true, true}},
		"half":          {head + "Content-Length: 5\r\n\r\nhello", len(head) + 24, here{true, false}},
		"head alone":    {head + "Content-Length: 5\r\n\r\nhello", len(head) + 21, here{false, false}},
		"until the end": {head + "\r\nhello", 1 << 10, here{true, false}},
		"in chunks":     {head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 1 << 10, here{false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := scriptedClient(c.text, c.piece)
			ans, err := client.Do(request(t.Context(), http.MethodGet, ""), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer ans.Body.Close()
			body := ans.Body.(*answerBody)
			if got := (here{body.Ready(), body.Whole()}); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if text, err := io.ReadAll(body); err != nil || string(text) != "hello" {
				t.Errorf("read %q, %v", text, err)
			}
			if body.Ready() || body.Whole() {
				t.Error("after its end there is more")
			}
		})
	}
}
