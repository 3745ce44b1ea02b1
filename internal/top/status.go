package top

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"attache/internal/terminal"
)

// status is what of the answer of /api/status is shown. Other versions of attache
// may leave out a part of it.
type status struct {
	Version text      `json:"version"`
	Now     time.Time `json:"now"`
	Started time.Time `json:"started"`
	Config  *struct {
		File       text      `json:"file"`
		Loaded     time.Time `json:"loaded"`
		LastReload *struct {
			At    time.Time `json:"at"`
			OK    bool      `json:"ok"`
			Error text      `json:"error"`
		} `json:"last_reload"`
	} `json:"config"`
	Health struct {
		Startup  bool `json:"startup"`
		Live     bool `json:"live"`
		Draining bool `json:"draining"`
	} `json:"health"`
	Tokens []token `json:"tokens"`
	Routes []route `json:"routes"`
}

// token is one token of one credential. A keyed one has instances and phases in
// the place of what follows them.
type token struct {
	Credential text           `json:"credential"`
	Token      text           `json:"token"`
	Required   bool           `json:"required"`
	Keyed      bool           `json:"keyed"`
	Waiters    int            `json:"waiters"`
	Failures   int            `json:"failures"`
	Marks      []mark         `json:"marks"`
	Instances  int            `json:"instances"`
	Phases     map[string]int `json:"phases"`

	Phase       text      `json:"phase"`
	Generation  uint64    `json:"generation"`
	Issued      time.Time `json:"issued"`
	Expires     time.Time `json:"expires"`
	Due         time.Time `json:"due"`
	NextAttempt time.Time `json:"next_attempt"`
	LastError   *struct {
		Class  text `json:"class"`
		Text   text `json:"text"`
		Advice text `json:"advice"`
	} `json:"last_error"`
}

// mark is something that happened to a token.
type mark struct {
	At      time.Time `json:"at"`
	Kind    text      `json:"kind"`
	Outcome text      `json:"outcome"`
}

// route has totals since attache started.
type route struct {
	Name        text      `json:"name"`
	Requests    uint64    `json:"requests"`
	Errors      uint64    `json:"errors"`
	Replays     uint64    `json:"replays"`
	Unavailable uint64    `json:"unavailable"`
	Duration    histogram `json:"duration"`
}

// histogram counts requests by how many seconds they took at most.
type histogram struct {
	Count   uint64   `json:"count"`
	Buckets []bucket `json:"buckets"`
}

type bucket struct {
	LE    float64 `json:"le"`
	Count uint64  `json:"count"`
}

// text is a text of an answer as it may reach a terminal, and not too long: one
// line without anything but text, whatever the other side wrote.
type text string

// maxText bounds a text, in bytes: attache's own are shorter.
const maxText = 4 << 10

// UnmarshalJSON takes a JSON string.
func (t *text) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	*t = text(foreign(s))
	return nil
}

// foreign makes a text of others one that may be shown.
func foreign(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
		for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
		s = s[:max(0, len(s)-1)] + "…"
	}
	return strings.TrimSpace(terminal.OneLine(s))
}

// name is how a token is called: credential and token.
func (t *token) name() string { return string(t.Credential + "." + t.Token) }

// trouble tells how much somebody should look at a token: 0 not at all, 1 logins
// fail, 2 there is none to send, or soon will be. The status page calls the same
// tokens troubled (trouble in internal/admin/page/token.js).
func (t *token) trouble() int {
	switch {
	case t.Keyed && (t.Phases["blocked"] > 0 || t.Phases["expired"] > 0 && t.Failures > 0),
		!t.Keyed && (t.Phase == "expired" || t.Phase == "blocked" || t.Phase == "empty" && (t.Required || t.Failures > 0 || t.Waiters > 0)):
		return 2
	case t.Failures > 0:
		return 1
	}
	return 0
}
