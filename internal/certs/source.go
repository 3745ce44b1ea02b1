package certs

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// challengeProtocol is what a client speaks that validates a TLS-ALPN-01
// challenge (RFC 8737 section 6.2).
const challengeProtocol = acmez.ACMETLS1Protocol

// source obtains and renews the certificates of one listener, one for each name,
// because certmagic manages no certificates of several names.
type source struct {
	names   []string
	log     *slog.Logger
	issued  func(name string, err error)
	cache   *certmagic.Cache
	config  *certmagic.Config
	issuer  certmagic.Issuer
	storage *view
	ctx     context.Context // ends when the source is retired
	stop    context.CancelFunc
	// complained is when a handshake for want of a certificate was last logged,
	// in Unix nanoseconds.
	complained atomic.Int64
}

// newSource returns a source that has no certificates yet and does nothing.
func newSource(cfg Config, l Listener, st *storage) *source {
	s := &source{names: l.Internal, log: cfg.Log, issued: cfg.Issued, storage: newView(st)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	logger := newLogger(cfg.Log)
	// The cache's goroutine may ask before the configuration is there.
	var config atomic.Pointer[certmagic.Config]
	s.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return config.Load(), nil },
		RenewCheckInterval: cfg.RenewCheck,
		Logger:             logger,
	})
	if l.ACME != nil {
		s.names = l.ACME.Names
	}
	s.config = certmagic.New(s.cache, certmagic.Config{
		RenewalWindowRatio: certmagic.DefaultRenewalWindowRatio,
		OnEvent:            s.observe,
		ShouldEmitFunc:     func(string) bool { return false }, // it is about events of handshakes
		DefaultServerName:  s.names[0],
		Issuers:            []certmagic.Issuer{}, // nil would make the default's
		KeySource:          certmagic.StandardKeyGenerator{KeyType: certmagic.P256},
		OCSP:               certmagic.OCSPConfig{DisableStapling: true},
		Storage:            s.storage,
		Logger:             logger,
		// A write that fails costs attache's own CA nothing, but an order of an
		// ACME server counts against its limits.
		DisableStorageCheck: l.ACME == nil,
	})
	if l.ACME != nil {
		s.issuer = acmeIssuer(s.config, l, logger)
	} else {
		s.issuer = &authority{storage: s.storage, log: cfg.Log}
	}
	s.config.Issuers = []certmagic.Issuer{s.issuer}
	config.Store(s.config)
	return s
}

// acmeIssuer returns what gets certificates from an ACME server. certmagic opens
// the port of a challenge itself if nobody has it; here somebody always has: the
// listener itself, or the server for challenges.
func acmeIssuer(config *certmagic.Config, l Listener, logger *zap.Logger) *certmagic.ACMEIssuer {
	a := l.ACME
	t := certmagic.ACMEIssuer{CA: a.Directory, Email: a.Email, Agreed: true, TrustedRoots: a.Roots, Logger: logger}
	if a.Directory == certmagic.LetsEncryptProductionCA {
		// Whether a repeated attempt would succeed is tried at its twin, which
		// has no such tight limits.
		t.TestCA = certmagic.LetsEncryptStagingCA
	}
	if a.KeyID != "" {
		t.ExternalAccount = &acme.EAB{KeyID: a.KeyID, MACKey: a.HMAC.Reveal()}
	}
	address := l.Address
	if a.HTTP != "" {
		address = a.HTTP
	}
	host, port, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(port)
	t.ListenHost, t.AltHTTPPort, t.AltTLSALPNPort = host, n, n
	t.DisableHTTPChallenge, t.DisableTLSALPNChallenge = a.HTTP == "", a.HTTP != ""
	return certmagic.NewACMEIssuer(config, t)
}

// load takes the certificates out of the storage, and has attache's CA issue
// those that are missing.
func (s *source) load(ctx context.Context) error {
	own, _ := s.issuer.(*authority)
	if own != nil {
		if _, err := own.root(ctx); err != nil {
			return fmt.Errorf("attache's CA, kept in %v: %w", s.storage, err)
		}
	}
	for _, name := range s.names {
		err := s.loadOne(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			if own != nil {
				err = s.config.ManageSync(ctx, []string{name})
			} else {
				err = s.writable(ctx)
			}
		}
		if err != nil {
			return fmt.Errorf("certificate for %s, kept in %v: %w", name, s.storage, err)
		}
	}
	return nil
}

// writable reports whether the storage takes anything. certmagic asks as well
// before it orders a certificate, but in the background, and once only: where it
// finds that the storage takes nothing it gives up for good.
func (s *source) writable(ctx context.Context) error {
	key := "writable-" + rand.Text() // replicas may ask at the same time
	if err := s.storage.Store(ctx, key, []byte("?")); err != nil {
		return err
	}
	return s.storage.Delete(ctx, key)
}

