package main

import (
	"fmt"
	"strings"
)

// site is where a proxy stands: what its configuration needs to know.
type site struct {
	Listen, Admin int // ports on loopback for requests and attache's admin API
	Plain, TLS    int // ports of the upstream
	Folder        string
	CA            string // path of the certificate that signed the upstream's
	Token         string // what the proxies other than attache add
}

func (s site) upstream(c loadCase) (scheme string, port int) {
	if c.TLS {
		return "https", s.TLS
	}
	return "http", s.Plain
}

// attacheConfig returns attache.yaml and the recipe beside it. An empty lane is
// the one that attache chooses.
func attacheConfig(c loadCase, s site, lane string) (config, recipe string) {
	scheme, port := s.upstream(c)
	user, bounds, tls, chosen := "shared", "", "", ""
	if lane != "" {
		chosen = "\nlane: " + lane
	}
	if c.PerUser {
		user = "{header: X-User-Id}"
		bounds = "\n    instances: {max: 20000, logins_per_minute: 1000000}"
	}
	if c.TLS {
		tls = fmt.Sprintf("\n    tls: {ca: %s, server_name: localhost}", s.CA)
	}
	config = fmt.Sprintf(`listen: 127.0.0.1:%d
admin: 127.0.0.1:%d
log: {level: warn, requests: none}%s
credentials:
  bench:
    recipe: ./bench.yaml
    with:
      endpoint: http://127.0.0.1:%d
      user: %s%s
routes:
  - path: /
    upstream: %s://127.0.0.1:%d
    use: [bench]%s
`, s.Listen, s.Admin, chosen, s.Plain, user, bounds, scheme, port, tls)
	body := ""
	if c.JudgesJSON {
		body = "\n  - {token: access, json: {code: [40001, 40014]}}"
	}
	recipe = `recipe: bench
params:
  endpoint: {required: true, type: url}
  user:     {required: true}
tokens:
  access:
    request: {method: POST, url: "${endpoint}/login", json: {user: "${user}"}}
    value: {json: token}
    lifetime: [24h]
inject:
  - {header: Authorization, value: "Bearer ${access}"}
refused:
  - {token: access, status: 401}` + body + "\n"
	return config, recipe
}

func nginxConfig(c loadCase, s site) string {
	scheme, port := s.upstream(c)
	tls := ""
	if c.TLS {
		tls = fmt.Sprintf(`
            proxy_ssl_protocols TLSv1.2 TLSv1.3;
            proxy_ssl_session_reuse on;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate %s;
            proxy_ssl_server_name on;
            proxy_ssl_name localhost;`, s.CA)
	}
	return fmt.Sprintf(`daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events {
    worker_connections 4096;
}
http {
    access_log off;
    keepalive_timeout 10m;
    keepalive_requests 1000000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream api {
        server 127.0.0.1:%d;
        keepalive 512;
        keepalive_timeout 10m;
        keepalive_requests 1000000000;
    }
    server {
        listen 127.0.0.1:%d backlog=4096;
        location / {
            proxy_pass %s://api;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Authorization "Bearer %s";
            proxy_buffer_size 16k;
            proxy_buffers 8 16k;%s
        }
    }
}
`, port, s.Listen, scheme, s.Token, tls)
}

func haproxyConfig(c loadCase, s site) string {
	_, port := s.upstream(c)
	tls := ""
	if c.TLS {
		tls = fmt.Sprintf(" ssl verify required ca-file %s sni str(localhost) verifyhost localhost", s.CA)
	}
	return fmt.Sprintf(`global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 10m
    timeout server 10m
    timeout http-keep-alive 10m
frontend requests
    bind 127.0.0.1:%d
    http-request set-header Authorization "Bearer %s"
    default_backend api
backend api
    http-reuse always
    server api 127.0.0.1:%d pool-purge-delay 10m%s
`, s.Listen, s.Token, port, tls)
}

func caddyConfig(c loadCase, s site) string {
	scheme, port := s.upstream(c)
	tls := ""
	if c.TLS {
		tls = fmt.Sprintf(`
            tls_trust_pool file %s
            tls_server_name localhost`, s.CA)
	}
	return fmt.Sprintf(`{
    admin off
    auto_https off
    persist_config off
    log {
        level ERROR
    }
    servers {
        protocols h1
    }
}
http://127.0.0.1:%d {
    bind 127.0.0.1
    reverse_proxy %s://127.0.0.1:%d {
        header_up Authorization "Bearer %s"
        transport http {
            versions 1.1
            compression off
            keepalive 10m
            keepalive_idle_conns 1024
            keepalive_idle_conns_per_host 1024%s
        }
    }
}
`, s.Listen, scheme, port, s.Token, tls)
}

// shownConfigs returns the configurations of the first case as the
// documentation shows them.
func shownConfigs() string {
	c := cases()[0]
	s := site{Listen: 8000, Admin: 8001, Plain: 9000, TLS: 9443, CA: "ca.pem", Token: "TOKEN"}
	var b strings.Builder
	show := func(name, language, text string) {
		fmt.Fprintf(&b, "\n<details><summary>%s</summary>\n\n```%s\n%s```\n\n</details>\n", name, language, text)
	}
	config, recipe := attacheConfig(c, s, "")
	show("attache.yaml", "yaml", config)
	show("bench.yaml, attache’s recipe", "yaml", recipe)
	show("nginx.conf", "nginx", nginxConfig(c, s))
	show("haproxy.cfg", "text", haproxyConfig(c, s))
	show("Caddyfile", "text", caddyConfig(c, s))
	return b.String()
}
