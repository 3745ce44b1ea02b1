package emulator

import (
	"net/url"
	"strings"
	"time"
)

// ttl returns how long a new token lives: the settings' time or the vendor's.
func (c *call) ttl(vendors time.Duration) time.Duration {
	if c.set.TTL > 0 {
		return time.Duration(c.set.TTL)
	}
	return vendors
}

// opaque returns a random token text of n characters, or of as many as the
// settings ask for.
func (c *call) opaque(prefix string, n int) string {
	return prefix + c.e.text(max(n, c.set.TokenSize)-len(prefix))
}

// short returns how many bytes a token text of n bytes is shorter than the
// settings ask for.
func (c *call) short(n int) int { return max(0, c.set.TokenSize-n) }

// obtain answers a login from the ledger: see [order].
func (c *call) obtain(o order) *grant {
	if c.set.SameToken {
		o.reuse = func(*grant, condition) bool { return true }
	}
	g, fresh := c.e.ledger.obtain(o, c.now)
	if fresh {
		c.e.counts.issued.add(g.owner.kind, 1)
	}
	return g
}

// supersede returns a retire function that ends the owner's older tokens at the
// given time, all but the keep newest ones.
func (c *call) supersede(o owner, fate condition, at time.Time, keep int) func(l *ledger) {
	return func(l *ledger) {
		for g := l.newest[o]; g != nil; {
			older := g.older
			switch g.at(c.now) {
			case live, grace:
				if keep--; keep < 0 && g.end(fate, c.now, at) {
					c.e.counts.superseded.Add(1)
				}
			default:
				g.unlink() // so that nobody walks past it again
			}
			g = older
		}
	}
}

// queryValue returns the first value of a query parameter, or "". It does the
// one look-up that every call to the platforms needs without building a map.
func queryValue(raw, name string) string {
	for pair := range strings.SplitSeq(raw, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key != name {
			continue
		}
		if !strings.ContainsAny(value, "%+") {
			return value
		}
		if text, err := url.QueryUnescape(value); err == nil {
			return text
		}
	}
	return ""
}
