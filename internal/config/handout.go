package config

import (
	"slices"

	"attache/internal/yamldoc"
)

// Handout is a listener that gives tokens themselves to processes that cannot use
// a proxy.
type Handout struct {
	Listener
	// Credentials are those whose tokens are given, in the order of the file's
	// credentials.
	Credentials []string
}

// handout reads where tokens are handed out. at is the address or the socket. A
// token in the wrong hands is worth more than a request, so nothing here may be
// open to whoever reaches it: callers are asked for, or the file of a socket has
// permissions.
func (l *loader) handout(v yamldoc.Value) (at yamldoc.Value, ok bool) {
	if !v.IsMap() {
		v.Errorf("want a map, such as {unix: /run/attache/token.sock}")
		return v, false
	}
	h := &Handout{}
	o := v.Object(handoutShape())
	if at, ok = l.endpoint(o, &h.Listener); !ok {
		return at, false
	}
	switch {
	case h.Unix == nil && !o.Has("callers"):
		at.Errorf("whoever reaches this address could take the tokens: say with callers who may, or use a Unix socket")
	case h.Unix != nil && h.Unix.Mode&0o006 != 0 && !o.Has("callers"):
		o.Get("mode").Errorf("every user of this machine could take the tokens: say with callers who may, or leave out the last digit's permissions")
	default:
		inClear(o, &h.Listener, "")
	}
	l.cfg.Handout, l.handedOut = h, o.Get("credentials")
	return at, true
}

// handoutCredentials reads whose tokens are handed out, now that the credentials
// are known. Without a list it is everybody's.
func (l *loader) handoutCredentials(list yamldoc.Value) {
	if l.cfg.Handout == nil {
		return
	}
	if list.IsZero() {
		l.cfg.Handout.Credentials = l.draftNames()
		for _, d := range l.drafts {
			d.used = true
		}
		return
	}
	if list.IsList() && len(list.List(false)) == 0 {
		list.Errorf("want at least one credential; leave the key out for all of them")
	}
	for _, item := range list.List(true) {
		name, isText := item.Text()
		d := l.byName[name]
		switch {
		case !isText:
		case d == nil:
			item.Errorf("there is no credential %s%s", shown(name), yamldoc.DidYouMean(name, l.draftNames()))
		case slices.Contains(l.cfg.Handout.Credentials, name):
			item.Errorf("%s stands twice", name)
		default:
			d.used = true
			l.cfg.Handout.Credentials = append(l.cfg.Handout.Credentials, name)
		}
	}
}
