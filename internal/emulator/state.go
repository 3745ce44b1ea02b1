package emulator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// state is the settings in force, with the counters of troubles that end after
// a number of requests. It is immutable but for these counters.
type state struct {
	Settings
	loginLeft, apiLeft *atomic.Int64 // nil: no limit
}

// trouble returns the trouble that hits a call, or none.
func (st *state) trouble(c *call, s *surface, login bool, kind string) Trouble {
	t, left, name := &st.API, st.apiLeft, s.name
	if login {
		t, left, name = &st.Login, st.loginLeft, kind
	}
	switch {
	case t.Fault == NoFault && t.Delay == 0,
		t.over(c.now),
		t.Only != "" && t.Only != name,
		!strings.HasPrefix(c.path, t.Path),
		left != nil && left.Add(-1) < 0:
		return Trouble{}
	}
	return *t
}

func (t *Trouble) over(now time.Time) bool { return !t.Until.IsZero() && !now.Before(t.Until) }

// rest returns what is left of a trouble: none when its time is over or its
// number of requests is used up.
func (t Trouble) rest(left *atomic.Int64, now time.Time) Trouble {
	if t.over(now) {
		return Trouble{}
	}
	if left != nil {
		n := left.Load()
		if n <= 0 {
			return Trouble{}
		}
		t.Times = int(n)
	}
	return t
}

// Settings returns the settings in force. Troubles that are over are left out,
// and Times is what is left of it.
func (e *Emulator) Settings() Settings { return e.state.Load().current(e.now()) }

func (st *state) current(now time.Time) Settings {
	s := st.Settings
	s.Login = s.Login.rest(st.loginLeft, now)
	s.API = s.API.rest(st.apiLeft, now)
	return s
}

// Change changes the settings: f gets the present ones and edits them. It
// returns an error, and changes nothing, if they are not valid afterwards. f
// must not call the emulator.
func (e *Emulator) Change(f func(s *Settings)) error {
	e.changes.Lock()
	defer e.changes.Unlock()
	now := e.now()
	after := e.state.Load().current(now)
	f(&after)
	if err := e.checkSettings(after); err != nil {
		return err
	}
	next := &state{Settings: after}
	next.Login, next.loginLeft = after.Login.arm(now)
	next.API, next.apiLeft = after.API.arm(now)
	e.state.Store(next)
	return nil
}

// arm fixes the trouble's end and returns its counter of requests, nil without a
// limit. A trouble that a change left alone is armed with what was left of it;
// requests that it hits during the change do not count.
func (t Trouble) arm(now time.Time) (Trouble, *atomic.Int64) {
	if t.For > 0 {
		t.Until, t.For = now.Add(time.Duration(t.For)).Round(0), 0
	}
	if t.Times == 0 {
		return t, nil
	}
	left := new(atomic.Int64)
	left.Store(int64(t.Times))
	return t, left
}

// Reset ends all faults and returns to the settings that [New] made. Tokens and
// counters stay.
func (e *Emulator) Reset() {
	e.changes.Lock()
	defer e.changes.Unlock()
	e.state.Store(&state{Settings: e.initial})
}

// checkSettings checks what depends on the vendor, and then the rest.
func (e *Emulator) checkSettings(s Settings) error {
	if only := s.Login.Only; only != "" && !slices.Contains(e.vendor.kinds, only) {
		return fmt.Errorf("login.only: %q is none of %s", only, list(e.vendor.kinds))
	}
	if only := s.API.Only; only != "" && !slices.Contains(e.Handlers(), only) {
		return fmt.Errorf("api.only: %q is none of %s", only, list(e.Handlers()))
	}
	return s.check()
}

// ActionName is what an [Action] does to tokens.
type ActionName string

// The actions.
const (
	// Rotate replaces tokens at the vendor: the values in use go bad, the next
	// login gets others.
	Rotate ActionName = "rotate"
	// Expire makes tokens expire now, however long they had.
	Expire ActionName = "expire"
	// Kick revokes tokens.
	Kick ActionName = "kick"
)

// Action ends tokens that are good.
type Action struct {
	Do ActionName `json:"action"`
	// Kind restricts it to one kind of token; "": all kinds.
	Kind string `json:"kind,omitzero"`
	// Owner restricts it to one account, named as the package comment says
	// of each vendor; "": all.
	Owner string `json:"owner,omitzero"`
	// Limit is the greatest number of tokens, the newest first; 0: all.
	Limit int `json:"limit,omitzero"`
	// Grace lets rotated tokens work for a while longer.
	Grace Duration `json:"grace,omitzero"`
}

func (e *Emulator) checkAction(a Action) error {
	if err := oneOf("action", a.Do, []ActionName{Rotate, Expire, Kick}); err != nil {
		return err
	}
	if a.Kind != "" && !slices.Contains(e.vendor.kinds, a.Kind) {
		return fmt.Errorf("kind: %q is none of %s", a.Kind, list(e.vendor.kinds))
	}
	if a.Limit < 0 || a.Grace < 0 {
		return fmt.Errorf("action %s: limit and grace cannot be negative", a.Do)
	}
	if a.Grace > 0 && a.Do != Rotate {
		return fmt.Errorf("action %s: only rotate has a grace", a.Do)
	}
	return nil
}

// Do performs an action at once and returns how many tokens it ended. The error
// says what is wrong with the action.
func (e *Emulator) Do(a Action) (int, error) {
	if err := e.checkAction(a); err != nil {
		return 0, err
	}
	now := e.now()
	fate := map[ActionName]condition{Rotate: rotated, Expire: expired, Kick: kicked}[a.Do]
	n := e.ledger.selectTokens(a.Kind, a.Owner, a.Limit, func(g *grant) bool {
		return g.end(fate, now, now.Add(time.Duration(a.Grace)))
	})
	e.counts.action(a.Do, n)
	return n, nil
}

// patch is the JSON document of [Emulator.Apply].
type patch struct {
	*Settings
	Do []Action `json:"do"`
}

// Apply changes the settings that the JSON document names, its members being
// those of [Settings], and then performs the actions in its member "do", a list
// of [Action]. It returns how many tokens the actions ended. If
// anything in the document is wrong it does nothing.
func (e *Emulator) Apply(document []byte) (int, error) {
	var bad error
	var actions []Action
	err := e.Change(func(s *Settings) {
		after := *s
		p := patch{Settings: &after}
		if bad = decodeStrict(document, &p); bad != nil {
			return
		}
		for _, a := range p.Do {
			if bad = e.checkAction(a); bad != nil {
				return
			}
		}
		*s, actions = *p.Settings, p.Do
	})
	if bad != nil || err != nil {
		return 0, cmp.Or(bad, err)
	}
	total := 0
	for _, a := range actions {
		n, err := e.Do(a)
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}
