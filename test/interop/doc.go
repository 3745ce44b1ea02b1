// Package interop holds attache against software that others wrote: conformance
// suites, libraries and servers, and a corpus of requests that proxies are known
// to stumble over. It is a module of its own, so that what it needs is no
// dependency of attache. `make interop` runs it.
//
// Every suite talks to the real binary with a real configuration, but for two about
// certificates that talk to packages: the contract of their storage, and their
// renewal within seconds, for which attache looks too seldom. The figures are
// written to docs/conformance.md.
package interop
