package proxy

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"attache/internal/secret"
)

// Caller is somebody who may call. Exactly one of Bearer, Certificate, UID and
// GID is set; it says how the caller is known.
type Caller struct {
	// Name is for logs.
	Name string
	// Bearer is the token that the caller sends as "Proxy-Authorization: Bearer
	// TOKEN".
	Bearer secret.String
	// Certificate is a DNS name, URI or e-mail address in the caller's
	// certificate, or its common name if it has no alternative names at all.
	Certificate string
	// UID and GID are the effective ones of the process at the other end of a
	// Unix socket.
	UID, GID *uint32
}

// Peer is the process at the other end of a Unix socket.
type Peer struct {
	UID, GID uint32 // effective, when it connected
	PID      int32
}

type peerKey struct{}

// WithPeer returns a context for a connection whose other end is p: for
// [http.Server].ConnContext, so that it is asked for once per connection.
func WithPeer(ctx context.Context, p Peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

// PeerOf returns what [WithPeer] put into the context.
func PeerOf(ctx context.Context) (p Peer, ok bool) {
	p, ok = ctx.Value(peerKey{}).(Peer)
	return p, ok
}

type callerKey struct{}

// CallerName returns the name of the caller whose request this context is of;
// "" if nobody asked who they are.
func CallerName(ctx context.Context) string {
	name, _ := ctx.Value(callerKey{}).(string)
	return name
}

// Callers says who may call. It is safe for concurrent use; make one with
// [NewCallers].
type Callers struct {
	list    []knownCaller
	bearers bool // some caller is known by a token
	log     *slog.Logger

	mu       sync.Mutex
	warned   time.Time // when a refusal was logged last
	unlogged int       // refusals since then
}

// warnEvery is how often a refusal is logged at most: whoever reaches the
// listener could fill the log otherwise.
const warnEvery = time.Second

// knownCaller is a Caller with its token hashed, so that all comparisons take
// the same time, whatever the lengths.
type knownCaller struct {
	Caller
	hash [sha256.Size]byte
}

// NewCallers returns the callers of the list. log gets a warning about refused
// requests, one a second at most; nil: none.
func NewCallers(list []Caller, log *slog.Logger) *Callers {
	c := &Callers{log: log}
	for _, one := range list {
		k := knownCaller{Caller: one}
		if !one.Bearer.IsEmpty() {
			k.hash = sha256.Sum256([]byte(one.Bearer.Reveal()))
			c.bearers = true
		}
		c.list = append(c.list, k)
	}
	return c
}

// Wrap returns a handler that passes to next the requests of known callers and
// answers 407 to all others (RFC 9110 section 15.5.8): 401 would be about the
// upstream. [CallerName] tells next who it is. A [Guard] belongs before it:
// browsers send CORS preflights without any credential, and a page of a foreign
// site is to learn nothing, not even that callers have names.
func (c *Callers) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, known := c.find(evidenceOf(r))
		if !known {
			c.refuse(w, r)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, name)))
	})
}

// evidence is what a request says about who sent it.
type evidence struct {
	authorization []string          // the values of Proxy-Authorization
	certificate   *x509.Certificate // verified; nil: none
	peer          Peer
	hasPeer       bool
}

// evidenceOf returns that of a request.
func evidenceOf(r *http.Request) evidence {
	e := evidence{authorization: r.Header["Proxy-Authorization"], certificate: certificateOf(r.TLS)}
	e.peer, e.hasPeer = PeerOf(r.Context())
	return e
}

// find returns the name of the first caller on the list that the request may be
// of.
func (c *Callers) find(e evidence) (name string, known bool) {
	var hash [sha256.Size]byte // that of no token
	if token, ok := bearerOf(e.authorization); ok && c.bearers {
		hash = sha256.Sum256([]byte(token))
	}
	found := -1
	for i := range c.list {
		k := &c.list[i]
		match := false
		switch {
		case !k.Bearer.IsEmpty():
			// Every token is compared, though one may have matched: the time
			// says nothing about which.
			match = subtle.ConstantTimeCompare(hash[:], k.hash[:]) == 1
		case k.Certificate != "":
			match = e.certificate != nil && certifies(e.certificate, k.Certificate)
		case k.UID != nil:
			match = e.hasPeer && e.peer.UID == *k.UID
		case k.GID != nil:
			match = e.hasPeer && e.peer.GID == *k.GID
		}
		if match && found < 0 {
			found = i
		}
	}
	if found < 0 {
		return "", false
	}
	return c.list[found].Name, true
}

// bearerOf returns the token in the values of Proxy-Authorization. Of several nobody
// knows which one counts, so there is none then.
func bearerOf(values []string) (token string, ok bool) {
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ") // RFC 9110 section 11.4 allows several spaces
	return token, ok && token != "" && strings.EqualFold(scheme, "Bearer")
}

// certificateOf returns the client's certificate if it was verified, or nil.
func certificateOf(state *tls.ConnectionState) *x509.Certificate {
	if state == nil || len(state.VerifiedChains) == 0 {
		return nil
	}
	return state.VerifiedChains[0][0]
}

// certifies reports whether a certificate is that of name. The common name counts
// only where there are no alternative names of any kind: those replaced it (RFC
// 6125 section 6.4.4).
func certifies(c *x509.Certificate, name string) bool {
	subjectAltName := asn1.ObjectIdentifier{2, 5, 29, 17}
	for _, e := range c.Extensions {
		if !e.Id.Equal(subjectAltName) {
			continue
		}
		for _, uri := range c.URIs {
			if uri.String() == name {
				return true
			}
		}
		return slices.Contains(c.EmailAddresses, name) ||
			slices.ContainsFunc(c.DNSNames, func(dns string) bool { return strings.EqualFold(dns, name) })
	}
	return c.Subject.CommonName == name
}

// refuse answers a request of nobody that is known.
func (c *Callers) refuse(w http.ResponseWriter, r *http.Request) {
	if others, ok := c.mayWarn(time.Now()); ok {
		attrs := []slog.Attr{slog.String("remote", r.RemoteAddr)}
		if p, ok := PeerOf(r.Context()); ok {
			attrs = []slog.Attr{slog.Uint64("uid", uint64(p.UID)), slog.Int("pid", int(p.PID))}
		}
		if others > 0 {
			attrs = append(attrs, slog.Int("refused_since_last_warning", others))
		}
		c.log.LogAttrs(r.Context(), slog.LevelWarn, "refused a caller that is not known", attrs...)
	}
	a := &answer{status: http.StatusProxyAuthRequired, kind: errDenied, detail: "the caller is not one of this listener's callers"}
	if c.bearers {
		a.detail += "; send Proxy-Authorization: Bearer and the token"
		a.challenge = `Bearer realm="attache"`
	}
	answerEarly(w, r, func() { a.write(w, isGRPCCall(r)) })
}

// mayWarn reports whether a refusal is logged now, and how many were not since
// the last that was.
func (c *Callers) mayWarn(now time.Time) (others int, ok bool) {
	if c.log == nil {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.warned.IsZero() && now.Sub(c.warned) < warnEvery {
		c.unlogged++
		return 0, false
	}
	others, c.unlogged, c.warned = c.unlogged, 0, now
	return others, true
}
