package page

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
)

const files = "../../internal/admin/page"

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// fake is an admin listener that answers what a test says.
type fake struct {
	*httptest.Server

	mu      sync.Mutex
	status  document
	backlog []event
	streams map[chan []event]bool
	polled  chan struct{} // closed at the next question for the status
	polls   int
	down    bool
	full    bool     // there are no more streams
	garbled string   // is told in place of the status
	renewed []string // queries
	answer  func(http.ResponseWriter)
}

// serve starts a fake that tells a status and some events.
func serve(t *testing.T, status document, events ...event) *fake {
	t.Helper()
	f := &fake{status: status, backlog: events, streams: map[chan []event]bool{}, polled: make(chan struct{}),
		answer: func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprintln(w, "renewing")
		}}
	mux := http.NewServeMux()
	for path, file := range map[string]string{"{$}": "index.html", "page.css": "page.css", "tools.js": "tools.js", "token.js": "token.js", "page.js": "page.js", "icon.svg": "icon.svg"} {
		mux.HandleFunc("GET /"+path, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, files+"/"+file) })
	}
	mux.HandleFunc("GET /api/status", f.tell)
	mux.HandleFunc("GET /api/events", f.stream)
	mux.HandleFunc("POST /-/renew", f.renew)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		f.mu.Lock()
		down := f.down
		f.mu.Unlock()
		if down {
			panic(http.ErrAbortHandler)
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		f.CloseClientConnections() // streams do not end by themselves
		f.Close()
	})
	return f
}

func (f *fake) tell(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if f.garbled != "" {
		io.WriteString(w, f.garbled)
	} else {
		json.NewEncoder(w).Encode(f.status)
	}
	f.polls++
	close(f.polled)
	f.polled = make(chan struct{})
}

func (f *fake) stream(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	if f.full {
		f.mu.Unlock()
		http.Error(w, "there are as many event streams as there may be", http.StatusServiceUnavailable)
		return
	}
	events := make(chan []event, 100)
	events <- f.backlog
	f.streams[events] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.streams, events)
		f.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	for {
		http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case some := <-events:
			for _, e := range some {
				data, err := json.Marshal(e)
				if err != nil {
					panic(err)
				}
				fmt.Fprintf(w, "id: %d\ndata: %s\n\n", e["id"], data)
			}
		}
	}
}

func (f *fake) renew(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed = append(f.renewed, r.URL.RawQuery)
	f.answer(w)
}

// change changes the status that is told from now on.
func (f *fake) change(how func(*document)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how(&f.status)
}

// send sends events to every open stream.
func (f *fake) send(events ...event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.streams {
		s <- events
	}
}

// questions waits until the status was asked for n times more.
func (f *fake) questions(b *tab, n int) {
	b.t.Helper()
	for range n {
		f.mu.Lock()
		polled := f.polled
		f.mu.Unlock()
		select {
		case <-polled:
		case <-b.ctx.Done():
			b.t.Fatal("the page does not ask for the status")
		}
	}
}

// cut makes every request fail from now on, those under way as well.
func (f *fake) cut(down bool) {
	f.mu.Lock()
	f.down = down
	f.mu.Unlock()
	if down {
		f.CloseClientConnections()
	}
}

// instead has a text told in place of the status; "": the status.
func (f *fake) instead(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.garbled = text
}

// What these tests tell the page has the members that attache's own answer has.
func TestFixturesAreAnswers(t *testing.T) {
	answer, err := os.Open("../../internal/admin/testdata/status.golden")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	var d document
	strict := json.NewDecoder(answer)
	strict.DisallowUnknownFields()
	if err := strict.Decode(&d); err != nil {
		t.Error(err)
	}
	if len(d.Tokens) == 0 || len(d.Routes) == 0 || len(d.Tokens[0].Marks) == 0 || d.Tokens[0].LastError == nil || len(d.Routes[0].Duration.Buckets) == 0 {
		t.Errorf("the answer has not everything: %+v", d)
	}
}
