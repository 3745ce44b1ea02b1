package proxy

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// TestStreamThatTakesNothing: one stream of an HTTP/2 connection has no window
// any more, while the connection itself moves.
func TestStreamThatTakesNothing(t *testing.T) {
	var failed chan time.Time
	h := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/small" {
			io.WriteString(w, "ok")
			return
		}
		pour(w)
		failed <- time.Now()
	}
	inBounds(t, testBounds(), h, func(t *testing.T, s *bounded) {
		failed = make(chan time.Time, 1)
		client := s.client()
		ans, err := client.Get("http://localhost/")
		if err != nil {
			t.Fatal(err)
		}
		defer ans.Body.Close()
		start := time.Now()
		for range 5 { // its neighbours live
			small, err := client.Get("http://localhost/small")
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(small.Body); err != nil || string(text) != "ok" {
				t.Errorf("%q, %v", text, err)
			}
			time.Sleep(10 * time.Second)
		}
		if got := (<-failed).Sub(start); got != time.Minute {
			t.Errorf("cut off after %v", got)
		}
		if _, err := io.ReadAll(ans.Body); err == nil {
			t.Error("the answer looks whole")
		}
	})
}

// TestStreamThatTakesNoEnd: what lies in the server's buffer when the handler is
// done is bounded as well.
func TestStreamThatTakesNoEnd(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for range 67 { // a little more than the window
			w.Write(make([]byte, 1000))
		}
	}
	inBounds(t, testBounds(), h, func(t *testing.T, s *bounded) {
		client := s.client()
		for _, wait := range []time.Duration{59 * time.Second, 61 * time.Second} {
			ans, err := client.Get("http://localhost/")
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(wait)
			if n, err := io.Copy(io.Discard, ans.Body); (err == nil) != (wait < time.Minute) {
				t.Errorf("read after %v: %d bytes, %v", wait, n, err)
			}
			ans.Body.Close()
		}
	})
}

func TestStreamThatSendsNothing(t *testing.T) {
	type end struct {
		after time.Duration
		err   error
	}
	var ended chan end
	h := func(_ http.ResponseWriter, r *http.Request) {
		start := time.Now()
		_, err := io.Copy(io.Discard, r.Body)
		ended <- end{time.Since(start), err}
	}
	for _, grpc := range []bool{false, true} {
		t.Run(fmt.Sprint("gRPC ", grpc), func(t *testing.T) {
			inBounds(t, testBounds(), h, func(t *testing.T, s *bounded) {
				ended = make(chan end, 1)
				body, more := io.Pipe()
				r, err := http.NewRequestWithContext(t.Context(), "POST", "http://localhost/", body)
				if err != nil {
					t.Fatal(err)
				}
				if grpc {
					r.Header.Set("Content-Type", "application/grpc")
				}
				done := make(chan struct{})
				go func() {
					if ans, err := s.client().Do(r); err == nil {
						ans.Body.Close()
					}
					close(done)
				}()
				fmt.Fprint(more, "abc")
				time.Sleep(30 * time.Second)
				fmt.Fprint(more, "abc")
				time.Sleep(time.Hour)
				more.Close()
				got := <-ended
				if want := 90 * time.Second; !grpc && (got.after != want || got.err == nil) {
					t.Errorf("ended after %v with %v, want %v", got.after, got.err, want)
				}
				if grpc && got.err != nil {
					t.Errorf("a call without messages ended after %v with %v", got.after, got.err)
				}
				<-done
			})
		})
	}
}
