package config

import (
	"slices"

	"attache/internal/yamldoc"
)

// Handout is the listener that hands tokens themselves to processes that cannot
// send their requests through the proxy.
type Handout struct {
	// Listener is a Unix socket, or an address with Callers. It has neither
	// Hosts nor Origins, and is never Unsafe.
	Listener
	// Credentials are those whose tokens are handed out, in the order of the
	// file.
	Credentials []string
}

// handout reads the hand-out. use notes the place where it listens.
func (l *loader) handout(v yamldoc.Value, use func(v yamldoc.Value, place, key string)) {
	if v.IsZero() {
		return
	}
	o := v.Object("address", "unix", "mode", "owner", "tls", "callers", "limits", "credentials")
	if !v.IsMap() {
		return
	}
	h := &Handout{}
	if at, ok := l.endpoint(o, &h.Listener); ok {
		use(at, h.place(), "handout")
		if h.Unix == nil && !o.Has("callers") {
			at.Errorf("whoever reaches this address would get the tokens themselves: say with callers who may, or use unix, where the file's mode says it")
		}
		inClear(o, &h.Listener, "")
	}
	var chosen []string
	names := o.Get("credentials")
	for _, item := range names.List(false) {
		text, ok := item.Text()
		if ok && l.byName[text] == nil {
			item.Errorf("there is no credential %s%s", text, yamldoc.DidYouMean(text, l.draftNames()))
		}
		chosen = append(chosen, text)
	}
	if names.IsList() && len(chosen) == 0 {
		names.Errorf("want at least one credential; without this key it is all of them")
	}
	for _, d := range l.drafts {
		if names.IsZero() || slices.Contains(chosen, d.name) {
			d.used = true
			h.Credentials = append(h.Credentials, d.name)
		}
	}
	l.cfg.Handout = h
}
