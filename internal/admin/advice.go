package admin

import "attache/refresher"

// advice says what to do about a token whose last login failed, in two sentences
// at most. It repeats nothing that a vendor said.
func advice(p refresher.PoolStatus) string {
	s := p.Single
	usable := s.Phase == refresher.Fresh || s.Phase == refresher.Due
	command := "`attache token " + p.Credential + "`"
	const mended = "A changed file or configuration is tried at once, a changed environment after a restart; "
	switch {
	case s.Class == refresher.Permanent && s.Generation > 0:
		return "This login was good before and is refused for good now: look whether the vendor changed or withdrew the secret. " +
			mended + command + " shows a login step by step."
	case s.Class == refresher.Permanent:
		return "This login was refused for good: compare its parameters with what the vendor gave you. " +
			mended + command + " shows a login step by step."
	case s.Class == refresher.Throttled:
		return "The vendor asks for patience, and attache waits until the next attempt. " +
			"If this comes back, look for others that log in with the same account, or have replicas share a store."
	case usable:
		return "The token is still good, and attache tries again by itself. " +
			"If this lasts, look whether the vendor has an outage and whether this machine reaches it: " + command + "."
	}
	return "There is no usable token, and attache tries again by itself. " +
		"Look whether the vendor has an outage and whether this machine reaches it: " + command + " shows where a login ends."
}
