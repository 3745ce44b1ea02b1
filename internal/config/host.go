package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"attache/internal/shape"
	"attache/internal/yamldoc"
)

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
	if host != "" && !shape.IsHostName(host) {
		v.Errorf("the host must be an IP address or a name")
		return "", false, false
	}
	return net.JoinHostPort(host, port), host == "localhost", true
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
	case shape.IsHostName(host):
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
	return err == nil || shape.IsHostName(strings.TrimSuffix(host, "."))
}
