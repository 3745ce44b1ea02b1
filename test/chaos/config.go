package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"attache/internal/lanetest"
)

// vendorURL is the vendor's as every process has it: it is part of what a token
// belongs to. Each process gets there through a proxy of its own.
const vendorURL = "http://vendor.test"

// accountsOf returns the names of the vendor's accounts that process p asks for:
// one user, the users of a credential that is keyed by the request, a client,
// and a session.
func accountsOf(p *process) (shop, client string, users []string) {
	if p.file != "" {
		own := fmt.Sprintf("file-%d", p.id)
		return own, own, []string{own + "-u1", own + "-u2"}
	}
	for i := range 6 {
		users = append(users, fmt.Sprintf("u%d", i+1))
	}
	return "shop", "app", users
}

// configure writes the configuration of a process. redis is where its way to Redis
// begins.
func configure(p *process, redis, login, api string, w *world) error {
	shop, client, _ := accountsOf(p)
	secret, store := "bench-secret", ""
	key := filepath.Join(w.dir, "store-key")
	switch {
	case w.part.memory:
		store = "memory"
	case p.file != "":
		secret += "-" + shop
		store = fmt.Sprintf("{file: %q, key: {file: %q}}", p.file, key)
	default:
		store = fmt.Sprintf("{redis: %q, key: {file: %q}}", "redis://:"+redisPassword+"@"+redis+"/0", key)
		if w.part.breakage == breakStrangers {
			store = strings.TrimSuffix(store, "}") + fmt.Sprintf(", namespace: n%d}", p.id)
		}
	}
	level := "info"
	if w.part.debug {
		level = "debug"
	}
	text := fmt.Sprintf(`
log: {level: %[12]s}
listen: %[1]s
admin: %[2]s
store: %[3]s
drain: {delay: 0s}
credentials:
  chat:
    recipe: openim/user
    with: {endpoint: %[4]s, secret: %[5]s, platform_id: 5, user_id: %[6]s}
    proxy: http://%[7]s
    refresh: {timeout: 3s}
  users:
    recipe: openim/user
    with: {endpoint: %[4]s, secret: %[5]s, platform_id: 5, user_id: {header: X-User-Id}}
    proxy: http://%[7]s
    refresh: {timeout: 3s}
  corp:
    recipe: oauth2/client-credentials
    with: {token_url: %[4]s/oauth/token, client_id: %[8]s, client_secret: bench-secret}
    proxy: http://%[7]s
    refresh: {timeout: 3s}
  session:
    recipe: oauth2/refresh-token
    with: {token_url: %[4]s/oauth/token, client_id: %[8]s, client_secret: bench-secret, refresh_token: %[9]s, rotates: %[11]t}
    proxy: http://%[7]s
    refresh: {timeout: 3s}
routes:
  - {path: /chat/, upstream: "http://%[10]s/chat/", use: [chat], timeout: {dial: 2s, response_header: 3s}}
  - {path: /users/, upstream: "http://%[10]s/users/", use: [users], timeout: {dial: 2s, response_header: 3s}}
  - {path: /corp/, upstream: "http://%[10]s/corp/", use: [corp], timeout: {dial: 2s, response_header: 3s}}
  - {path: /session/, upstream: "http://%[10]s/session/", use: [session], timeout: {dial: 2s, response_header: 3s}}
`, p.address, p.admin, store, vendorURL, secret, shop, login, client, firstRefresh+client, api, !w.part.memory, level)
	if err := os.WriteFile(key, []byte("a-key-of-the-bench-with-more-than-32-characters"), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.dir, "attache.yaml"), []byte(lanetest.Configuration(text)), 0o600)
}
