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
	var r renewal
	var o yamldoc.Object
	if override {
		o = v.Object(RefreshShape())
		r.timeout = optional(o.Duration("timeout"))
	} else {
		o = v.Object(renewalShape())
		r.refresh = o.Get("refresh")
	}
	r.at = optional(o.Float("at"))
	r.jitter = optional(o.Float("jitter"))
	r.margin = optional(o.Duration("margin"))
	r.minInterval = optional(o.Duration("min_interval"))
	r.uselessBefore = optional(o.Duration("useless_before"))
	if word, ok := o.OneOf("same_value"); ok {
		r.backsOff = new(word == "backoff")
	}
	if word, ok := o.OneOf("previous"); ok {
		r.dies = new(word == "dies")
	}
	if n, ok := o.Int("max_per_hour"); ok {
		r.maxPerHour = new(int(n))
	}
	return r
}

// optional returns a value if there is one.
func optional[T any](value T, ok bool) *T {
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
