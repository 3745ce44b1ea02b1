package redisclient

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// listenSilence is how long a subscription may be silent before it is asked
// whether it is still there, and how long that may take.
const listenSilence = 15 * time.Second

// Listen subscribes to channels, and calls joined when it is heard on all of them
// and then heard with every message. It returns when ctx ends or the subscription
// breaks: whoever calls it again has missed messages. Neither function may block.
func (c *Client) Listen(ctx context.Context, channels []string, joined func(), heard func(message string)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sub := c.client.Subscribe(ctx, channels...)
	// Nothing else ends a read that waits.
	stop := context.AfterFunc(ctx, func() { sub.Close() })
	defer func() {
		if stop() {
			sub.Close()
		}
	}()
	missing, asked := len(channels), false
	for {
		limit := c.silence
		if missing > 0 {
			limit = 2 * c.timeout
		}
		got, err := receive(ctx, sub, limit)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if isTimeout(err) && missing == 0 && !asked && sub.Ping(ctx) == nil {
				asked = true
				continue
			}
			return c.explain(err)
		}
		asked = false
		switch m := got.(type) {
		case *redis.Subscription:
			if missing == 0 {
				return c.explain(errResubscribed)
			}
			if missing--; missing == 0 {
				joined()
			}
		case *redis.Message:
			heard(m.Payload)
		}
	}
}

// receive receives what comes next. The library panics on messages that no Redis
// sends.
func receive(ctx context.Context, sub *redis.PubSub, limit time.Duration) (got any, err error) {
	defer func() {
		if recover() != nil {
			err = errNoMessage
		}
	}()
	return sub.ReceiveTimeout(ctx, limit)
}

var errNoMessage = errors.New("a message makes no sense")

// errResubscribed: the library reconnected on its own, and messages were missed.
var errResubscribed = errors.New("the subscription broke")

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}
