package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	// Prepare writes the configuration into the site's folder and returns the
	// command.
	Prepare func(tool string, c loadCase, s site) (argv, env []string, err error)
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
	return []proxy{
		nginx,
		again,
		{
			Name: "haproxy", Title: "HAProxy", About: "HAProxy", Tool: "haproxy", VersionArgs: []string{"-v"},
			Prepare: func(tool string, c loadCase, s site) ([]string, []string, error) {
				return []string{tool, "-db", "-f", "haproxy.cfg"}, nil, write(s, "haproxy.cfg", haproxyConfig(c, s))
			},
		},
		{
			Name: "attache", Title: "attache", About: "attache", Tool: attache, VersionArgs: []string{"version"},
			Prepare: func(tool string, c loadCase, s site) ([]string, []string, error) {
				config, recipe := attacheConfig(c, s)
				if err := write(s, "bench.yaml", recipe); err != nil {
					return nil, nil, err
				}
				return []string{tool, "run", "-c", "attache.yaml"}, nil, write(s, "attache.yaml", config)
			},
		},
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
