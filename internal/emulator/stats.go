package emulator

import (
	"maps"
	"sync/atomic"
)

// reason says why a call or a login was refused.
type reason uint8

const (
	fine reason = iota
	missing
	malformed
	unknownToken
	expiredToken
	rotatedToken
	kickedToken
	forbidden
	badCredential
	badRequest
	notFound
	reasons
)

func (r reason) String() string {
	return [...]string{"", "missing", "malformed", "unknown", "expired", "rotated", "kicked",
		"forbidden", "bad_credential", "bad_request", "not_found"}[r]
}

// reason returns the refusal that a token's condition causes; fine if none.
func (c condition) reason() reason {
	return [conditions]reason{unknown: unknownToken, expired: expiredToken, rotated: rotatedToken, kicked: kickedToken}[c]
}

// Stats is what an emulator counted since it was made. Kinds are those of the
// vendor's tokens; members that are zero may be absent from the maps.
type Stats struct {
	Vendor string `json:"vendor"`
	// Logins that were answered with a token, by kind, including those whose
	// answer a fault damaged on the way.
	Logins map[string]uint64 `json:"logins"`
	// Issued is the number of new token values by kind: logins less those that
	// got the same value again, plus Renewed.
	Issued map[string]uint64 `json:"issued"`
	// Renewed is the number of tokens that were put into ordinary answers.
	Renewed uint64 `json:"renewed"`
	// LoginsRefused counts logins by the reason of their refusal: bad_credential,
	// bad_request, or the bad state of the token that the login needs (missing,
	// malformed, unknown, expired, rotated, kicked), forbidden, not_found.
	LoginsRefused map[string]uint64 `json:"logins_refused"`
	// LoginsTroubled counts logins hit by a [Trouble], by its fault or "delay".
	LoginsTroubled map[string]uint64 `json:"logins_troubled"`
	// Calls that were no logins, by handler, whatever became of them.
	Calls map[string]uint64 `json:"calls"`
	// Accepted is the number of calls whose token was good, by handler; those
	// that a fault answered otherwise do not count.
	Accepted map[string]uint64 `json:"accepted"`
	// Refused counts calls by reason, with the words of LoginsRefused.
	Refused map[string]uint64 `json:"refused"`
	// Troubled counts calls hit by a [Trouble], by its fault or "delay".
	Troubled map[string]uint64 `json:"troubled"`
	// Actions is how often each [Action] was done, Ended how many tokens they
	// ended, both by name.
	Actions map[string]uint64 `json:"actions"`
	Ended   map[string]uint64 `json:"ended"`
	// Superseded is the number of tokens that ended because of a newer login.
	Superseded uint64 `json:"superseded"`
	// Live is the number of tokens that are accepted now, by kind.
	Live map[string]int `json:"live"`
}

// tally is a set of counters with fixed names, cheap to add to.
type tally map[string]*atomic.Uint64

func newTally(names ...string) tally {
	t := tally{}
	for _, name := range names {
		t[name] = new(atomic.Uint64)
	}
	return t
}

func (t tally) add(name string, n uint64) {
	if c := t[name]; c != nil {
		c.Add(n)
	}
}

// read returns the counters that are not zero.
func (t tally) read() map[string]uint64 {
	out := map[string]uint64{}
	for name, c := range t {
		if n := c.Load(); n > 0 {
			out[name] = n
		}
	}
	return out
}

// counts are the live counters behind [Stats].
type counts struct {
	logins, issued, calls, accepted, actions, ended tally
	loginsTroubled, troubled                        tally
	loginsRefused, refused                          [reasons]atomic.Uint64
	renewed, superseded                             atomic.Uint64
}

func newCounts(kinds []string, surfaces []*surface) *counts {
	var names, troubles []string
	for _, s := range surfaces {
		names = append(names, s.name)
	}
	for _, f := range faults[1:] {
		troubles = append(troubles, string(f))
	}
	troubles = append(troubles, "delay")
	actions := []string{string(Rotate), string(Expire), string(Kick)}
	return &counts{
		logins: newTally(kinds...), issued: newTally(kinds...),
		calls: newTally(names...), accepted: newTally(names...),
		actions: newTally(actions...), ended: newTally(actions...),
		loginsTroubled: newTally(troubles...), troubled: newTally(troubles...),
	}
}

// count enters one answered request.
func (n *counts) count(s *surface, login bool, t Trouble, rep reply) {
	trouble := string(t.Fault)
	if trouble == "" && t.Delay > 0 {
		trouble = "delay"
	}
	if login {
		n.logins.add(rep.kind, 1)
		n.loginsTroubled.add(trouble, 1)
		n.loginsRefused[rep.reason].Add(1)
		return
	}
	n.calls.add(s.name, 1)
	n.troubled.add(trouble, 1)
	n.refused[rep.reason].Add(1)
	if rep.reason == fine && (t.Fault == NoFault || t.Fault == FaultTruncated || t.Fault == FaultEmpty || t.Fault == FaultLineBreak) {
		n.accepted.add(s.name, 1)
	}
}

func (n *counts) action(a ActionName, tokens int) {
	n.actions.add(string(a), 1)
	n.ended.add(string(a), uint64(tokens))
}

func readReasons(a *[reasons]atomic.Uint64) map[string]uint64 {
	out := map[string]uint64{}
	for r := fine + 1; r < reasons; r++ {
		if n := a[r].Load(); n > 0 {
			out[r.String()] = n
		}
	}
	return out
}

// Stats returns the counters. They are read one after the other, so under load
// they may differ by the requests that are just being answered.
func (e *Emulator) Stats() Stats {
	n := e.counts
	return Stats{
		Vendor: e.vendor.name,
		Logins: n.logins.read(), Issued: n.issued.read(), Renewed: n.renewed.Load(),
		LoginsRefused: readReasons(&n.loginsRefused), LoginsTroubled: n.loginsTroubled.read(),
		Calls: n.calls.read(), Accepted: n.accepted.read(),
		Refused: readReasons(&n.refused), Troubled: n.troubled.read(),
		Actions: n.actions.read(), Ended: n.ended.read(), Superseded: n.superseded.Load(),
		Live: maps.Clone(e.ledger.countLive(e.now())),
	}
}
