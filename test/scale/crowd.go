package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

const (
	// tokenBytes is the length of a token, as that of many access tokens.
	tokenBytes = 200
	// long is the life of tokens that are not to be refreshed meanwhile.
	long = 24 * time.Hour
	// short is that of tokens which are: a hundred thousand of them make some five
	// thousand refreshes a second, where tokens of an hour would make 35.
	short = time.Minute
	// unlimited is a rate of logins that holds up nobody.
	unlimited = 1 << 30
)

// crowd is an engine with one token that many users have.
type crowd struct {
	engine *refresher.Engine
	pool   *refresher.Pool
	users  []refresher.Params
	end    func()

	life   atomic.Int64 // of tokens that are got from now on, at most
	logins atomic.Int64
}

// Fetch implements [refresher.Source].
func (c *crowd) Fetch(context.Context, refresher.Input) (refresher.Token, error) {
	life := time.Duration(c.life.Load())
	if life < long { // so that they do not all come back at the same time
		life = time.Duration((0.1 + 0.9*rand.Float64()) * float64(life))
	}
	c.logins.Add(1)
	return refresher.Token{Value: newValue(), ExpiresAt: time.Now().Add(life)}, nil
}

func newValue() secret.String { return secret.New(strings.Repeat("v", tokenBytes)) }

func newUser(kind string, i int) refresher.Params {
	return refresher.Params{fmt.Sprintf("%s-%08d", kind, i)}
}

func newUsers(n int) []refresher.Params {
	users := make([]refresher.Params, n)
	for i := range users {
		users[i] = newUser("user", i)
	}
	return users
}

// newCrowd starts an engine and has all users log in.
func newCrowd(users []refresher.Params) (*crowd, error) {
	c := &crowd{engine: refresher.New(refresher.Config{}), users: users}
	c.life.Store(int64(long))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.engine.Run(ctx)
	}()
	c.end = func() {
		cancel()
		<-ended
	}
	if err := c.reload(unlimited, 0); err != nil {
		return c, err
	}
	for i, user := range users {
		in, err := c.pool.Instance(user)
		if err != nil {
			return c, err
		}
		in.Release()
		if i%500 == 499 { // no more goroutines at a time than a login rate would allow
			c.await(int64(i + 1))
		}
	}
	return c, c.awaitTokens()
}

// reload puts the token into service with this rate of logins and this margin of
// its policy, or changes it.
func (c *crowd) reload(perMinute int, margin time.Duration) error {
	change := c.engine.Change()
	pool, err := change.Add(c.definition(perMinute, margin))
	if err != nil {
		return err
	}
	if c.pool == nil { // else it is the same one
		c.pool = pool
	}
	return change.Commit()
}

func (c *crowd) definition(perMinute int, margin time.Duration) refresher.Definition {
	return refresher.Definition{
		Credential: "crowd", Token: "access", Source: c,
		Key:    []refresher.KeyPart{{Name: "recipe", Value: secret.New("crowd")}, {Name: "user", FromRequest: true}},
		Params: []refresher.Param{{Name: "user", Identity: true}},
		Policy: refresher.Policy{Margin: margin},
		Limits: refresher.Limits{Max: len(c.users) + newcomers, Idle: 12 * time.Hour, LoginsPerMinute: perMinute},
	}
}

// newcomers is for how many more users there is room. Those after them have to
// take the place of whoever was away for longest.
const newcomers = 100

// await waits until so many logins were made.
func (c *crowd) await(logins int64) {
	for c.logins.Load() < logins {
		time.Sleep(100 * time.Microsecond)
	}
}

// awaitTokens waits until every user has a token.
func (c *crowd) awaitTokens() error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		status := c.pool.Status()
		switch n := status.Phases[refresher.Fresh] + status.Phases[refresher.Due]; {
		case n >= len(c.users) && n == status.Instances:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("after a minute %d of %d users have a token: %+v", n, len(c.users), status)
		}
	}
}

// renew has all log in once more, for tokens of that life.
func (c *crowd) renew(life time.Duration) error {
	c.life.Store(int64(life))
	before := c.logins.Load()
	c.touch()
	c.pool.Renew()
	for deadline := time.Now().Add(time.Minute); c.logins.Load() < before+int64(len(c.users)); {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d logins in a minute, want %d", c.logins.Load()-before, len(c.users))
		}
		time.Sleep(100 * time.Millisecond)
		c.touch() // who made no request since the last login gets none
	}
	return c.awaitTokens()
}

// request makes one request of a user as far as the engine is concerned: it finds
// the instance, takes its token and lets go.
func (c *crowd) request(user refresher.Params) bool {
	in, err := c.pool.Instance(user)
	if err != nil {
		return false
	}
	_, ok := in.Peek()
	in.Release()
	return ok
}

// touch makes one request of each user: who is away is not refreshed.
func (c *crowd) touch() {
	for _, user := range c.users {
		c.request(user)
	}
}
