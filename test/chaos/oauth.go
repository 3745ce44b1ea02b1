package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// firstRefresh begins the refresh token that somebody got by hand, of a session
// whose name follows.
const firstRefresh = "first-refresh-token-"

// oauth answers the token endpoint of OAuth 2.0: with a client's secret a token
// that leaves those before alone, or with a refresh token the next of a session.
func (v *vendor) oauth(p int, w http.ResponseWriter, r *http.Request) {
	client, secret, _ := r.BasicAuth()
	if err := r.ParseForm(); err != nil || secret != "bench-secret" {
		oauthAnswer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	if r.PostForm.Get("grant_type") == "client_credentials" {
		i := v.issue(v.ledger.open("corp/"+client, v.life.corp, false), p)
		oauthAnswer(w, http.StatusOK, map[string]any{"access_token": i.value, "token_type": "Bearer", "expires_in": int(v.life.corp / time.Second)})
		return
	}
	a := v.ledger.open("session/"+client, v.life.session, false)
	next, ok := a.rotate(r.PostForm.Get("refresh_token"), v.ledger)
	if !ok && !v.forgiving {
		oauthAnswer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	i := v.issue(a, p)
	oauthAnswer(w, http.StatusOK, map[string]any{"access_token": i.value, "token_type": "Bearer",
		"expires_in": int(v.life.session / time.Second), "refresh_token": next})
}

// rotate replaces a refresh token. As with many vendors the one before is good
// until its successor is used, because an answer may be lost; one that is older
// is a reuse, which ends sessions, and is counted.
func (a *account) rotate(sent string, l *ledger) (next string, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case (a.refresh == "" || a.consented) && strings.HasPrefix(sent, firstRefresh):
		a.before, a.consented = sent, false
	case sent == a.refresh:
		a.before = sent
	case sent == a.before:
	default:
		a.reused++
		return "", false
	}
	a.refresh = l.newValue("refresh")
	return a.refresh, true
}

func oauthAnswer(w http.ResponseWriter, status int, data map[string]any) {
	text, _ := json.Marshal(data)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(text)
}
