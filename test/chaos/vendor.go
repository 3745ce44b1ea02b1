package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Lifetimes of the tokens of a vendor, in seconds what they are in hours in life.
type lifetimes struct{ user, admin, corp, session time.Duration }

// vendor is an OpenIM-like server: a new token of a user kills the one before.
// Besides it has tokens of OAuth 2.0. It listens on an address for each process,
// so that it knows who calls.
type vendor struct {
	now    func() time.Duration
	ledger *ledger
	life   lifetimes
	fate   fate
	// forgiving: a refresh token is good for ever.
	forgiving bool
	// explain says why a login came that the ideal has not.
	explain func(a *account, last *issue, process int) string
	servers []*http.Server

	served, refused atomic.Int64 // requests of the API
	attempts        atomic.Int64 // logins, whatever became of them
	spoiled         atomic.Int64 // logins that the plan made fail
}

// fate is what the plan does to logins and answers. The zero value: nothing.
type fate struct {
	mu       sync.Mutex
	failing  int           // 1 in failing fails; 0: none
	throttle bool          // 429
	slow     time.Duration // before the answer
	hang     chan struct{} // logins wait until it is closed; nil: they do not
	turn     int
	// breakage is a mistake of the vendor that the bench must find; see breakages.
	breakage string
}

// Paths of the API; every answer repeats what was asked.
const (
	chatPath    = "/chat/"
	userPath    = "/users/"
	corpPath    = "/corp/"
	sessionPath = "/session/"
)

func randomText() string { return rand.Text() }

// listen serves process p, logins on one address and the API on another.
func (v *vendor) listen(p int) (login, api string, err error) {
	logins := http.NewServeMux()
	logins.HandleFunc("/auth/get_admin_token", v.login(p, v.adminToken))
	logins.HandleFunc("/auth/get_user_token", v.login(p, v.userToken))
	logins.HandleFunc("/oauth/token", v.login(p, v.oauth))
	if login, err = v.serve(logins); err != nil {
		return "", "", err
	}
	api, err = v.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { v.api(p, w, r) }))
	return login, api, err
}

func (v *vendor) serve(h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: noLog()}
	v.servers = append(v.servers, s)
	go s.Serve(l)
	return l.Addr().String(), nil
}

func (v *vendor) close() {
	v.fate.setHang(false)
	for _, s := range v.servers {
		s.Close()
	}
}

// login is what all logins have in common: what the plan does to them.
func (v *vendor) login(p int, answer func(p int, w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v.attempts.Add(1)
		if v.fate.spoil(w, r) {
			v.spoiled.Add(1)
			return
		}
		answer(p, w, r)
	}
}

// spoil does what the plan wants, and reports whether that was the answer.
func (f *fate) spoil(w http.ResponseWriter, r *http.Request) bool {
	f.mu.Lock()
	f.turn++
	turn := f.turn
	fails := f.failing > 0 && turn%f.failing == 0
	throttle, slow, hang := f.throttle, f.slow, f.hang
	f.mu.Unlock()
	for _, until := range []<-chan struct{}{hang, after(slow)} {
		if until == nil {
			continue
		}
		select {
		case <-until:
		case <-r.Context().Done():
			return true
		}
	}
	switch {
	case throttle:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many", http.StatusTooManyRequests)
	case fails && turn%2 == 0:
		http.Error(w, "broken", http.StatusInternalServerError)
	case fails:
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}
	return throttle || fails
}

func after(d time.Duration) <-chan struct{} {
	if d == 0 {
		return nil
	}
	c := make(chan struct{})
	time.AfterFunc(d, func() { close(c) })
	return c
}

func (f *fate) set(change func(*fate)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fate) setHang(on bool) {
	f.set(func(f *fate) {
		switch {
		case on && f.hang == nil:
			f.hang = make(chan struct{})
		case !on && f.hang != nil:
			close(f.hang)
			f.hang = nil
		}
	})
}

func (f *fate) broken() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.breakage
}

// issue makes a token of an account.
func (v *vendor) issue(a *account, p int) *issue {
	i := a.grant(p, v.now(), v.ledger.newValue(strings.ReplaceAll(a.name, "/", "-")), func(last *issue) string { return v.explain(a, last, p) })
	v.ledger.note(a, i)
	return i
}

func (v *vendor) adminToken(p int, w http.ResponseWriter, r *http.Request) {
	var in struct{ Secret, UserID string }
	if !readJSON(w, r, &in) {
		return
	}
	if !strings.HasPrefix(in.Secret, "bench-secret") {
		chatAnswer(w, 1001, nil)
		return
	}
	// A file's process has a secret, and so an administrator, of its own.
	v.giveChat(w, v.ledger.open("admin"+strings.TrimPrefix(in.Secret, "bench-secret"), v.life.admin, false), p)
}

func (v *vendor) userToken(p int, w http.ResponseWriter, r *http.Request) {
	var in struct {
		PlatformID int
		UserID     string
	}
	if !readJSON(w, r, &in) {
		return
	}
	e, ok := v.ledger.look(r.Header.Get("token"))
	switch {
	case !ok:
		chatAnswer(w, 1502, nil)
	case !strings.HasPrefix(e.account.name, "admin"):
		chatAnswer(w, 1002, nil)
	case !e.issue.goodAt(v.now()):
		chatAnswer(w, 1503, nil)
	default:
		e.issue.used[p].CompareAndSwap(0, int64(v.now()))
		v.giveChat(w, v.ledger.open("chat/"+in.UserID, v.life.user, true), p)
	}
}

func (v *vendor) giveChat(w http.ResponseWriter, a *account, p int) {
	i := v.issue(a, p)
	chatAnswer(w, 0, map[string]any{"token": i.value, "expireTimeSeconds": int(a.lifetime / time.Second)})
}

// api answers requests with a good token by what they asked, and refuses others.
func (v *vendor) api(p int, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	oauth := strings.HasPrefix(r.URL.Path, corpPath) || strings.HasPrefix(r.URL.Path, sessionPath)
	value := r.Header.Get("token")
	if oauth {
		value = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	e, ok := v.ledger.look(value)
	now := v.now()
	if !ok || !e.issue.goodAt(now) || !e.account.serves(r) || v.mistaken(r) {
		v.refused.Add(1)
		if oauth {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		chatAnswer(w, 1503, nil)
		return
	}
	e.issue.used[p].CompareAndSwap(0, int64(now))
	v.served.Add(1)
	id := r.Header.Get("Bench-Id")
	if v.fate.broken() == breakMixed && strings.HasSuffix(id, "7") {
		id = "another"
	}
	chatAnswer(w, 0, map[string]any{"id": id, "sum": sum(body), "pad": strings.Repeat("x", 200)})
}

// mistaken refuses good tokens where that is asked for.
func (v *vendor) mistaken(r *http.Request) bool {
	return v.fate.broken() == breakRefusing && strings.HasSuffix(r.Header.Get("Bench-Id"), "77")
}

// serves reports whether a token is for what the request asks for.
func (a *account) serves(r *http.Request) bool { return a.name == r.Header.Get("Bench-Account") }

func sum(body []byte) string {
	h := fnv.New64a()
	h.Write(body)
	return fmt.Sprintf("%x", h.Sum64())
}

func readJSON(w http.ResponseWriter, r *http.Request, in any) bool {
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(in); err != nil {
		chatAnswer(w, 1001, nil)
		return false
	}
	return true
}

func chatAnswer(w http.ResponseWriter, code int, data map[string]any) {
	text, _ := json.Marshal(map[string]any{"errCode": code, "errMsg": http.StatusText(code), "data": data})
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}
