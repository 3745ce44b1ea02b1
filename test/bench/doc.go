// Command bench compares attache with other proxies: what does a request cost
// in CPU time, memory and latency if all that the proxy does is to pass it on
// with a token?
//
// All proxies stand in front of the same upstream, replace the Authorization
// header of the request by the same value, and are pinned to one core. The
// load and the upstream run on another core, in this process. Rounds are
// interleaved, so that a slow moment of the machine meets every proxy.
//
// docs/performance.md tells the method and has the results; -h lists the
// flags. It needs Linux: affinity, epoll and /proc.
package main
