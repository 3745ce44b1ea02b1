package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/refresher"
)

// laneSetup is a proxy that both lanes serve.
type laneSetup struct {
	plan    func() *testPlan
	slotted bool // the plan's token is that of a real pool
	front   Front
}

func laneSetups() []laneSetup {
	var all []laneSetup
	for i := range wirePlans() {
		all = append(all, laneSetup{plan: func() *testPlan { return wirePlans()[i] }})
	}
	callers := NewCallers([]Caller{{Name: "app", Bearer: secret.New("0123456789abcdef")}}, nil)
	return append(all,
		laneSetup{plan: judgingPlan, slotted: true},
		laneSetup{plan: judgingPlan, slotted: true, front: Front{Guard: &Guard{Loopback: true}}},
		laneSetup{plan: bearerPlan, slotted: true, front: Front{Callers: callers}},
	)
}

// judgingPlan refuses by status and by body, and hides.
func judgingPlan() *testPlan {
	p := bearerPlan()
	p.bodies = true
	p.hide = []exchange.Name{header("X-Hidden"), header("Date"), {In: exchange.Cookie, Name: "sid"}}
	p.wants = func(_, ans exchange.Head) exchange.BodyWant {
		if ans.Status == 200 {
			return exchange.JSONBody
		}
		return exchange.NoBody
	}
	p.judge = func(_, ans exchange.Head, body []byte) (v exchange.Verdict) {
		switch {
		case ans.Status == http.StatusUnauthorized:
			v.Refused = []exchange.Refusal{{Signal: exchange.SignalStatus}}
		case strings.Contains(string(body), `"token"`):
			v.Refused = []exchange.Refusal{{Signal: exchange.SignalBody}}
		}
		return v
	}
	return p
}

// laneAnswered is an answer as the client got it.
type laneAnswered struct {
	head, body, trailer string
	closes              bool
	broken              bool // it has no end
}

// laneOutcome is what came of a connection.
type laneOutcome struct {
	seen    []*strictRequest
	broken  error
	answers []laneAnswered
	raw     string
	counts  string
	early   bool
}

// runLane lets a client write in on one connection to a proxy on one lane.
func runLane(t *testing.T, standard bool, s laneSetup, in []byte, up *laneUpstream) (o laneOutcome) {
	synctest.Test(t, func(t *testing.T) {
		network := &pipes{serve: func(_ int, c net.Conn) { up.serve(c) }}
		rt, err := NewTransport(TransportConfig{Upstream: mustURL(t, "http://"+wireHost), Dial: network.dial, HeaderTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		var slots []Slot
		if s.slotted {
			slots = []Slot{addToken(t, startEngine(t), "access", &source{t: t, fetch: func(n int, _ refresher.Input) (refresher.Token, error) {
				return lasting(fmt.Sprint("token", n)), nil
			}})}
		}
		m := &counters{}
		front := s.front
		front.Proxy = newProxyWithMetrics(t, s.plan(), rt, slots, m, func(r *Route) {
			r.Upstream, r.ReplayMaxBody = mustURL(t, "http://"+wireHost), 1000
		})
		b := Bounds{Connections: 10, Header: 2 << 10, HeaderTimeout: time.Minute, Idle: time.Hour, Stall: time.Minute}
		server := b.Server(front.Handler())
		server.ErrorLog = log.New(io.Discard, "", 0)
		listener := &memoryListener{conns: make(chan net.Conn), shut: make(chan struct{})}
		l := onLaneOf(standard, b, b.Listener(listener), server, front.Proxy)
		if l.express != nil {
			l.express.Show(&front)
		}
		conn := newScriptConn(in)
		conn.patience = 10 * time.Minute
		listener.conns <- conn
		<-conn.gone
		l.close()
		rt.Close()
		time.Sleep(time.Hour) // what is still about to end does
		network.wait()
		o.seen, o.broken, o.raw = up.seen, up.broken, conn.out.String()
		o.counts = fmt.Sprint(m.started, " started; codes ", m.codes, "; replays ", m.replays, "; unavailable ", m.unavailable, "; upstream ", m.upstream)
	})
	o.answers = readAnswers(o.raw, accepted(in))
	o.early = up.early
	return o
}

// trim takes out what came of requests beyond the first n, which an upstream answered
// while they broke off: which of the two is seen first is a matter of time.
func (o *laneOutcome) trim(n int) {
	for i := range o.answers {
		if n == 0 {
			o.answers = o.answers[:i]
			break
		}
		if !strings.HasPrefix(o.answers[i].head, "1") {
			n--
		}
	}
	o.seen = slices.DeleteFunc(o.seen, func(r *strictRequest) bool { return !r.whole })
	o.counts = ""
}

// wholeRequests returns how many requests of a client have an end.
func wholeRequests(in []byte) (n int) {
	return len(slices.DeleteFunc(accepted(in), func(r *http.Request) bool {
		text, _ := io.ReadAll(r.Body)
		return int64(len(text)) < r.ContentLength
	}))
}

// readAnswers reads what a client got for its requests.
func readAnswers(raw string, requests []*http.Request) (all []laneAnswered) {
	in := bufio.NewReader(strings.NewReader(raw))
	for i := 0; ; {
		if _, err := in.Peek(1); err != nil {
			return all
		}
		var r *http.Request
		if i < len(requests) {
			r = requests[i]
		}
		ans, err := http.ReadResponse(in, r)
		if err != nil {
			rest, _ := io.ReadAll(in)
			return append(all, laneAnswered{head: fmt.Sprintf("unreadable: %v, %.200q", err, rest), broken: true})
		}
		body, err := io.ReadAll(ans.Body)
		a := laneAnswered{body: string(body), trailer: fieldsText(ans.Trailer), closes: ans.Close, broken: err != nil}
		_, dated := ans.Header["Date"]
		delete(ans.Header, "Date")
		bodiless := !bodyAllowed(ans.StatusCode) || r != nil && r.Method == http.MethodHead
		if !bodiless { // how a body is framed is up to the lane
			delete(ans.Header, "Content-Length")
		}
		delete(ans.Header, "Trailer")
		a.head = fmt.Sprintf("%s dated %v\n%s", ans.Status, dated, fieldsText(ans.Header))
		all = append(all, a)
		if ans.StatusCode >= 200 || ans.StatusCode == 101 {
			i++
		}
		if ans.StatusCode == 101 {
			return all
		}
	}
}

func fieldsText(h http.Header) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h)) {
		fmt.Fprintf(&b, "%s: %q\n", name, h[name])
	}
	return b.String()
}

