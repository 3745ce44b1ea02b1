package admin

import (
	"encoding/json"
	"net/http"
	"net/url"
	"runtime"
	"time"

	"attache/refresher"
)

// The answer of /api/status. Names are part of attache's surface: fields may be
// added, none is renamed. Times are RFC 3339 in UTC; a time that does not exist
// is left out.
type statusDoc struct {
	Version   string     `json:"version"`
	Revision  string     `json:"revision"`
	GoVersion string     `json:"go_version"`
	Now       time.Time  `json:"now"`
	Started   time.Time  `json:"started"`
	Config    *configDoc `json:"config,omitempty"`
	Health    healthDoc  `json:"health"`
	Renew     bool       `json:"renew"` // who asks may use /-/renew
	Tokens    []tokenDoc `json:"tokens"`
	Routes    []routeDoc `json:"routes"`
}

// configDoc is the configuration in service, and what became of the last try to
// replace it.
type configDoc struct {
	File       string     `json:"file"`
	Loaded     time.Time  `json:"loaded,omitzero"`
	LastReload *reloadDoc `json:"last_reload,omitempty"`
}

type reloadDoc struct {
	At    time.Time `json:"at"`
	OK    bool      `json:"ok"`
	Error string    `json:"error,omitempty"`
}

type healthDoc struct {
	Startup  bool `json:"startup"`
	Ready    bool `json:"ready"`
	Live     bool `json:"live"`
	Draining bool `json:"draining"`
}

// tokenDoc is one token of one credential. A keyed token has many instances,
// which are shown as counts: their keys are user ids.
type tokenDoc struct {
	Credential string `json:"credential"`
	Token      string `json:"token"`
	Recipe     string `json:"recipe"`
	Required   bool   `json:"required"`
	Keyed      bool   `json:"keyed"`
	Waiters    int    `json:"waiters"`
	Failures   int    `json:"failures"` // in a row; the worst instance's

	*singleDoc
	*keyedDoc

	Marks []markDoc `json:"marks"` // the last ones, the oldest first
}

// markDoc is something that happened to a token.
type markDoc struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Outcome string    `json:"outcome,omitempty"` // of a refusal
}

type singleDoc struct {
	Phase       string    `json:"phase"`
	Generation  uint64    `json:"generation"`
	Issued      time.Time `json:"issued,omitzero"`
	Expires     time.Time `json:"expires,omitzero"`
	Due         time.Time `json:"due,omitzero"`
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastError   *errorDoc `json:"last_error,omitempty"`
}

type keyedDoc struct {
	Instances int            `json:"instances"`
	Phases    map[string]int `json:"phases"`
}

// errorDoc is why the last login failed. Its text was cut and scrubbed of
// every secret where it was made.
type errorDoc struct {
	Class  string `json:"class"`
	Text   string `json:"text"`
	Advice string `json:"advice"`
}

type routeDoc struct {
	Name        string   `json:"name"`
	Host        string   `json:"host,omitempty"`
	Path        string   `json:"path,omitempty"`
	Methods     []string `json:"methods,omitempty"`
	Upstream    string   `json:"upstream"`
	Credentials []string `json:"credentials"`
	Optional    bool     `json:"optional"`

	// Totals since the route came into service: rates and quantiles are in the
	// difference of two answers.
	Requests    uint64      `json:"requests"`
	Errors      uint64      `json:"errors"`
	Replays     uint64      `json:"replays"`
	Unavailable uint64      `json:"unavailable"`
	Duration    durationDoc `json:"duration"`
}

// durationDoc is a histogram without its infinite bucket.
type durationDoc struct {
	Count   uint64      `json:"count"`
	Sum     float64     `json:"sum"` // seconds
	Buckets []bucketDoc `json:"buckets"`
}

type bucketDoc struct {
	Le    float64 `json:"le"`    // seconds
	Count uint64  `json:"count"` // of all that took no longer
}

