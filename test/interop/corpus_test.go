package interop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestRawRequests sends requests that proxies are known to stumble over through
// attache, alone and with nginx or haproxy on either side. Whatever arrives means
// the same to every reader, was really sent, and has the injected credentials
// and none of the client's.
func TestRawRequests(t *testing.T) {
	cases := corpus()
	if len(cases) < 250 {
		t.Fatalf("%d cases", len(cases))
	}
	bare := bareVerdicts(t, cases)
	inLanes(t, func(t *testing.T, l lane) { testRawRequests(t, l, cases, bare) })
}

func testRawRequests(t *testing.T, l lane, cases []rawCase, bare *verdicts) {
	t.Run("attache", func(t *testing.T) {
		up := newRecorder(t)
		a := startInjecting(t, l, up.address)
		answers := sendAll(t, a.address, cases)
		c := judgeChain(t, up, cases, answers)
		for i, rc := range cases {
			c.holdsBack(i, bare)
			if rc.arrives {
				c.arrived(i)
			}
		}
		recordRaw(t, l, "attache alone", cases)
	})
	for _, other := range []struct {
		name  string
		start func(t *testing.T, upstream string) string
	}{{"nginx", startNginx}, {"haproxy", startHaproxy}} {
		t.Run(other.name+" before attache", func(t *testing.T) {
			up := newRecorder(t)
			address := other.start(t, startInjecting(t, l, up.address).address)
			judgeChain(t, up, cases, sendAll(t, address, cases))
			recordRaw(t, l, other.name+" before attache", cases)
		})
		t.Run(other.name+" behind attache", func(t *testing.T) {
			up := newRecorder(t)
			a := startInjecting(t, l, other.start(t, up.address))
			judgeChain(t, up, cases, sendAll(t, a.address, cases))
			recordRaw(t, l, other.name+" behind attache", cases)
		})
	}
}

// recordRaw records a chain in which every case held.
func recordRaw(t *testing.T, l lane, chain string, cases []rawCase) {
	if !t.Failed() {
		record(t, suite{name: "raw HTTP/1 requests, " + chain, lane: l, tests: len(cases), passed: len(cases)})
	}
}

// TestRawRequestsAreAmbiguous sees that the upstream of TestRawRequests would
// notice: without a proxy in between it refuses many of the cases, and each
// lenient reader finds requests in some that the others do not.
func TestRawRequestsAreAmbiguous(t *testing.T) {
	cases := corpus()
	for i := range cases {
		cases[i].arrives = false // the recorder ends no connection by itself
	}
	up := newRecorder(t)
	sendAll(t, up.address, cases)
	faults := 0
	for _, conn := range up.recordings() {
		if conn.fault != nil {
			faults++
		}
	}
	if faults < len(cases)/4 {
		t.Errorf("the recorder finds fault with %d of %d cases", faults, len(cases))
	}
	readers := lenientReaders()
	for i, reader := range readers {
		differs := 0
		for _, c := range cases {
			raw := []byte(fill(c.raw, caseID(0)))
			if !slices.Equal(reader.ids(raw), readers[(i+1)%len(readers)].ids(raw)) {
				differs++
			}
		}
		if differs == 0 {
			t.Errorf("a reader with %q finds what the next one finds", reader.name)
		}
	}
	t.Logf("the recorder finds fault with %d of %d cases", faults, len(cases))
}

func startInjecting(t *testing.T, l lane, upstream string) *attache {
	tokens := newTokenServer(t)
	return l.start(t, fmt.Sprintf(`
listen: 127.0.0.1:0
log: {requests: none}
credentials:
  c: {recipe: %q}
routes:
  - {path: /, upstream: "http://%s", use: [c]}
`, tokens.recipe(t, `
inject:
  - {header: Authorization, value: "Bearer ${access}"}
  - {header: X-Api-Key, value: "${access}"}
  - {query: access_token, value: "${access}"}
`), upstream))
}

// verdicts says how many requests of each id net/http let pass to a handler.
type verdicts struct {
	mu           sync.Mutex
	heads, whole map[string]int
}

