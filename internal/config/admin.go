package config

import (
	"net"

	"attache/internal/shape"
	"attache/internal/yamldoc"
)

// Admin is the listener for those who run attache.
type Admin struct {
	// Address is HOST:PORT; always loopback.
	Address string
	// Quit: POST /-/quit there ends attache as SIGTERM does.
	Quit bool
}

// admin reads an address, or a map around one. at is the address itself.
func admin(v yamldoc.Value) (a Admin, at yamldoc.Value, ok bool) {
	a.Address, at = defaultAdmin, v
	if v.IsMap() {
		o := v.Object(adminShape())
		a.Quit, _ = o.Bool("quit")
		if at = o.Get("address"); at.IsZero() {
			return a, v, true
		}
	}
	address, loopback, ok := hostPort(at)
	switch {
	case !ok:
		return a, at, false
	case !loopback:
		at.Errorf("must be a loopback address such as %s: it asks nobody for a password; for Prometheus and the kubelet there is probes", defaultAdmin)
	}
	a.Address = address
	return a, at, true
}

// CredentialNames returns the names of the credentials in the configuration file at
// path, in its order; nil if it cannot be read. Like [AdminAddress] it looks at
// nothing else.
func CredentialNames(path string) (names []string) {
	data, err := readFile(path)
	if err != nil {
		return nil
	}
	root, ok := yamldoc.Parse(&yamldoc.Report{}, path, data)
	if !ok {
		return nil
	}
	for _, e := range root.Entries() {
		if e.Name != "credentials" {
			continue
		}
		for _, c := range e.Value.Entries() {
			if shape.IsName(c.Name) {
				names = append(names, c.Name)
			}
		}
	}
	return names
}

// AdminAddress returns the address of the admin listener that the configuration
// file at path names, or the default. It looks at nothing else, so that a probe
// that runs every second needs no secret, no recipe, and no file without
// mistakes elsewhere. Errors are [yamldoc.Problems].
func AdminAddress(path string) (string, error) {
	data, err := readFile(path)
	if err != nil {
		return "", yamldoc.Problems{{File: path, Text: err.Error()}}
	}
	rep := &yamldoc.Report{}
	root, ok := yamldoc.Parse(rep, path, data)
	if !ok {
		return "", rep.Err()
	}
	a := Admin{Address: defaultAdmin}
	for _, e := range root.Entries() {
		if e.Name != "admin" {
			continue
		}
		var at yamldoc.Value
		a, at, _ = admin(e.Value)
		if _, port, err := net.SplitHostPort(a.Address); err == nil && port == "0" {
			at.Errorf("port 0 is any free one, so the file does not say which")
		}
	}
	if err := rep.Err(); err != nil {
		return "", err
	}
	return a.Address, nil
}