func (a *Admin) status(w http.ResponseWriter, r *http.Request) {
	draining := a.health.draining.Load()
	startup := a.Started()
	doc := statusDoc{
		Version:   a.cfg.Version,
		Revision:  a.cfg.Revision,
		GoVersion: runtime.Version(),
		Now:       shown(time.Now()),
		Started:   shown(a.started),
		Config:    a.configuration(),
		Health:    healthDoc{Startup: startup, Ready: startup && !draining, Live: a.live() == "", Draining: draining},
		Renew:     a.cfg.Renew != nil && mayRenew(r),
		Tokens:    []tokenDoc{},
		Routes:    []routeDoc{},
	}
	for _, p := range a.cfg.Pools() {
		doc.Tokens = append(doc.Tokens, a.token(p))
	}
	for _, one := range a.cfg.Routes() {
		doc.Routes = append(doc.Routes, route(one))
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	// For people with curl. Programs name what they want, again and again, and half
	// of the answer would be indents.
	if !accepts(w, r, "application/json") {
		enc.SetIndent("", "  ")
	}
	enc.SetEscapeHTML(false) // for people, too; nosniff keeps browsers off
	enc.Encode(doc)          // a client that left is no concern of ours
}

func (a *Admin) configuration() *configDoc {
	if a.cfg.Loaded == nil {
		return nil
	}
	c := a.cfg.Loaded()
	doc := &configDoc{File: c.File, Loaded: shown(c.Loaded)}
	if r := c.Reload; r != nil {
		doc.LastReload = &reloadDoc{At: shown(r.At), OK: r.Err == nil}
		if r.Err != nil {
			doc.LastReload.Error = r.Err.Error()
		}
	}
	return doc
}

func (a *Admin) token(p refresher.PoolStatus) tokenDoc {
	doc := tokenDoc{
		Credential: p.Credential,
		Token:      p.Token,
		Recipe:     p.Recipe,
		Keyed:      p.Keyed,
		Waiters:    p.Waiters,
		Failures:   p.Failures,
		Marks:      shownMarks(a.cfg.Journal.marks(p.Credential, p.Token)),
	}
	if p.Keyed || p.Single == nil {
		phases := map[string]int{}
		for _, phase := range refresher.Phases() {
			phases[phase.String()] = p.Phases[phase]
		}
		doc.keyedDoc = &keyedDoc{Instances: p.Instances, Phases: phases}
		return doc
	}
	s := p.Single
	doc.Required = a.cfg.Required(p.Credential, p.Token)
	doc.singleDoc = &singleDoc{
		Phase:       s.Phase.String(),
		Generation:  s.Generation,
		Issued:      shown(s.IssuedAt),
		Expires:     shown(s.ExpiresAt),
		Due:         shown(s.DueAt),
		NextAttempt: shown(s.NextAttempt),
		LastSuccess: shown(s.LastSuccess),
	}
	if s.Failures > 0 {
		doc.LastError = &errorDoc{Class: s.Class.String(), Text: s.LastError, Advice: advice(p)}
	}
	return doc
}

func shownMarks(marks []mark) []markDoc {
	docs := make([]markDoc, len(marks))
	for i, m := range marks {
		docs[i] = markDoc{At: shown(m.at), Kind: m.kind.String()}
		if m.kind == refresher.Refused {
			docs[i].Outcome = m.outcome.String()
		}
	}
	return docs
}

func route(r Route) routeDoc {
	doc := routeDoc{
		Name: r.Name, Host: r.Host, Path: r.Path, Methods: r.Methods,
		Upstream: r.UpstreamOf, Credentials: append([]string{}, r.Credentials...), Optional: r.Optional,
	}
	if u := r.Upstream; u != nil {
		// Whatever else a URL can carry may be a password or a key.
		doc.Upstream = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath, OmitHost: u.OmitHost}).String()
	}
	var t Totals
	if r.Totals != nil {
		t = r.Totals()
	}
	doc.Requests, doc.Errors, doc.Replays, doc.Unavailable = t.Requests, t.Errors, t.Replays, t.Unavailable
	doc.Duration = durationDoc{Count: t.Requests, Sum: t.Seconds, Buckets: make([]bucketDoc, len(t.Bounds))}
	for i, le := range t.Bounds {
		doc.Duration.Buckets[i] = bucketDoc{Le: le, Count: t.Within[i]}
	}
	return doc
}

// shown is t for people: to the millisecond, in UTC. The zero time stays zero.
func shown(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Truncate(time.Millisecond).UTC()
}
