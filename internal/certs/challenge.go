package certs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/certmagic"
	"golang.org/x/net/netutil"
)

// challengeServer answers HTTP-01 challenges (RFC 8555 section 8.3), and nothing
// else, to whoever asks.
type challengeServer struct {
	http     *http.Server
	listener net.Listener
	log      *slog.Logger
}

// Bounds of a challenge server. An ACME server asks from a handful of places.
const (
	challengeConnections = 64
	challengeTime        = 10 * time.Second
	challengeHeader      = 8 << 10
)

// newChallengeServer opens the address.
func (c *Certificates) newChallengeServer(address string) (*challengeServer, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for ACME challenges: %w", err)
	}
	return &challengeServer{
		http: &http.Server{
			Handler:     http.HandlerFunc(c.answerChallenge),
			ReadTimeout: challengeTime, WriteTimeout: challengeTime, IdleTimeout: challengeTime,
			MaxHeaderBytes: challengeHeader,
			ErrorLog:       slog.NewLogLogger(c.cfg.Log.Handler(), slog.LevelDebug),
		},
		listener: netutil.LimitListener(l, challengeConnections),
		log:      c.cfg.Log,
	}, nil
}

func (s *challengeServer) start() {
	s.log.Info("listening", "for", "acme challenges", "address", s.listener.Addr().String())
	go func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("ACME challenges are answered no more", "error", err)
		}
	}()
}

func (s *challengeServer) close() {
	s.http.Close()
	s.listener.Close() // which http does not know before it serves
}

// answerChallenge has the source answer whose name is asked for. Of other names
// nothing is looked up, because the storage would be asked.
func (c *Certificates) answerChallenge(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	for _, s := range c.current.Load().sources() {
		issuer, ok := s.issuer.(*certmagic.ACMEIssuer)
		if ok && slices.Contains(s.names, host) && issuer.HandleHTTPChallenge(w, r) {
			return
		}
	}
	http.Error(w, "only ACME challenges are answered here", http.StatusNotFound)
}
