package config

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"attache/internal/secret"
	"attache/internal/yamldoc"
)

// Caller is somebody who may call a listener. Exactly one of Bearer,
// Certificate, UID and GID is set.
type Caller struct {
	// Name stands in logs; unique within the listener.
	Name string
	// Bearer is the token that the caller sends in Proxy-Authorization.
	Bearer secret.String
	// Certificate is a name in the caller's certificate.
	Certificate string
	// UID and GID are those of the process at the other end of a Unix socket.
	UID, GID *uint32
}

// minBearer is the least length of a caller's token, in bytes: shorter ones can
// be guessed.
const minBearer = 16

// callers reads the list of those who may call, and checks that the listener
// can tell them.
func (l *loader) callers(o yamldoc.Object) []Caller {
	v := o.Get("callers")
	if v.IsZero() {
		return nil
	}
	items := v.List(false)
	if v.IsList() && len(items) == 0 {
		v.Errorf("want at least one caller; without callers nobody is asked who they are")
	}
	var list []Caller
	names := map[string]bool{}
	bearers := 0
	for _, item := range items {
		if c, ok := l.caller(o, item, &bearers); ok {
			if names[c.Name] {
				item.Errorf("another caller has the name %q already", c.Name)
			}
			for i := range list {
				if !c.Bearer.IsEmpty() && list[i].Bearer.Equal(c.Bearer) {
					item.Errorf("the caller %s has the same token", list[i].Name)
				}
			}
			names[c.Name] = true
			list = append(list, c)
		}
	}
	return list
}

// caller reads one of them.
func (l *loader) caller(o yamldoc.Object, v yamldoc.Value, bearers *int) (c Caller, ok bool) {
	before := l.rep.Len()
	m := v.Object(callerShape())
	kind, ok := only(m, callerShape().Exactly)
	if !ok {
		if l.rep.Len() == before {
			v.Errorf("want exactly one of bearer, certificate, uid and gid")
		}
		return c, false
	}
	at := m.Get(kind)
	switch kind {
	case "bearer":
		*bearers++
		c.Name = fmt.Sprint("bearer ", *bearers)
		c.Bearer = l.bearer(at)
	case "certificate":
		c.Certificate, _ = at.Text()
		if at.IsScalar() && (c.Certificate == "" || len(c.Certificate) > 255) {
			at.Errorf("want a name in the caller's certificate")
		}
		if !o.Has("tls") {
			at.Errorf("certificates need tls with client_ca")
		}
		c.Name = c.Certificate
	default:
		text, isText := at.Text()
		id := userID
		if kind == "gid" {
			id = groupID
		}
		if !isText {
			return c, false
		}
		n, known := id(at, text)
		switch {
		case !known:
		case !o.Has("unix"):
			at.Errorf("%s goes with unix: of a connection over the network nobody knows the user", kind)
		case runtime.GOOS != "linux":
			at.Errorf("uid and gid of callers are known on Linux only")
		}
		c.UID = &n
		if kind == "gid" {
			c.UID, c.GID = nil, &n
		}
		c.Name = kind + " " + text
	}
	if name := m.Get("name"); !name.IsZero() {
		if text, ok := name.Text(); ok && checkName(name, text) {
			c.Name = text
		}
	}
	return c, l.rep.Len() == before
}

// bearer reads the token of a caller. No message repeats it.
func (l *loader) bearer(v yamldoc.Value) secret.String {
	token, ok := l.value(v)
	if !ok {
		return secret.String{}
	}
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	switch text := token.Reveal(); {
	case strings.ContainsFunc(text, odd):
		v.Errorf("the token must be of printable ASCII without spaces: it is sent in a header")
	case len(text) < minBearer:
		v.Errorf("the token can be guessed: want at least %d characters, for example from `openssl rand -hex 24`", minBearer)
	case v.IsScalar():
		l.warn(v.Problem("a secret stands in the file; write {env: NAME} or {file: PATH}"))
	}
	return token
}

// clientCA checks that tls has a client_ca if and only if a caller needs it.
func clientCA(o yamldoc.Object, t *ServerTLS, callers []Caller) {
	if t == nil {
		return
	}
	needed := slices.ContainsFunc(callers, func(c Caller) bool { return c.Certificate != "" })
	switch {
	case needed && !t.asks:
		o.Get("tls").Errorf("client_ca is missing: a caller is known by a certificate, and that says who may issue it")
	case t.asks && !needed && len(callers) == len(o.Get("callers").List(true)): // else a mistake may be why
		o.Get("tls").Errorf("client_ca has no effect: no caller is known by a certificate")
	}
}
