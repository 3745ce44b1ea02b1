// Package simulation runs a fleet of replicas, with the store that they share and
// the vendor that issues their tokens, for weeks of virtual time under a plan of
// faults that a seed decides. It holds what happens to invariants, and counts.
// Nothing but tests uses it.
//
// # The world
//
// [Run] is called in a bubble of testing/synctest. Everything that a replica does
// is the engine's own; what surrounds it is simulated:
//
//   - The vendor issues tokens and knows which are good. A new one leaves the one
//     before as it is, ends it at once, or ends it five minutes later.
//   - The store is a [refresher.MemoryStore]. Each replica sees it through a view
//     that takes time, fails, hangs, loses answers and announcements, and
//     translates between the replica's clock and the store's as an adapter does.
//   - A replica has a clock that is off and may be set. A paused one stands still
//     as after SIGSTOP: its clock does not move, and what was under way comes back
//     afterwards, perhaps too late. (Its timers go off meanwhile; what they start
//     gets no further than the next call to the outside.) A crashed one is cut
//     off from one moment to the next and comes back with an empty memory.
//   - Requests take a token and use it. A refusal goes the way that it goes in the
//     proxy: reject, wait for the next token, replay once. One answer in twenty is
//     late by up to 20 s.
//
// # The invariants
//
// They are checked each virtual minute and at each request. What physics forbids is
// excused, for as long as it takes, and the tables of inspect.go say how long that
// is.
//
//   - [ExpiredServed]: no token is handed out after the end that its replica could
//     know: lifetime after the login's answer, plus what clocks were set by since.
//   - [TwoTokens]: a generation is one value, in the store and in whoever uses it,
//     unless that value's login was made while the store was disturbed, or the store
//     lost its data.
//   - [LoginRate]: no login starts within min_interval of the replica's last one,
//     nor of another replica's token where the store was well; none beyond
//     max_per_hour of a process; none before the Retry-After that this process was
//     given, nor before the shortest back-off after a failure.
//   - [Overlap]: no two logins run at a time, unless the store was disturbed, a lease
//     lost or a process paused within the last 20 s.
//   - [RejectedServed]: a process that gave a token up after a refusal never hands
//     it out again; another one does not 3 s after the store knew, if announcements
//     reach it.
//   - [NoToken]: a process has a token, or gets one within a login's time, if vendor
//     (and, for policies that hold, store) have been well for as long as the longest
//     back-off that they caused.
//   - [Disagree]: once all faults are over for a lifetime, all replicas have the same
//     token, one that the vendor accepts, but for 15 s around a renewal; without
//     announcements at most two.
//   - [FailedInCalm]: then no request fails either.
//   - [Remains]: an engine ends within a minute of its context; synctest itself
//     fails when any goroutine is left.
//
// # Seeds
//
// A seed decides profile, plan, latencies and jitter, each from a stream of its
// own, so that a run can be repeated to the last line of its timeline.
// testdata/seeds keeps those that have found something.
//
// # Scale
//
// [Fleet] computes what large fleets cost, and is held against the engine for
// small ones. docs/scaling.md and its pictures are made of it.
package simulation