// requestText is a request as far as it counts.
func requestText(r *strictRequest) string {
	h, trailers := http.Header{}, http.Header{}
	for _, f := range r.fields {
		h[f.name] = append(h[f.name], f.value)
	}
	for _, f := range r.trailers {
		trailers[f.name] = append(trailers[f.name], f.value)
	}
	for _, h := range []http.Header{h, trailers} {
		if lists := h["Trailer"]; lists != nil { // the order of the names is a map's
			names := strings.Split(strings.Join(lists, ", "), ", ")
			slices.Sort(names)
			h["Trailer"] = names
		}
	}
	return fmt.Sprintf("%s %s\n%s%q whole %v\n%s", r.method, r.target, fieldsText(h), r.body, r.whole, fieldsText(trailers))
}

// isRefusal reports whether a lane refused what it could not read, or found ambiguous.
func (a laneAnswered) isRefusal() bool {
	return a.closes && (strings.HasPrefix(a.head, "400 Bad Request dated false") || strings.Contains(a.body, "the request's body could not be read"))
}

// differences tells in which ways the express lane does something else than the
// standard lane, but for requests that it refuses.
func differences(express, standard laneOutcome) (all []string) {
	differ := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if express.broken != nil {
		differ("the express lane sends what is not strictly HTTP: %v", express.broken)
	}
	express.allowFor(&standard)
	ours, theirs := withoutLastRefusal(express.answers), withoutLastRefusal(standard.answers)
	refused := len(ours) < len(express.answers)
	for i := range max(len(ours), len(theirs)) {
		switch {
		case i >= len(ours):
			if !refused && !theirs[i].broken {
				differ("answer %d is missing, which is\n%v", i, theirs[i])
			}
			if !refused {
				continue
			}
		case i >= len(theirs):
			if !ours[i].broken {
				differ("answer %d is on the express lane alone:\n%v", i, ours[i])
			}
		case ours[i].broken && theirs[i].broken: // how much of it came is a matter of time
		case ours[i] != theirs[i]:
			differ("answer %d: express\n%v\nstandard\n%v", i, ours[i], theirs[i])
		}
	}
	for i := range max(len(express.seen), len(standard.seen)) {
		switch {
		case i >= len(express.seen):
			if !refused {
				differ("upstream request %d is missing, which is\n%s", i, requestText(standard.seen[i]))
			}
		case i >= len(standard.seen):
			differ("upstream request %d is on the express lane alone:\n%s", i, requestText(express.seen[i]))
		default:
			if a, b := requestText(express.seen[i]), requestText(standard.seen[i]); a != b && !(refused && !express.seen[i].whole) {
				differ("upstream request %d: express\n%s\nstandard\n%s", i, a, b)
			}
		}
	}
	if !refused && express.counts != standard.counts {
		differ("counters: express\n%s\nstandard\n%s", express.counts, standard.counts)
	}
	return all
}

