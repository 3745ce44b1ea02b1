package redisclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// idleTime is how long an unused connection is kept.
	idleTime = time.Minute
	// keptIdle is how many unused connections are kept.
	keptIdle = 2
	// masterTime is how long a connection to a master is used: one that was cut off
	// from its Sentinels does not know that it is none any more.
	masterTime = 30 * time.Second
	// redirects is how often a cluster may send an operation elsewhere. The
	// library counts other repetitions as well; the time of an operation is bounded.
	redirects = 3
	// clientName is what CLIENT LIST shows.
	clientName = "attache"
	// resp is the version of the protocol; nothing of version 3 is needed.
	resp = 2
	// noRetries: whoever calls repeats. Nobody else multiplies what a login waits.
	noRetries = -1
)

func connect(o Options, at place, hide *strings.Replacer) client {
	dial := dialer(o, at)
	switch {
	case o.Master != "":
		s := &sentinels{hosts: at.hosts, master: o.Master, options: o, dial: dial, hide: hide}
		return redis.NewClient(&redis.Options{
			Addr: "the master " + o.Master, Username: at.username, Password: at.password, DB: at.database,
			Dialer: s.dialMaster, OnConnect: introduce, Protocol: resp, DisableIdentity: true,
			MaxRetries: noRetries, DialTimeout: 2 * o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, ContextTimeoutEnabled: true,
			PoolSize: o.Connections, PoolTimeout: o.Timeout, MaxIdleConns: keptIdle, ConnMaxIdleTime: idleTime, ConnMaxLifetime: masterTime,
		})
	case o.Cluster:
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: at.hosts, Username: at.username, Password: at.password,
			Dialer: dial, OnConnect: introduce, Protocol: resp, DisableIdentity: true, MaxRedirects: redirects,
			MaxRetries: noRetries, DialTimeout: o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, ContextTimeoutEnabled: true,
			PoolSize: o.Connections, PoolTimeout: o.Timeout, MaxIdleConns: keptIdle, ConnMaxIdleTime: idleTime,
		})
	}
	return redis.NewClient(&redis.Options{
		Addr: at.hosts[0], Username: at.username, Password: at.password, DB: at.database,
		Dialer: dial, OnConnect: introduce, Protocol: resp, DisableIdentity: true,
		MaxRetries: noRetries, DialTimeout: o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, ContextTimeoutEnabled: true,
		PoolSize: o.Connections, PoolTimeout: o.Timeout, MaxIdleConns: keptIdle, ConnMaxIdleTime: idleTime,
	})
}

// dialer returns a function that connects within the timeout, and sooner if its
// context ends: the library's own does not heed that during a TLS handshake. It
// serves for Sentinels and for whatever servers they or a cluster name.
func dialer(o Options, at place) func(ctx context.Context, network, address string) (net.Conn, error) {
	tcp := &net.Dialer{KeepAlive: 30 * time.Second}
	dial := tcp.DialContext
	if at.tls {
		config := o.TLS
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := tcp.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return secured(ctx, c, config, address)
		}
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, o.Timeout)
		defer cancel()
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &boundedConn{Conn: c}, nil
	}
}

// secured does the TLS handshake of a connection. A server without TLS waits for
// the end of what it takes for a command: then there is nothing but a deadline.
func secured(ctx context.Context, c net.Conn, config *tls.Config, address string) (net.Conn, error) {
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	secure := tls.Client(c, config)
	err := secure.HandshakeContext(ctx)
	if err == nil {
		return secure, nil
	}
	c.Close()
	if _, other := errors.AsType[tls.RecordHeaderError](err); other || errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no TLS comes from it, which rediss:// asks for; if it has none, write redis://: %w", err)
	}
	return nil, err
}

// introduce gives the connection a name for people who look at Redis. Who may not
// do that need not.
func introduce(ctx context.Context, c *redis.Conn) error {
	cmd := redis.NewStatusCmd(ctx, "client", "setname", clientName)
	if err := c.Process(ctx, cmd); err != nil {
		if _, refused := err.(redis.Error); !refused {
			return err
		}
	}
	return nil
}
