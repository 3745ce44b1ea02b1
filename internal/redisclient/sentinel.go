package redisclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// sentinels connects to the master that Sentinels name. Each connection asks anew;
// one to a server that is master no more ends with the first READONLY that it
// replies, or soon of itself.
//
// The library can do this as well. Its client of Sentinels listens to them
// besides, and panics in a goroutine of its own when one of them sends what makes
// no sense.
type sentinels struct {
	hosts   []string
	master  string
	options Options
	hide    *strings.Replacer // passwords
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
}

// errNoMaster: the Sentinel does not know the master by that name.
var errNoMaster = errors.New("it names no master of that name")

// dialMaster connects to the master that the first Sentinel names that names one.
func (s *sentinels) dialMaster(ctx context.Context, network, _ string) (net.Conn, error) {
	var failed error
	for _, host := range s.hosts {
		address, err := s.ask(ctx, host)
		if err == nil {
			return s.dial(ctx, network, address)
		}
		failed = fmt.Errorf("ask the Sentinel at %s for %s: %w", host, s.master, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, failed
}

// ask asks one Sentinel.
func (s *sentinels) ask(ctx context.Context, host string) (address string, err error) {
	timeout := s.options.Timeout
	c := redis.NewClient(&redis.Options{
		Addr: host, Username: s.options.SentinelUsername, Password: s.options.SentinelPassword.Reveal(),
		Dialer: s.dial, OnConnect: introduce, Protocol: resp, DisableIdentity: true, PoolSize: 1,
		MaxRetries: noRetries, DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, ContextTimeoutEnabled: true,
	})
	defer c.Close()
	cmd := redis.NewCmd(ctx, "sentinel", "get-master-addr-by-name", s.master)
	err = c.Process(ctx, cmd)
	if reply, refused := errors.AsType[redis.Error](err); refused && !errors.Is(err, redis.Nil) {
		return "", errors.New(shown(reply, s.hide)) // else it would pass for the master's
	}
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", err
	}
	words, ok := cmd.Val().([]any)
	if !ok || len(words) != 2 {
		return "", errNoMaster
	}
	name, ok1 := words[0].(string)
	port, ok2 := words[1].(string)
	if !ok1 || !ok2 || name == "" || port == "" {
		return "", errNoMaster
	}
	return net.JoinHostPort(name, port), nil
}
