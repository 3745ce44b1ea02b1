package recipe

import (
	"time"

	"attache/internal/yamldoc"
	"attache/refresher"
)

// renewal is what a recipe, or a credential's `refresh`, says about when to
// renew. What it does not say is nil.
type renewal struct {
	at, jitter                         *float64
	margin, minInterval, uselessBefore *time.Duration
	timeout                            *time.Duration // a credential's alone
	backsOff, dies                     *bool
	maxPerHour                         *int
	refresh                            yamldoc.Value // a recipe's alone
}

// parseRenewal reads `renewal`, or with override a credential's `refresh`.
func parseRenewal(v yamldoc.Value, override bool) renewal {
	keys := []string{"at", "margin", "jitter", "min_interval", "useless_before", "same_value", "previous", "max_per_hour"}
	if override {
		keys = append(keys, "timeout")
	} else {
		keys = append(keys, "refresh")
	}
	var r renewal
	if v.IsZero() {
		return r
	}
	o := v.Object(keys...)
	// Less than half the lifetime is never waited, so a smaller share would
	// promise what does not happen.
	r.at = optional(o.Get("at"), func(v yamldoc.Value) (float64, bool) { return v.Float(0.5, 1) })
	r.jitter = optional(o.Get("jitter"), func(v yamldoc.Value) (float64, bool) { return v.Float(0, 0.5) })
	duration := func(lo, hi time.Duration) func(yamldoc.Value) (time.Duration, bool) {
		return func(v yamldoc.Value) (time.Duration, bool) { return v.Duration(lo, hi) }
	}
	r.margin = optional(o.Get("margin"), duration(0, maxLifetime))
	r.minInterval = optional(o.Get("min_interval"), duration(100*time.Millisecond, 24*time.Hour))
	r.uselessBefore = optional(o.Get("useless_before"), duration(0, maxLifetime))
	r.timeout = optional(o.Get("timeout"), duration(100*time.Millisecond, maxTimeout))
	r.backsOff = optional(o.Get("same_value"), func(v yamldoc.Value) (bool, bool) {
		word, ok := v.OneOf("accept", "backoff")
		return word == "backoff", ok
	})
	r.dies = optional(o.Get("previous"), func(v yamldoc.Value) (bool, bool) {
		word, ok := v.OneOf("stays", "overlaps", "dies")
		return word == "dies", ok
	})
	r.maxPerHour = optional(o.Get("max_per_hour"), func(v yamldoc.Value) (int, bool) {
		n, ok := v.Int(1, 3600)
		return int(n), ok
	})
	r.refresh = o.Get("refresh")
	return r
}

// optional reads v when it is there.
func optional[T any](v yamldoc.Value, read func(yamldoc.Value) (T, bool)) *T {
	if v.IsZero() {
		return nil
	}
	value, ok := read(v)
	if !ok {
		return nil
	}
	return &value
}

// apply puts what r says into p.
func (r renewal) apply(p *refresher.Policy) {
	put(&p.At, r.at)
	put(&p.Margin, r.margin)
	put(&p.MinInterval, r.minInterval)
	put(&p.UselessBefore, r.uselessBefore)
	put(&p.Timeout, r.timeout)
	put(&p.SameValueBacksOff, r.backsOff)
	put(&p.PreviousDies, r.dies)
	put(&p.MaxPerHour, r.maxPerHour)
	put(&p.Jitter, r.jitter)
	if r.jitter != nil && *r.jitter == 0 {
		p.Jitter = -1 // the policy takes 0 for its default
	}
}

func put[T any](dst *T, src *T) {
	if src != nil {
		*dst = *src
	}
}
