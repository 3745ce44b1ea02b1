package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"attache/internal/yamldoc"
)

// addresses reads listen, admin and probes.
func (l *loader) addresses(o yamldoc.Object) {
	taken := map[string]string{} // address → key that has it
	use := func(v yamldoc.Value, address, key string) {
		if _, port, _ := net.SplitHostPort(address); port == "0" {
			return
		}
		if by, there := taken[address]; there {
			v.Errorf("%s has this address already", by)
			return
		}
		taken[address] = key
	}
	if !o.Has("listen") {
		l.cfg.Listen = []Listener{{Address: defaultListen, Loopback: true}}
		taken[defaultListen] = "listen, by default,"
	}
	if !o.Has("admin") {
		l.cfg.Admin = defaultAdmin
		taken[defaultAdmin] = "admin, by default,"
	}
	for _, v := range listenItems(o.Get("listen")) {
		if ln, at, ok := listener(v); ok {
			use(at, ln.Address, "listen")
			l.cfg.Listen = append(l.cfg.Listen, ln)
		}
	}
	if v := o.Get("admin"); !v.IsZero() {
		if address, loopback, ok := hostPort(v); ok {
			if !loopback {
				v.Errorf("must be a loopback address such as %s: it asks nobody for a password; for Prometheus and the kubelet there is probes", defaultAdmin)
			}
			use(v, address, "admin")
			l.cfg.Admin = address
		}
	}
	if v := o.Get("probes"); !v.IsZero() {
		if address, _, ok := hostPort(v); ok {
			use(v, address, "probes")
			l.cfg.Probes = address
		}
	}
}

// listenItems returns the listeners: one address or map, or a list of them.
func listenItems(v yamldoc.Value) []yamldoc.Value {
	if v.IsNull() || v.IsList() && len(v.List(false)) == 0 {
		v.Errorf("want an address such as %s", defaultListen)
		return nil
	}
	return v.List(true)
}

// listener reads an address, or a map around one. at is the address itself.
func listener(v yamldoc.Value) (ln Listener, at yamldoc.Value, ok bool) {
	at = v
	if v.IsMap() {
		o := v.Object("address", "hosts", "origins", "unsafe")
		at = o.Require("address")
		for _, item := range o.Get("hosts").List(true) {
			if host, ok := hostName(item); ok {
				ln.Hosts = append(ln.Hosts, bracketed(host))
			}
		}
		for _, item := range o.Get("origins").List(true) {
			if origin, ok := site(item); ok {
				ln.Origins = append(ln.Origins, origin)
			}
		}
		ln.Unsafe, _ = o.Get("unsafe").Bool()
	}
	address, loopback, ok := hostPort(at)
	if !ok {
		return ln, at, false
	}
	if !loopback && !ln.Unsafe {
		at.Errorf("other machines reach this address, and whoever reaches it uses your credentials: listen on a loopback address such as %s, or write {address: %q, unsafe: true}", defaultListen, address)
	}
	ln.Address, ln.Loopback = address, loopback
	return ln, at, true
}

// hostPort reads HOST:PORT. An empty host means all addresses.
func hostPort(v yamldoc.Value) (address string, loopback, ok bool) {
	text, ok := v.Text()
	if !ok {
		return "", false, false
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		v.Errorf("want HOST:PORT, such as %s", defaultListen)
		return "", false, false
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		v.Errorf("the port must be a number from 0 to 65535")
		return "", false, false
	}
	host = strings.ToLower(host)
	if ip, err := netip.ParseAddr(host); err == nil {
		return net.JoinHostPort(ip.String(), port), ip.Unmap().IsLoopback(), true
	}
	if host != "" && !isHostName(host) {
		v.Errorf("the host must be an IP address or a name")
		return "", false, false
	}
	return net.JoinHostPort(host, port), host == "localhost", true
}

var hostLabel = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// isHostName reports whether name is a DNS name in lower case. Underscores
// occur in the names of containers.
func isHostName(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !hostLabel.MatchString(label) {
			return false
		}
	}
	return true
}

// routeHost reads a host with or without port, as the Host of a request has it.
func routeHost(v yamldoc.Value) (string, bool) {
	text, ok := v.Text()
	if !ok {
		return "", false
	}
	suffix := ""
	if host, port, err := net.SplitHostPort(text); err == nil && isPort(port) {
		text, suffix = host, ":"+port
	}
	host, ok := checkHost(v, text)
	return bracketed(host) + suffix, ok
}

// bracketed returns a host as the Host of a request has it: IPv6 addresses are
// in brackets there.
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// hostName reads a host name or IP address without port, and returns it in
// lower case; IPv6 addresses may be in brackets.
func hostName(v yamldoc.Value) (string, bool) {
	text, ok := v.Text()
	if !ok {
		return "", false
	}
	if _, _, err := net.SplitHostPort(text); err == nil && !strings.Contains(text, "/") {
		v.Errorf("want a host's name without port: it counts for every port")
		return "", false
	}
	return checkHost(v, text)
}

// checkHost checks a host that stands at v.
func checkHost(v yamldoc.Value, text string) (string, bool) {
	host := strings.TrimSuffix(strings.ToLower(text), ".")
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String(), true
	}
	switch {
	case isHostName(host):
		return host, true
	case strings.Contains(host, "*"):
		v.Errorf("want one host's name; patterns are not supported")
	case strings.Contains(host, "/"):
		v.Errorf("want a host's name alone, without scheme and path")
	default:
		v.Errorf("want a host's name, such as api.localhost")
	}
	return "", false
}

// site reads a web origin and returns it as browsers send it.
func site(v yamldoc.Value) (string, bool) {
	text, ok := v.Text()
	if !ok {
		return "", false
	}
	u, err := url.Parse(strings.ToLower(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" || u.User != nil ||
		strings.ContainsAny(text, "?#") || !validHost(u) {
		v.Errorf("want a site such as https://app.example.com or http://localhost:3000")
		return "", false
	}
	if port := u.Port(); port == "80" && u.Scheme == "http" || port == "443" && u.Scheme == "https" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port) // browsers leave it out
	}
	return u.Scheme + "://" + u.Host, true
}

// isPort reports whether text is a port that something can be reached at.
func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// validHost reports whether u has a host that is a name or an address, and its
// port, if any, is a number.
func validHost(u *url.URL) bool {
	if strings.HasSuffix(u.Host, ":") {
		return false
	}
	if port := u.Port(); port != "" && !isPort(port) {
		return false
	}
	host := strings.ToLower(u.Hostname())
	_, err := netip.ParseAddr(host)
	return err == nil || isHostName(strings.TrimSuffix(host, "."))
}
