package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"attache/refresher"
)

// How /api/events sends.
const (
	// maxStreams is how many there are at a time: a page or two, and whoever
	// looks by other means.
	maxStreams = 16
	// flushEvery is the time between two writes at least.
	flushEvery = 100 * time.Millisecond
	// aliveEvery is the time between them at most.
	aliveEvery = 15 * time.Second
	// writeLimit is how long a client may take nothing of what is sent.
	writeLimit = 5 * time.Second
	// maxText is the size of a text in an event.
	maxText = 1000
)

// lifetimeKey is that of the context of a listener in those of its requests.
type lifetimeKey struct{}

// WithLifetime returns a context for the requests of a listener, whose streams
// end with lifetime.
func WithLifetime(ctx, lifetime context.Context) context.Context {
	return context.WithValue(ctx, lifetimeKey{}, lifetime)
}

// events sends what happened and what happens, until the client leaves, attache
// drains, or the listener goes.
func (a *Admin) events(w http.ResponseWriter, r *http.Request) {
	if a.health.draining.Load() {
		text(w, http.StatusServiceUnavailable, "draining\n")
		return
	}
	select {
	case a.streams <- struct{}{}:
		defer func() { <-a.streams }()
	default:
		text(w, http.StatusServiceUnavailable, "there are as many event streams as there may be\n")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	s := stream{
		out: w, control: http.NewResponseController(w), journal: a.cfg.Journal, number: a.cfg.Journal.begin(r.Header.Get("Last-Event-ID")),
		ends: [...]<-chan struct{}{r.Context().Done(), a.drained.Done(), nil},
	}
	if lifetime, ok := r.Context().Value(lifetimeKey{}).(context.Context); ok {
		s.ends[2] = lifetime.Done()
	}
	s.run()
}

// stream is one client that reads the journal. It holds a place in it and
// nothing that was not sent yet.
type stream struct {
	out     http.ResponseWriter
	control *http.ResponseController
	journal *Journal
	number  uint64 // of the next event
	ends    [3]<-chan struct{}
	read    []happening // room for those of one write
	text    bytes.Buffer
}

// run sends until the stream ends. The first write, even of nothing, is the head.
func (s *stream) run() {
	for first := true; ; first = false {
		news := s.fill()
		if first || s.text.Len() > 0 {
			if s.send() != nil || s.wait(flushEvery, nil) == ended {
				return
			}
			continue
		}
		switch s.wait(aliveEvery, news) {
		case ended:
			return
		case late:
			s.text.WriteString(":\n\n")
			if s.send() != nil {
				return
			}
		}
	}
}

// fill puts into text what happened since. If that is nothing, news is closed
// when something does.
func (s *stream) fill() (news <-chan struct{}) {
	var missed uint64
	s.read, missed, s.number, news = s.journal.since(s.number, s.read)
	if missed > 0 {
		s.text.WriteString("event: gap\ndata: {\"missed\": " + strconv.FormatUint(missed, 10) + "}\n\n")
	}
	enc := json.NewEncoder(&s.text)
	enc.SetEscapeHTML(false)
	for i := range s.read {
		s.text.WriteString("id: " + strconv.FormatUint(s.read[i].id, 10) + "\ndata: ")
		enc.Encode(shownEvent(&s.read[i])) // into memory, and with a line break
		s.text.WriteByte('\n')
	}
	clear(s.read) // their errors are not to be kept for an idle client
	return news
}

// send writes text and empties it.
func (s *stream) send() error {
	// Without support the listener's own bound holds.
	s.control.SetWriteDeadline(time.Now().Add(writeLimit))
	defer s.control.SetWriteDeadline(time.Time{})
	if s.text.Len() > 0 {
		if _, err := s.out.Write(s.text.Bytes()); err != nil {
			return err
		}
		s.text.Reset()
	}
	return s.control.Flush()
}

// What a wait ends with.
const (
	ended = iota
	late
	woken
)

// wait returns when the stream ends, after d, or when news, which may be nil, is
// closed.
func (s *stream) wait(d time.Duration, news <-chan struct{}) int {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.ends[0]:
	case <-s.ends[1]:
	case <-s.ends[2]:
	case <-news:
		return woken
	case <-timer.C:
		return late
	}
	return ended
}

// eventDoc is an event of /api/events. What does not belong to its kind is left
// out.
type eventDoc struct {
	ID          uint64    `json:"id"`
	At          time.Time `json:"at"`
	Kind        string    `json:"kind"`
	Credential  string    `json:"credential,omitempty"`
	Token       string    `json:"token,omitempty"`
	Generation  uint64    `json:"generation,omitempty"`
	Expires     time.Time `json:"expires,omitzero"`
	Due         time.Time `json:"due,omitzero"`
	TookMS      float64   `json:"took_ms,omitempty"`
	Class       string    `json:"class,omitempty"`
	Error       string    `json:"error,omitempty"`
	Failures    int       `json:"failures,omitempty"`
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	Signal      string    `json:"signal,omitempty"`
	By          string    `json:"by,omitempty"`
	Outcome     string    `json:"outcome,omitempty"`
	Op          string    `json:"op,omitempty"`
	File        string    `json:"file,omitempty"`
}

// shownEvent is an event as it is sent.
func shownEvent(h *happening) eventDoc {
	ev := &h.ev
	doc := eventDoc{
		ID: h.id, At: shown(h.at), Kind: h.kind, Credential: ev.Credential, Token: ev.Token,
		By: cut(ev.By), Op: ev.Op, File: h.file,
	}
	// What a vendor says of a user's login may name the user. Stores know none.
	if ev.Err != nil && (!ev.Keyed || ev.Kind == refresher.StoreFailed) {
		doc.Error = cut(ev.Err.Error())
	}
	switch ev.Kind {
	case refresher.LoggedIn, refresher.Adopted, refresher.Renewed:
		doc.Generation, doc.Expires, doc.Due = ev.Generation, shown(ev.ExpiresAt), shown(ev.DueAt)
		doc.TookMS = float64(ev.Duration.Microseconds()) / 1000
	case refresher.LoginFailed:
		doc.Class, doc.Failures, doc.NextAttempt = ev.Class.String(), ev.Failures, shown(ev.NextAttempt)
		doc.TookMS = float64(ev.Duration.Microseconds()) / 1000
	case refresher.Refused:
		doc.Generation, doc.Signal, doc.Outcome = ev.Generation, ev.Signal.String(), ev.Rejection.String()
	}
	return doc
}

// cut bounds a text that others wrote.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