// bareVerdicts sends the cases to a server of net/http alone.
func bareVerdicts(t *testing.T, cases []rawCase) *verdicts {
	v := &verdicts{heads: map[string]int{}, whole: map[string]int{}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Id")
		v.mu.Lock()
		v.heads[id]++
		v.mu.Unlock()
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		v.mu.Lock()
		v.whole[id]++
		v.mu.Unlock()
		w.Header().Set("X-Answer", id)
	}))
	server.Config.MaxHeaderBytes = 64 << 10
	server.Config.ErrorLog = discardLog()
	server.Start()
	defer server.Close()
	sendAll(t, server.Listener.Addr().String(), cases)
	return v
}

// chain is what one chain of proxies made of the cases.
type chain struct {
	t            *testing.T
	cases        []rawCase
	heads, whole map[string]int // by id
}

// judgeChain checks what came to the upstream, as a whole and for each case.
func judgeChain(t *testing.T, up *recorder, cases []rawCase, answers []string) *chain {
	c := &chain{t: t, cases: cases, heads: map[string]int{}, whole: map[string]int{}}
	for _, conn := range up.recordings() {
		if conn.fault != nil {
			t.Errorf("the upstream got what is ambiguous: %v\n%.3000q", conn.fault, conn.raw.String())
		}
		var strict []string
		for i := range conn.seen {
			r := &conn.seen[i]
			strict = append(strict, r.id())
			c.heads[r.id()]++
			if r.whole {
				c.whole[r.id()]++
			}
			c.credentials(r)
		}
		for _, reader := range lenientReaders() {
			if got := reader.ids(conn.raw.Bytes()); !slices.Equal(got, strict) {
				t.Errorf("a reader with %q finds the requests %q where a strict one finds %q\n%.3000q", reader.name, got, strict, conn.raw.String())
			}
		}
	}
	total := 0
	for i := range cases {
		total += c.judgeCase(i, answers[i])
	}
	for id, n := range c.heads {
		if !isCaseID.MatchString(id) {
			t.Errorf("%d requests came that nobody sent, X-Id %q", n, id)
		}
	}
	t.Logf("%d cases, %d whole requests at the upstream on %d connections", len(cases), total, len(up.recordings()))
	return c
}

var (
	isCaseID   = regexp.MustCompile(`^case\d+\.[012]$`)
	answeredID = regexp.MustCompile(`(?i)\r\nX-Answer: *([^\r\n]*)`)
)

func caseID(i int) string { return fmt.Sprintf("case%d", i) }

// judgeCase checks that no more came than the case holds, and that each answer
// is that to one of its requests, in order. It returns how many came.
func (c *chain) judgeCase(i int, answer string) (came int) {
	rc := c.cases[i]
	fail := func(format string, args ...any) {
		c.t.Helper()
		c.t.Errorf("%s (%s): %s\nsent %.1500q\nanswered %.600q", rc.name, caseID(i), fmt.Sprintf(format, args...), fill(rc.raw, caseID(i)), answer)
	}
	for n := range 3 {
		id := fmt.Sprintf("%s.%d", caseID(i), n)
		came += c.whole[id]
		if c.heads[id] > 1 {
			fail("request %d came %d times", n, c.heads[id])
		}
		if n > max(rc.holds, 1) && c.heads[id] > 0 {
			fail("request %d came, which is none", n)
		}
		if n > rc.holds && c.whole[id] > 0 {
			fail("request %d came whole", n)
		}
	}
	last := ""
	for _, match := range answeredID.FindAllStringSubmatch(answer, -1) {
		id := match[1]
		if !strings.HasPrefix(id, caseID(i)+".") || id <= last {
			fail("the answer to %q is not the next one", id)
		}
		last = id
	}
	return came
}

// holdsBack checks that nothing came that a server of net/http refuses.
func (c *chain) holdsBack(i int, bare *verdicts) {
	for n := range 3 {
		id := fmt.Sprintf("%s.%d", caseID(i), n)
		if c.heads[id] > bare.heads[id] || c.whole[id] > bare.whole[id] {
			c.t.Errorf("%s (%s): request %d came, which net/http refuses", c.cases[i].name, caseID(i), n)
		}
	}
}

