// Command chaos breaks everything around attache, and attache itself, while load
// runs, and counts what the load notices.
//
// Real processes of attache share a real Redis; toxiproxy stands between them and
// Redis, the vendor's logins and the vendor's API. The vendor is in this process:
// it knows when which token was good and who has used it, and so can tell a
// failure that had to be from one that should not have been. A seeded plan says
// what breaks when.
//
// docs/reliability.md tells what is shown and has the results; -h lists the
// flags. It is a module of its own, so that toxiproxy is no dependency of attache.
// It needs Linux.
package main
