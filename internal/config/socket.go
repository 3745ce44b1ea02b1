package config

import (
	"io/fs"
	"os/user"
	"runtime"
	"strconv"
	"strings"

	"attache/internal/yamldoc"
)

// Socket is the file of a Unix socket.
type Socket struct {
	Path string
	// Mode says who may connect: whoever may write the file. 0600 when the
	// configuration says nothing.
	Mode fs.FileMode
	// UID and GID own the file; -1: as the process has them.
	UID, GID int
}

// defaultMode lets the user connect that attache runs as.
const defaultMode fs.FileMode = 0o600

// maxSocketPath is the longest path that an address of a Unix socket holds, in
// bytes, beside the NUL behind it.
func maxSocketPath() int {
	if runtime.GOOS == "linux" {
		return 107
	}
	return 103
}

// socket reads unix, mode and owner.
func (l *loader) socket(o yamldoc.Object) (*Socket, bool) {
	s := &Socket{Mode: defaultMode, UID: -1, GID: -1}
	s.Mode = fileMode(o.Get("mode"))
	s.UID, s.GID = owner(o.Get("owner"))
	at := o.Get("unix")
	text, ok := at.Text()
	if !ok {
		return nil, false
	}
	// What begins with @ lies outside the file system on Linux, where no mode
	// protects it.
	if !isPath(text) || strings.HasPrefix(text, "@") || strings.HasSuffix(text, "/") {
		at.Errorf("want the path of a socket, such as /run/attache/attache.sock")
		return nil, false
	}
	s.Path = l.path(text)
	if n := maxSocketPath(); len(s.Path) > n {
		at.Errorf("the path of a socket has at most %d bytes, and this one has %d; choose a shorter one", n, len(s.Path))
		return nil, false
	}
	return s, true
}

// octalText is what fileMode accepts.
const octalText = `^0?[0-7]{3}$`

// fileMode reads the mode of a file as chmod takes it.
func fileMode(v yamldoc.Value) fs.FileMode {
	text, ok := v.Text()
	if !ok {
		return defaultMode
	}
	n, err := strconv.ParseUint(text, 8, 32)
	switch {
	case err != nil || len(text) != 3 && (len(text) != 4 || text[0] != '0'):
		v.Errorf(`want a mode such as "0600" or "0660"`)
	case n&0o222 == 0:
		v.Errorf("nobody could connect: that takes the permission to write")
	}
	return fs.FileMode(n)
}

// owner reads USER or USER:GROUP. -1: not given.
func owner(v yamldoc.Value) (uid, gid int) {
	text, ok := v.Text()
	if !ok {
		return -1, -1
	}
	name, group, both := strings.Cut(text, ":")
	u, ok := userID(v, name)
	if !ok {
		return -1, -1
	}
	if !both {
		return int(u), -1
	}
	g, ok := groupID(v, group)
	if !ok {
		return -1, -1
	}
	return int(u), int(g)
}

// userID returns the number of a user, given by number or name.
func userID(v yamldoc.Value, text string) (uint32, bool) {
	return id(v, text, "user", func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

// groupID returns the number of a group, given by number or name.
func groupID(v yamldoc.Value, text string) (uint32, bool) {
	return id(v, text, "group", func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

func id(v yamldoc.Value, text, what string, lookup func(string) (string, error)) (uint32, bool) {
	const none = 1<<32 - 1 // means "leave it" to chown
	if n, err := strconv.ParseUint(text, 10, 32); err == nil && n != none {
		return uint32(n), true
	}
	number, err := lookup(text)
	n, bad := strconv.ParseUint(number, 10, 32)
	if err != nil || bad != nil || text == "" {
		v.Errorf("there is no such %s on this machine; give the number or the name of one", what)
		return 0, false
	}
	return uint32(n), true
}
