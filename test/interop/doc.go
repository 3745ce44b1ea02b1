// Package interop holds attache against software that others wrote: conformance
// suites, libraries and servers, and a corpus of requests that proxies are known
// to stumble over. It is a module of its own, so that what it needs is no
// dependency of attache. `make interop` runs it.
//
// Every suite talks to the real binary with a real configuration, but for those
// that talk to packages: about certificates the contract of their storage, and
// their renewal within seconds, for which attache looks too seldom; and about
// tokens the store in Redis. The figures are
// written to docs/conformance.md.
package interop