func (c *chain) arrived(i int) {
	for n := 1; n <= c.cases[i].holds; n++ {
		if id := fmt.Sprintf("%s.%d", caseID(i), n); c.whole[id] != 1 {
			c.t.Errorf("%s (%s): request %d did not come", c.cases[i].name, caseID(i), n)
		}
	}
}

// credentials checks that each injected name is there once, with the token, and
// that no token of the client's is left.
func (c *chain) credentials(r *seenRequest) {
	for name, want := range map[string]string{"Authorization": "Bearer token-1", "X-Api-Key": "token-1"} {
		if got := valuesOf(r.fields, name); len(got) != 1 || got[0] != want {
			c.t.Errorf("%s: %s is %q", r.id(), name, got)
		}
		if got := valuesOf(r.trailers, name); len(got) != 0 {
			c.t.Errorf("%s: trailer %s is %q", r.id(), name, got)
		}
	}
	for _, name := range []string{"Content-Length", "Transfer-Encoding", "Host", "Connection", "Trailer"} {
		if got := valuesOf(r.trailers, name); len(got) != 0 {
			c.t.Errorf("%s: trailer %s is %q", r.id(), name, got)
		}
	}
	_, query, _ := strings.Cut(r.target, "?")
	var tokens []string
	for piece := range strings.FieldsFuncSeq(query, func(c rune) bool { return c == '&' || c == ';' }) {
		name, value, _ := strings.Cut(piece, "=")
		if decoded := strings.ToLower(percentDecode(name)); decoded == "access_token" || strings.HasPrefix(decoded, "access_token[") {
			tokens = append(tokens, value)
		}
	}
	if !slices.Equal(tokens, []string{"token-1"}) {
		c.t.Errorf("%s: the query %.200q has the tokens %q", r.id(), query, tokens)
	}
	if text := fmt.Sprint(r.target, r.fields, r.trailers); strings.Contains(text, clientToken) {
		c.t.Errorf("%s: a token of the client's came through: %.2000q", r.id(), text)
	}
}

// percentDecode decodes what is valid and leaves the rest.
func percentDecode(text string) string {
	return escape.ReplaceAllStringFunc(text, func(e string) string {
		var c byte
		fmt.Sscanf(e, "%%%02x", &c)
		return string([]byte{c})
	})
}

var escape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// sendAll sends each case on a connection of its own, many at a time, and returns
// what was answered.
func sendAll(t *testing.T, address string, cases []rawCase) []string {
	answers := make([]string, len(cases))
	next := make(chan int)
	var senders sync.WaitGroup
	for range 64 {
		senders.Go(func() {
			for i := range next {
				var err error
				if answers[i], err = exchangeRaw(address, fill(cases[i].raw, caseID(i)), cases[i].arrives); err != nil {
					t.Errorf("%s: %v", cases[i].name, err)
				}
			}
		})
	}
	for i := range cases {
		next <- i
	}
	close(next)
	senders.Wait()
	return answers
}

// quiet is how long nothing has to come before the client says that it has no
// more to send. It may not say so earlier: for net/http that means the client is
// gone, and a request under way is given up. Nothing depends on it but how many of
// the requests arrive that need not.
const quiet = 400 * time.Millisecond

// exchangeRaw writes raw and returns all that comes back. If the server ends the
// connection by itself, the client waits for that.
func exchangeRaw(address, raw string, ends bool) (string, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	written := make(chan struct{})
	go func() {
		defer close(written)
		io.WriteString(conn, raw) // a server that has seen enough may close
	}()
	if !ends {
		conn.SetReadDeadline(time.Now().Add(quiet))
	}
	var answer strings.Builder
	_, err = io.Copy(&answer, conn)
	if !ends && errors.Is(err, os.ErrDeadlineExceeded) {
		<-written
		conn.(*net.TCPConn).CloseWrite()
		conn.SetReadDeadline(time.Now().Add(patience))
		_, err = io.Copy(&answer, conn)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", fmt.Errorf("the connection does not end: %w", err)
	}
	conn.Close()
	<-written
	return answer.String(), nil // other errors: the server has seen enough
}
