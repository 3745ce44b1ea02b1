package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// prepareTime bounds what preparing a change may take: storage is asked, but no
// ACME server.
const prepareTime = 30 * time.Second

// Change is a change of settings that is ready. Exactly one of its methods has
// to be called, once.
type Change struct {
	c        *Certificates
	old, new *state
}

// Prepare makes everything that new settings need, beside what is in service and
// without touching that. What stays the same is taken over: its certificates
// are not obtained again. Certificates that are stored are loaded, and those of
// attache's CA issued; those of an ACME server are obtained once the change is
// committed. An error says what to do, and leaves nothing behind. Prepare returns
// when ctx ends or 30 seconds are over: files are read past any such bound, and one
// that hangs leaves a goroutine for as long as it does.
func (c *Certificates) Prepare(ctx context.Context, settings Settings) (*Change, error) {
	ctx, cancel := context.WithTimeout(ctx, prepareTime)
	defer cancel()
	ch := &Change{c: c, old: c.current.Load(), new: &state{
		settings: settings, listeners: map[string]*listener{}, servers: map[string]*challengeServer{},
	}}
	ready := make(chan error, 1)
	go func() { ready <- ch.prepare(ctx) }()
	select {
	case err := <-ready:
		if err != nil {
			ch.Discard()
			return nil, err
		}
		return ch, nil
	case <-ctx.Done():
		c.closing.Go(func() {
			<-ready
			ch.Discard()
		})
		return nil, fmt.Errorf("the storage of certificates does not answer: %w", ctx.Err())
	}
}

func (ch *Change) prepare(ctx context.Context) error {
	if err := ch.prepareStorage(); err != nil {
		return err
	}
	for key, settings := range ch.new.settings.Listeners {
		l := &listener{settings: settings}
		ch.new.listeners[key] = l
		old := ch.old.listeners[key]
		if old != nil && equalPools(old.settings.ClientCA, settings.ClientCA) {
			l.tickets = old.tickets
		} else {
			l.tickets = &tls.Config{}
		}
		if settings.Certificate == nil {
			if err := ch.prepareSource(ctx, l, old); err != nil {
				return err
			}
		}
		l.config = l.serverConfig()
	}
	return ch.prepareServers()
}

// prepareStorage opens the storage, or takes it over.
func (ch *Change) prepareStorage() (err error) {
	wanted := ch.new.settings.Storage
	switch {
	case ch.old.storage != nil && ch.old.settings.Storage.equal(wanted):
		ch.new.storage = ch.old.storage
	case !wanted.isZero():
		ch.new.storage, err = open(wanted, ch.c.cfg.Log)
	}
	return err
}

// prepareSource makes the source of a listener, or takes over that of old, which
// may be nil.
func (ch *Change) prepareSource(ctx context.Context, l, old *listener) error {
	if old != nil && old.source != nil && ch.old.storage == ch.new.storage && sameSource(old.settings, l.settings) {
		l.source = old.source
		return nil
	}
	l.source = newSource(ch.c.cfg, l.settings, ch.new.storage)
	return l.source.load(ctx)
}

// prepareServers opens the addresses on which challenges are answered, or takes
// them over.
func (ch *Change) prepareServers() error {
	for _, l := range ch.new.listeners {
		if l.settings.ACME == nil || l.settings.ACME.HTTP == "" {
			continue
		}
		address := l.settings.ACME.HTTP
		if ch.new.servers[address] != nil {
			continue
		}
		s := ch.old.servers[address]
		if s == nil {
			var err error
			if s, err = ch.c.newChallengeServer(address); err != nil {
				return err
			}
		}
		ch.new.servers[address] = s
	}
	return nil
}

// Commit puts the change into service. Certificates that are missing or due are
// obtained in the background; until one is there, handshakes for its name fail.
// Listeners that answer challenges themselves have to be open: certmagic opens
// the port itself if nobody has it.
func (ch *Change) Commit() {
	ch.c.current.Store(ch.new)
	for address, s := range ch.new.servers {
		if ch.old.servers[address] != s {
			s.start()
		}
	}
	kept := ch.old.sources()
	for _, s := range ch.new.sources() {
		if !slices.Contains(kept, s) {
			s.start()
		}
	}
	ch.c.retire(ch.old, ch.new)
}

// Discard gives the change up.
func (ch *Change) Discard() { ch.c.retire(ch.new, ch.old) }

// retire ends what is in gone and not in kept. It does not wait: to end may take
// as long as an answer of an ACME server.
func (c *Certificates) retire(gone, kept *state) {
	for address, s := range gone.servers {
		if kept.servers[address] != s {
			s.close()
		}
	}
	staying := kept.sources()
	var sources []*source
	for _, s := range gone.sources() {
		if !slices.Contains(staying, s) {
			s.end()
			sources = append(sources, s)
		}
	}
	c.closing.Go(func() {
		for _, s := range sources {
			s.wait()
		}
		if gone.storage != nil && gone.storage != kept.storage {
			gone.storage.close()
		}
	})
}

func (s *state) sources() []*source {
	var list []*source
	for _, l := range s.listeners {
		if l.source != nil {
			list = append(list, l.source)
		}
	}
	return list
}

// sameSource reports whether the certificates of a are those of b.
func sameSource(a, b Listener) bool {
	if !slices.Equal(a.Internal, b.Internal) || (a.ACME == nil) != (b.ACME == nil) {
		return false
	}
	return a.ACME == nil || a.Address == b.Address && a.ACME.equal(b.ACME)
}

func (a *ACME) equal(b *ACME) bool {
	return slices.Equal(a.Names, b.Names) && a.Directory == b.Directory && a.Email == b.Email &&
		equalPools(a.Roots, b.Roots) && a.KeyID == b.KeyID && a.HMAC.Equal(b.HMAC) && a.HTTP == b.HTTP
}

func equalPools(a, b *x509.CertPool) bool {
	return a == b || a != nil && b != nil && a.Equal(b)
}
