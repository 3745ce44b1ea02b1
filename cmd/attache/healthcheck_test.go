package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestAskHealth: why a check failed stands in one line that is not too long and
// holds nothing but text, whatever the other side says.
func TestAskHealth(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/lines":
			w.WriteHeader(503)
			io.WriteString(w, "one\ntwo\r\n\x1b[31mred\x00\n")
		case "/endless":
			w.WriteHeader(503)
			for i := 0; i < 1000; i++ {
				io.WriteString(w, strings.Repeat("x", 1000))
			}
		case "/silent":
			<-release
		case "/half":
			w.(http.Flusher).Flush()
			<-release
		case "/empty":
			w.WriteHeader(204)
		}
	}))
	defer server.Close()
	defer close(release)
	for path, want := range map[string]string{
		"/":       "",
		"/empty":  "",
		"/lines":  "503: one; two; [31mred",
		"/silent": "no answer within 50ms",
		"/half":   "no answer within 50ms",
	} {
		timeout := time.Minute
		if strings.Contains(want, "50ms") {
			timeout = 50 * time.Millisecond
		}
		err := askHealth(t.Context(), server.URL+path, timeout)
		unhealthy, ok := errors.AsType[*unhealthyError](err)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
		} else if !ok || unhealthy.text != server.URL+path+": "+want {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	withPassword := strings.Replace(server.URL, "://", "://user:hunter2@", 1)
	if err := askHealth(t.Context(), withPassword+"/lines", time.Minute); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a password shows: %v", err)
	}
	if err := askHealth(t.Context(), server.URL+"/endless", time.Minute); err == nil || len(err.Error()) > maxReason+100 {
		t.Errorf("an endless answer gives %.100v", err)
	}
}
