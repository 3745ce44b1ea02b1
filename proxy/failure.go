package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"syscall"

	"attache/internal/http1"
)

// transportFailure turns the error of a request that got no answer into the
// answer to the client. Its text is made here: errors of a transport repeat what
// the other side sent, and that may echo a token.
func transportFailure(err error) *answer {
	if isTimeout(err) {
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			return timeout(errDialTimeout, "the upstream did not accept a connection in time")
		}
		return timeout(errAnswerTimeout, "the upstream did not answer in time")
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return badGateway(errDNS, "the upstream's name could not be resolved")
	}
	if isCertificate(err) {
		return badGateway(errCertificate, "the upstream's certificate is not trusted")
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return badGateway(errTLS, "the upstream does not speak TLS")
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return badGateway(errTLS, "the upstream ended the TLS handshake")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" { // crypto/tls's word for an alert
		return badGateway(errTLS, "the upstream ended the TLS connection with an alert; it may want another client certificate")
	}
	if e, ok := errors.AsType[*http1.ProtocolError](err); ok {
		return badGateway(errProtocol, e.Error())
	}
	if errors.Is(err, errNoUpgrade) {
		return badGateway(errUpgrade, "the route speaks HTTP/2 to its upstream, which carries no WebSocket; set protocol to http1")
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return badGateway(errRefused, "the upstream refused the connection")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return badGateway(errUnavailable, "the upstream cannot be reached")
	}
	return badGateway(errTerminated, "the upstream ended the connection without a complete answer")
}

func timeout(kind, detail string) *answer {
	return &answer{status: http.StatusGatewayTimeout, kind: kind, detail: detail}
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func isCertificate(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.HostnameError](err)
	return ok
}
