package top

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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
	Tokens many[token] `json:"tokens"`
	Routes many[route] `json:"routes"`
}

// token is one token of one credential. A keyed one has instances and phases in
// the place of what follows them.
type token struct {
	Credential text      `json:"credential"`
	Token      text      `json:"token"`
	Required   bool      `json:"required"`
	Keyed      bool      `json:"keyed"`
	Waiters    int       `json:"waiters"`
	Failures   int       `json:"failures"`
	Marks      few[mark] `json:"marks"`
	Instances  int       `json:"instances"`
	Phases     phases    `json:"phases"`

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
	Count   uint64      `json:"count"`
	Buckets few[bucket] `json:"buckets"`
}

type bucket struct {
	LE    float64 `json:"le"`
	Count uint64  `json:"count"`
}

// phases counts users by the phases of their tokens. Other words are left out.
type phases map[string]int

// UnmarshalJSON takes a JSON object.
func (p *phases) UnmarshalJSON(data []byte) error {
	var known struct{ Blocked, Expired, Fresh, Due, Empty int }
	err := json.Unmarshal(data, &known)
	*p = phases{"blocked": known.Blocked, "expired": known.Expired, "fresh": known.Fresh, "due": known.Due, "empty": known.Empty}
	return err
}

// Lists are bounded: each two bytes of an answer can be an element, which takes
// hundreds here.
type (
	many[T any] []T // tokens, routes
	few[T any]  []T // what there is of one of them
)

// UnmarshalJSON takes a JSON array.
func (l *many[T]) UnmarshalJSON(data []byte) (err error) {
	*l, err = elements[T](data, 10_000)
	return err
}

// UnmarshalJSON takes a JSON array.
func (l *few[T]) UnmarshalJSON(data []byte) (err error) {
	*l, err = elements[T](data, 100)
	return err
}

// elements reads an array of at most so many. It stops at the first one that is
// wrong.
func elements[T any](data []byte, most int) ([]T, error) {
	var list []T
	d := json.NewDecoder(bytes.NewReader(data))
	switch start, err := d.Token(); {
	case err != nil:
		return nil, err
	case start == nil: // null
		return nil, nil
	case start != json.Delim('['):
		return nil, errors.New("a list is none")
	}
	for d.More() {
		var one T
		if len(list) == most {
			return nil, fmt.Errorf("a list has more than %d elements", most)
		}
		if err := d.Decode(&one); err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
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