// loadOne takes a certificate out of the storage. One that does not fit its key
// is removed: a process that ended in the midst of storing both leaves that, and
// certmagic would neither use nor replace it.
func (s *source) loadOne(ctx context.Context, name string) error {
	_, err := s.config.CacheManagedCertificate(ctx, name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	issuer := s.issuer.IssuerKey()
	for _, key := range []string{certmagic.StorageKeys.SiteCert(issuer, name), certmagic.StorageKeys.SitePrivateKey(issuer, name)} {
		if _, err := s.storage.Load(ctx, key); err != nil {
			return err // it is the storage that fails
		}
	}
	s.log.Warn("a stored certificate is of no use and is replaced", "name", name, "error", err)
	if err := s.storage.Delete(ctx, certmagic.StorageKeys.CertsSitePrefix(issuer, name)); err != nil {
		return err
	}
	return fs.ErrNotExist
}

// start obtains what is missing and renews what is due, now and from now on, in
// the background.
func (s *source) start() {
	go func() {
		// Names that are loaded are left to the cache, which first looks after a
		// while; they may have expired meanwhile.
		if err := s.cache.RenewManagedCertificates(s.ctx); err != nil {
			s.log.Error("certificates cannot be renewed", "error", err)
		}
	}()
	if err := s.config.ManageAsync(s.ctx, s.names); err != nil {
		s.log.Error("certificates cannot be obtained", "error", err)
	}
}

// end takes the source out of service. It does not wait.
func (s *source) end() {
	s.stop()
	s.storage.close()
}

// wait waits, once the source is out of service, until it does nothing any more.
func (s *source) wait() {
	s.cache.Stop()
	<-s.storage.idle
}

// observe takes certmagic's events. Of failures certmagic logs more than is said
// here: what it will do about them.
func (s *source) observe(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	switch event {
	case "cert_obtained":
		renewal, _ := data["renewal"].(bool)
		s.log.Info("a certificate was issued", "name", name, "issuer", s.issuer.IssuerKey(), "renewal", renewal)
		if s.issued != nil {
			s.issued(name, nil)
		}
	case "cert_failed":
		err, _ := data["error"].(error)
		if s.issued != nil && s.ctx.Err() == nil { // else it was given up, not refused
			s.issued(name, err)
		}
	}
	return nil
}

// errUnknownName says that a challenge is for another's name.
var errUnknownName = errors.New("no certificate is obtained for this name here")

// certificate returns the certificate for a handshake; see [tls.Config]. Without
// one, or with neither that nor an error, the handshake fails.
func (s *source) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	// Anybody can ask for a challenge; certmagic looks into the storage for each.
	if slices.Contains(hello.SupportedProtos, challengeProtocol) && !s.validates(name) {
		return nil, errUnknownName
	}
	c, err := s.config.GetCertificate(hello)
	if err == nil {
		return c, nil
	}
	if name == "" {
		name = s.names[0]
	}
	if !slices.Contains(s.names, name) {
		s.log.Debug("a TLS handshake was refused: no certificate is for this name", "name", name, "names", s.names)
		return nil, nil // which crypto/tls tells the client as unrecognized_name (RFC 6066 section 3)
	}
	s.complain(name)
	return nil, err
}

// validates reports whether a challenge for one of the certificates asks for name.
// Of an IP address that is its reverse (RFC 8738 section 6).
func (s *source) validates(name string) bool {
	return slices.ContainsFunc(s.names, func(own string) bool {
		ip, err := netip.ParseAddr(own)
		return err != nil && own == name || err == nil && reverse(ip) == name
	})
}

// reverse returns the name of an address below in-addr.arpa or ip6.arpa (RFC 1035
// section 3.5, RFC 3596 section 2.5).
func reverse(ip netip.Addr) string {
	bytes := ip.Unmap().AsSlice()
	slices.Reverse(bytes)
	var b strings.Builder
	for _, part := range bytes {
		if len(bytes) == 4 {
			fmt.Fprintf(&b, "%d.", part)
		} else {
			fmt.Fprintf(&b, "%x.%x.", part&15, part>>4)
		}
	}
	if len(bytes) == 4 {
		return b.String() + "in-addr.arpa"
	}
	return b.String() + "ip6.arpa"
}

// complaintsEvery is how often it is logged that a certificate is not there yet.
const complaintsEvery = 10 * time.Second

// complain logs that there is no certificate, now and then.
func (s *source) complain(name string) {
	now, last := time.Now().UnixNano(), s.complained.Load()
	if now-last >= int64(complaintsEvery) && s.complained.CompareAndSwap(last, now) {
		s.log.Warn("a TLS handshake was refused: there is no certificate yet", "name", name, "issuer", s.issuer.IssuerKey())
	}
}

// status returns the certificates that are there.
func (s *source) status() []Status {
	var list []Status
	for _, name := range s.names {
		for _, c := range s.cache.AllMatchingCertificates(name) {
			if c.Leaf != nil {
				list = append(list, Status{name, c.Leaf.NotAfter})
				break
			}
		}
	}
	if a, own := s.issuer.(*authority); own {
		if root := a.last.Load(); root != nil {
			list = append(list, Status{root.Subject.CommonName, root.NotAfter})
		}
	}
	return list
}
