// Scale measures what a hundred thousand live instances of one token cost the
// engine: memory, CPU time for each refresh, how long a request for a token takes
// beside them and how long anything holds up anything else, and a storm in which
// all tokens are refused at once. `make scale` runs it; its findings are a part of
// docs/scale.md.
//
// Everything is in one process: the vendor is a function, and there is no network.
// What must hold whatever the machine does is held by the tests of refresher; here
// are figures alone, but for the rate of logins, which is checked as well.
package main
