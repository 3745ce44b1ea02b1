package certs

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
)

// How long the certificates of attache's own CA are valid.
const (
	rootLifetime = 10 * 365 * 24 * time.Hour
	leafLifetime = 7 * 24 * time.Hour
	// backdate is how far clocks of clients may be behind.
	backdate = 5 * time.Minute
	// rootWarning is how long before the root's end every certificate that it
	// issues leaves a warning.
	rootWarning = 90 * 24 * time.Hour
)

// Places in the storage. Certificate and key of the root are one value, so that
// they always fit.
const (
	rootKey      = "ca/root.pem"
	rootLock     = "ca"
	internalName = "internal" // among the issuers of certificates
)

// authority is attache's own CA: a root in the storage that issues certificates
// of servers. There is no name constraint in it (RFC 5280 section 4.2.1.10): the
// names come from the configuration and change with it, while the root stays. So
// whoever has its key can pass for any server to those who trust the root. It
// can do nothing else: no certificate below it can issue more, and none can be
// of a client or sign code.
type authority struct {
	storage certmagic.Storage
	log     *slog.Logger
	last    atomic.Pointer[x509.Certificate] // the root, as it was last seen
}

// IssuerKey implements [certmagic.Issuer].
func (a *authority) IssuerKey() string { return internalName }

// Issue implements [certmagic.Issuer]: it signs a certificate for the names of a
// request of attache itself.
func (a *authority) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	r, err := a.root(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if left := r.cert.NotAfter.Sub(now); left < rootWarning {
		a.log.Warn("attache's CA expires: run attache ca renew, then give what attache ca export prints to all clients",
			"expires", r.cert.NotAfter.UTC().Format(time.DateOnly))
	}
	leaf, err := r.issue(csr, now)
	if err != nil {
		return nil, err
	}
	return &certmagic.IssuedCertificate{Certificate: leaf}, nil
}

// root reads the root anew: another process may have renewed it.
func (a *authority) root(ctx context.Context) (*root, error) {
	r, err := loadOrMakeRoot(ctx, a.storage)
	if err == nil {
		a.last.Store(r.cert)
	}
	return r, err
}

// root is the certificate of the CA with its key.
type root struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newRoot makes a self-signed certificate. The key is a new one if there is none.
func newRoot(key *ecdsa.PrivateKey, now time.Time) (*root, error) {
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(public)
	template := &x509.Certificate{
		// The same key has the same name and identifier, so that a renewed
		// certificate verifies what the one before verified.
		Subject:      pkix.Name{CommonName: fmt.Sprintf("attache CA %x", id[:4])},
		SubjectKeyId: id[:20],
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(rootLifetime),
		KeyUsage:     x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:         true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &root{cert, key}, err
}

// issue signs a certificate for the names of csr, which does not outlive the root.
func (r *root) issue(csr *x509.CertificateRequest, now time.Time) ([]byte, error) {
	end := now.Add(leafLifetime)
	if r.cert.NotAfter.Before(end) {
		end = r.cert.NotAfter
	}
	if !end.After(now) {
		return nil, fmt.Errorf("attache's CA expired on %s; run attache ca renew, then give what attache ca export prints to all clients",
			r.cert.NotAfter.UTC().Format(time.DateOnly))
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		DNSNames:              csr.DNSNames,
		IPAddresses:           csr.IPAddresses,
		NotBefore:             now.Add(-backdate),
		NotAfter:              end,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}, r.cert, csr.PublicKey, r.key)
	if err != nil {
		return nil, err
	}
	return certificatePEM(der), nil
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// marshal returns the certificate and the key as PEM.
func (r *root) marshal() ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(r.key)
	if err != nil {
		return nil, err
	}
	return append(certificatePEM(r.cert.Raw), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...), nil
}

// errBadRoot says that what is stored is no root. The text repeats nothing of it.
var errBadRoot = errors.New("what is stored as " + rootKey + " is no certificate with its key; restore it, or remove it to get a new CA")

// parseRoot is the reverse of marshal.
func parseRoot(data []byte) (*root, error) {
	certBlock, rest := pem.Decode(data)
	keyBlock, _ := pem.Decode(rest)
	if certBlock == nil || keyBlock == nil {
		return nil, errBadRoot
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, errBadRoot
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, errBadRoot
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if public, isKey := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !isKey || !public.Equal(private.Public()) {
		return nil, errBadRoot
	}
	return &root{cert, private}, nil
}

func loadRoot(ctx context.Context, st certmagic.Storage) (*root, error) {
	data, err := st.Load(ctx, rootKey)
	if err != nil {
		return nil, err
	}
	return parseRoot(data)
}

// loadOrMakeRoot returns the root, and makes it if there is none.
func loadOrMakeRoot(ctx context.Context, st certmagic.Storage) (*root, error) {
	r, err := loadRoot(ctx, st)
	if !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	return changeRoot(ctx, st, func() (*root, error) {
		// Another process may have made it while this one waited for the lock.
		if r, err := loadRoot(ctx, st); !errors.Is(err, fs.ErrNotExist) {
			return r, err
		}
		return newRoot(nil, time.Now())
	})
}

// changeRoot stores what decide returns, alone among all processes.
func changeRoot(ctx context.Context, st certmagic.Storage, decide func() (*root, error)) (r *root, err error) {
	if err := st.Lock(ctx, rootLock); err != nil {
		return nil, err
	}
	defer func() {
		if unlock := st.Unlock(context.WithoutCancel(ctx), rootLock); err == nil {
			err = unlock
		}
	}()
	if r, err = decide(); err != nil {
		return nil, err
	}
	data, err := r.marshal()
	if err != nil {
		return nil, err
	}
	return r, st.Store(ctx, rootKey, data)
}

// Root returns the certificate of attache's own CA. If there is none yet it is
// made.
func Root(ctx context.Context, s Storage, log *slog.Logger) (*x509.Certificate, error) {
	return withStorage(s, log, func(st certmagic.Storage) (*root, error) { return loadOrMakeRoot(ctx, st) })
}

// RenewRoot gives attache's own CA a new certificate for the key that it has, and
// returns it. What was issued before is verified by the new one as by the old.
func RenewRoot(ctx context.Context, s Storage, log *slog.Logger) (*x509.Certificate, error) {
	return withStorage(s, log, func(st certmagic.Storage) (*root, error) {
		return changeRoot(ctx, st, func() (*root, error) {
			r, err := loadRoot(ctx, st)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return newRoot(nil, time.Now())
			case err != nil:
				return nil, err
			}
			return newRoot(r.key, time.Now())
		})
	})
}

func withStorage(s Storage, log *slog.Logger, f func(st certmagic.Storage) (*root, error)) (*x509.Certificate, error) {
	st, err := open(s, log)
	if err != nil {
		return nil, err
	}
	defer st.close()
	r, err := f(st)
	if err != nil {
		return nil, fmt.Errorf("attache's CA, kept in %v: %w", st, err)
	}
	return r.cert, nil
}