// allowFor takes out what the lanes may do in ways of their own.
func (o *laneOutcome) allowFor(standard *laneOutcome) {
	for i := range min(len(o.answers), len(standard.answers)) {
		a, b := &o.answers[i], &standard.answers[i]
		switch {
		case isMadeHere(a.head) && b.closes && !a.closes && a.head == b.head:
			// A request that is refused before anybody has read its body costs the
			// standard lane the connection. The express lane may have all of it.
			a.closes = true
			o.answers, o.seen = o.answers[:i+1], o.seen[:min(len(o.seen), len(standard.seen))]
			o.counts = standard.counts
		case strings.Contains(b.body, "switches protocols in the midst of a body") && strings.Contains(a.body, "switched to another protocol"):
			*a = *b // a short body was sent before
			o.counts = standard.counts
		}
	}
}

func isMadeHere(head string) bool { return strings.Contains(head, `Proxy-Status: ["attache; error=`) }

func withoutLastRefusal(all []laneAnswered) []laneAnswered {
	if n := len(all); n > 0 && all[n-1].isRefusal() {
		return all[:n-1]
	}
	return all
}

// compareLanes fails the test unless both lanes do the same for what a client writes.
func compareLanes(t *testing.T, s laneSetup, in, raw, choice []byte) {
	t.Helper()
	answers := append(laneAnswers(), laneAnswer{raw: string(raw), ends: true})
	var outcomes [2]laneOutcome
	for i := range outcomes {
		outcomes[i] = runLane(t, i == 1, s, in, &laneUpstream{answers: answers, choice: choice})
	}
	if outcomes[0].early || outcomes[1].early {
		for i := range outcomes {
			outcomes[i].trim(wholeRequests(in))
		}
	}
	if all := differences(outcomes[0], outcomes[1]); len(all) > 0 {
		t.Errorf("%s\nthe client writes\n%q\nanswers are %v, raw %q\nexpress\n%q\nstandard\n%q",
			strings.Join(all, "\n"), in, choice, raw, clip(outcomes[0].raw), clip(outcomes[1].raw))
	}
}

func clip(s string) string { return s[:min(len(s), 3000)] }

// FuzzLanes: whatever a client writes, and whatever an upstream answers, a proxy does
// the same on both lanes, except that the express lane may refuse a request.
func FuzzLanes(f *testing.F) {
	setups := laneSetups()
	for i, seed := range append(injectionSeeds(), laneSeeds()...) {
		in := []byte(strings.ReplaceAll(strings.ReplaceAll(seed, "\n", "\r\n"), "\x00", "\n"))
		for s := range setups {
			f.Add(in, []byte("HTTP/1.1 200 OK\r\n\r\nok"), []byte{byte(i + s), 0, byte(7*s + 1), 128}, uint8(s))
		}
	}
	plain := []byte("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\nPOST /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabcHEAD /c HTTP/1.1\r\nHost: localhost\r\n\r\nGET /d HTTP/1.1\r\nHost: localhost\r\n\r\n")
	for a := range laneAnswers() {
		for s := range setups {
			f.Add(plain, []byte{}, []byte{byte(a), byte(50 * s), 0, 0}, uint8(s))
		}
	}
	f.Fuzz(func(t *testing.T, in, raw, choice []byte, which uint8) {
		// Longer ones say nothing new.
		if len(in) > 5000 || len(raw) > 3000 || len(choice) > 100 || bytes.Contains(in, []byte("PRI * HTTP/2.0")) {
			return
		}
		compareLanes(t, setups[int(which)%len(setups)], in, raw, choice)
	})
}
