package emulator

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The vendors.
const (
	UMS        = "ums"
	QiniuIM    = "qiniu-im"
	HuaweiAICC = "huawei-aicc"
	OpenIM     = "openim"
	OAuth2     = "oauth2"
)

// vendor is what New needs to know of one.
type vendor struct {
	name  string
	about string
	kinds []string // of tokens
	build func(e *Emulator) []*surface
	hints func(base string, s Settings) Hints
}

func vendors() []vendor {
	return []vendor{
		{UMS, "Jiguang UMS and the platforms its tokens are for: WeChat, WeCom, DingTalk old and new", umsTypes(), umsSurfaces, umsHints},
		{QiniuIM, "Qiniu IM (Lanying IM): three logins, refusals inside HTTP 200", []string{"id", "login", "user"}, qiniuSurfaces, qiniuHints},
		{HuaweiAICC, "Huawei Cloud AICC messaging: an access token, a messaging token per user, renewal inside answers", []string{"access", "messaging"}, aiccSurfaces, aiccHints},
		{OpenIM, "OpenIM servers from v2.3 to main: JWTs, kicked tokens, gzip", []string{"admin", "user"}, openIMSurfaces, openIMHints},
		{OAuth2, "an OAuth 2.0 authorization server, and an API that takes its tokens", []string{"access", "refresh"}, oauth2Surfaces, oauth2Hints},
	}
}

// Names returns the names of the vendors, in the order of their introduction.
func Names() []string {
	var names []string
	for _, v := range vendors() {
		names = append(names, v.name)
	}
	return names
}

// About returns one line that says what a vendor's emulator is, or "" for a name
// that is not in [Names].
func About(name string) string {
	for _, v := range vendors() {
		if v.name == name {
			return v.about
		}
	}
	return ""
}

// Options configure an [Emulator]. The zero value is a vendor as its
// documentation has it.
type Options struct {
	// TTL is the first [Settings.TTL]: how long tokens live; 0: as long as the
	// vendor's do.
	TTL time.Duration
	// Now is the clock of lifetimes; nil: time.Now. Delays always use timers.
	Now func() time.Time
	// Rand is where token texts come from; nil: crypto/rand. It need not be safe
	// for concurrent use.
	Rand io.Reader
}

// Emulator is one vendor: its token API, the APIs that take the tokens, and what
// it remembers. It is an [http.Handler] for all of them together. All methods
// are safe for concurrent use.
type Emulator struct {
	vendor   vendor
	surfaces []*surface
	now      func() time.Time
	ledger   *ledger
	counts   *counts

	initial Settings
	changes sync.Mutex // serialises Change
	state   atomic.Pointer[state]

	rand   io.Reader  // nil: crypto/rand
	randMu sync.Mutex // guards rand

	buffers, zippers sync.Pool
}

// New returns the emulator of the vendor with the given name, one of [Names].
func New(name string, opts Options) (*Emulator, error) {
	e := &Emulator{now: opts.Now, rand: opts.Rand, ledger: newLedger()}
	for _, v := range vendors() {
		if v.name == name {
			e.vendor = v
		}
	}
	if e.vendor.name == "" {
		return nil, fmt.Errorf("vendor %q is none of %s", name, strings.Join(Names(), ", "))
	}
	if e.now == nil {
		e.now = time.Now
	}
	e.initial = defaultSettings()
	e.initial.TTL = Duration(opts.TTL)
	if err := e.initial.check(); err != nil {
		return nil, err
	}
	e.state.Store(&state{Settings: e.initial})
	e.surfaces = e.vendor.build(e)
	e.counts = newCounts(e.vendor.kinds, e.surfaces)
	return e, nil
}

// Vendor returns the name given to [New].
func (e *Emulator) Vendor() string { return e.vendor.name }

// ServeHTTP serves everything on one handler: [Emulator.Control] below
// /_emulator/, every handler of [Emulator.Handlers] below its name, for example
// /wechat/cgi-bin/…, and the vendor's own handler for all other paths.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if strings.HasPrefix(path, controlPrefix) {
		e.serveControl(w, r)
		return
	}
	for _, s := range e.surfaces {
		if rest, ok := strings.CutPrefix(path, s.prefix); ok && strings.HasPrefix(rest, "/") {
			e.serve(w, r, s, rest)
			return
		}
	}
	e.serve(w, r, e.surfaces[0], path)
}

// Handlers returns the names of the vendor's HTTP APIs. The first is the one
// that issues tokens and has the vendor's name. Only ums has more: the
// platforms wechat, wecom, dingtalk-old and dingtalk-new.
func (e *Emulator) Handlers() []string {
	var names []string
	for _, s := range e.surfaces {
		names = append(names, s.name)
	}
	return names
}

// Handler returns one of [Emulator.Handlers], to be served at the root of a
// listener of its own, or nil for any other name. It has no control paths.
func (e *Emulator) Handler(name string) http.Handler {
	for _, s := range e.surfaces {
		if s.name == name {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.serve(w, r, s, r.URL.Path) })
		}
	}
	return nil
}

// random returns n random bytes.
func (e *Emulator) random(n int) []byte {
	b := make([]byte, n)
	if e.rand != nil {
		e.randMu.Lock()
		_, err := io.ReadFull(e.rand, b)
		e.randMu.Unlock()
		if err == nil {
			return b
		}
		// It ran dry. Tokens only have to differ, so the default will do.
	}
	rand.Read(b) // never fails: crypto/rand documents it
	return b
}

// text returns a random text of n letters, digits, '-' and '_'.
func (e *Emulator) text(n int) string {
	return base64.RawURLEncoding.EncodeToString(e.random(n*3/4 + 1))[:n]
}

// requestID returns a text in the form of a UUID for the answers that have one.
func (e *Emulator) requestID() string {
	h := strings.ToUpper(hex.EncodeToString(e.random(16)))
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
