package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// baseline is what all others are compared with.
const baseline = "nginx"

// proxy is one that is measured.
type proxy struct {
	Name  string
	Title string // in tables and pictures
	About string // for -h
	// Tool is the program that it needs; paths have a slash.
	Tool string
	// VersionArgs make the program print its version.
	VersionArgs []string
	// Partner makes it one that takes part in the cases named here alone, with the
	// requests of the plain case: in the same rounds it is what another of its kind
	// is compared with. It has no ratio to the baseline.
	Partner []string
	// PerUser says that it adds the token of the user who asks, where the case has
	// users.
	PerUser bool
	// Prepare writes the configuration into the site's folder and returns the
	// command.
	Prepare func(tool string, c loadCase, s site) (argv, env []string, err error)
}

// partnerName is attache's plain case within the rounds of others.
const partnerName = "attache-plain"

// attacheProxy is the binary with a lane; an empty one is what it chooses itself.
func attacheProxy(program, lane string) proxy {
	return proxy{
		Name: "attache", Title: "attache", About: "attache", Tool: program, VersionArgs: []string{"version"}, PerUser: true,
		Prepare: func(tool string, c loadCase, s site) ([]string, []string, error) {
			config, recipe := attacheConfig(c, s, lane)
			if err := write(s, "bench.yaml", recipe); err != nil {
				return nil, nil, err
			}
			return []string{tool, "run", "-c", "attache.yaml"}, nil, write(s, "attache.yaml", config)
		},
	}
}

// takesPart reports whether a proxy is measured in a case.
func (p proxy) takesPart(c loadCase) bool {
	return p.Partner == nil || slices.Contains(p.Partner, c.Name)
}

// gets is what is asked of the proxy in a case.
func (p proxy) gets(c loadCase) loadCase {
	if p.Partner != nil {
		return plain()
	}
	return c
}

// isPartner reports whether a name is that of a partner.
func isPartner(name string) bool {
	return slices.ContainsFunc(proxies("", ""), func(p proxy) bool { return p.Name == name && p.Partner != nil })
}

// proxies lists all of them in the order in which they are shown. tools is the
// folder of programs that are built for this.
func proxies(attache, tools string) []proxy {
	nginx := proxy{
		Name: baseline, Title: "nginx", About: "nginx, the baseline", Tool: "nginx", VersionArgs: []string{"-v"},
		Prepare: func(tool string, c loadCase, s site) ([]string, []string, error) {
			return []string{tool, "-p", s.Folder, "-c", "nginx.conf", "-e", "stderr"}, nil, write(s, "nginx.conf", nginxConfig(c, s))
		},
	}
	again := nginx
	again.Name, again.Title, again.About = "nginx-again", "nginx again", "the same nginx once more: its ratio shows the noise"
	own := attacheProxy(attache, "")
	standard := attacheProxy(attache, "standard")
	standard.Name, standard.Title, standard.About = "attache-standard", "attache, standard lane", "the same attache with `lane: standard`"
	partner := own
	partner.Name, partner.Title, partner.Partner = partnerName, "attache, 200 bytes", []string{"json", "users"}
	partner.About = "the same attache with the requests of the case small, in the rounds of json and users, which are compared with it"
	return []proxy{
		nginx,
		again,
		{
			Name: "haproxy", Title: "HAProxy", About: "HAProxy", Tool: "haproxy", VersionArgs: []string{"-v"},
			Prepare: func(tool string, c loadCase, s site) ([]string, []string, error) {
				return []string{tool, "-db", "-f", "haproxy.cfg"}, nil, write(s, "haproxy.cfg", haproxyConfig(c, s))
			},
		},
		own,
		partner, // beside the one that is compared with it
		standard,
		{
			Name: "reverseproxy", Title: "ReverseProxy", About: "a bare httputil.ReverseProxy of Go's standard library", Tool: os.Args[0],
			Prepare: func(tool string, c loadCase, s site) ([]string, []string, error) {
				scheme, port := s.upstream(c)
				return []string{tool, roleReverseProxy, fmt.Sprintf("127.0.0.1:%d", s.Listen),
					fmt.Sprintf("%s://127.0.0.1:%d", scheme, port), s.CA}, []string{"BENCH_TOKEN=" + s.Token}, nil
			},
		},
		{
			Name: "caddy", Title: "Caddy", About: "Caddy", Tool: filepath.Join(tools, "caddy"),
			Prepare: func(tool string, c loadCase, s site) ([]string, []string, error) {
				return []string{tool, "run", "--config", "Caddyfile", "--adapter", "caddyfile"},
					[]string{"XDG_DATA_HOME=" + s.Folder, "XDG_CONFIG_HOME=" + s.Folder, "HOME=" + s.Folder}, write(s, "Caddyfile", caddyConfig(c, s))
			},
		},
	}
}

func proxyNames() []string {
	var names []string
	for _, p := range proxies("", "") {
		names = append(names, p.Name)
	}
	return names
}

// title returns how a proxy is called in tables and pictures.
func title(name string) string {
	for _, p := range proxies("", "") {
		if p.Name == name {
			return p.Title
		}
	}
	return name
}

func write(s site, name, text string) error {
	return os.WriteFile(filepath.Join(s.Folder, name), []byte(text), 0o600)
}

// find returns the absolute path of a proxy's program.
func (p proxy) find() (string, error) {
	path, err := exec.LookPath(p.Tool)
	if err != nil && filepath.Base(p.Tool) == p.Tool {
		// Debian keeps servers where an ordinary user's PATH does not look.
		path, err = exec.LookPath("/usr/sbin/" + p.Tool)
	}
	if err != nil {
		return "", fmt.Errorf("find %s: %w; scripts/bench.sh, which `make bench` runs, gets it, or leave it out with --proxies", p.Name, err)
	}
	return filepath.Abs(path)
}

var versionNumber = regexp.MustCompile(`v?[0-9]+\.[0-9]+[^\s,)]*`)

// version returns the version that a program says it has.
func (p proxy) version(tool string) string {
	if p.VersionArgs == nil {
		// One in Go that says nothing of itself still carries its module's version.
		info, err := buildinfo.ReadFile(tool)
		if err != nil || info.Main.Path == "attache" {
			return ""
		}
		return info.Main.Version
	}
	out, err := exec.Command(tool, p.VersionArgs...).CombinedOutput()
	if err != nil {
		return "unknown"
	}
	if p.Name == "attache" {
		first, _, _ := strings.Cut(strings.TrimPrefix(string(out), "attache "), " ")
		return strings.TrimSpace(first)
	}
	return string(versionNumber.Find(out))
}
