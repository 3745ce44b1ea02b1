package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"sync"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

func noLog() *log.Logger { return log.New(io.Discard, "", 0) }

// ports hands out ports below those that the system gives to outgoing
// connections, so that whoever stops listening gets his port back.
type ports struct {
	mu   sync.Mutex
	next int
}

const (
	firstPort = 20100
	lastPort  = 32000
)

// take returns the address of a free port of 127.0.0.1.
func (p *ports) take() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == 0 {
		// Where nobody else begins who runs at the same time: a port is free for a
		// moment while its process is dead.
		p.next = firstPort + os.Getpid()%24*480
	}
	for ; p.next < lastPort; p.next++ {
		address := fmt.Sprintf("127.0.0.1:%d", p.next)
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			p.next++
			return address, nil
		}
	}
	return "", fmt.Errorf("no port from %d to %d is free", firstPort, lastPort)
}

// network is all of toxiproxy's proxies.
type network struct {
	server *toxiproxy.ApiServer
	ports  *ports
	all    []*toxiproxy.Proxy
}

func newNetwork(p *ports) *network {
	return &network{server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop()), ports: p}
}

// proxy starts a proxy to an address.
func (n *network) proxy(name, upstream string) (*toxiproxy.Proxy, error) {
	address, err := n.ports.take()
	if err != nil {
		return nil, err
	}
	p := toxiproxy.NewProxy(n.server, name, address, upstream)
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("toxiproxy does not start: %w", err)
	}
	n.all = append(n.all, p)
	return p, nil
}

func (n *network) close() {
	for _, p := range n.all {
		p.Stop()
	}
}

// toxic is what toxiproxy is told of one of its toxics.
func toxic(t toxin, direction string, id int) (name, text string) {
	name = fmt.Sprintf("%d-%s", id, direction)
	kind, attributes := "", ""
	switch t {
	case latency:
		kind, attributes = "latency", `{"latency": 80, "jitter": 60}`
	case slicing:
		kind, attributes = "slicer", `{"average_size": 24, "size_variation": 12, "delay": 400}`
	case resets:
		kind, attributes = "reset_peer", `{"timeout": 0}`
	case blackHole:
		kind, attributes = "timeout", `{"timeout": 0}`
	}
	return name, fmt.Sprintf(`{"name": %q, "type": %q, "stream": %q, "attributes": %s}`, name, kind, direction, attributes)
}

// directions says which way a toxin acts. Resets hit either what is sent or the
// answer, by the fault.
func directions(t toxin, r uint64) []string {
	switch {
	case t == resets && r%2 == 0:
		return []string{"upstream"}
	case t == resets:
		return []string{"downstream"}
	}
	return []string{"upstream", "downstream"}
}

// poison begins a toxin on a proxy; cure ends it.
func poison(p *toxiproxy.Proxy, f *fault, t toxin) error {
	for _, direction := range directions(t, f.Rand) {
		_, text := toxic(t, direction, f.ID)
		if _, err := p.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			return fmt.Errorf("toxiproxy refuses %s: %w", text, err)
		}
	}
	return nil
}

func cure(p *toxiproxy.Proxy, f *fault, t toxin) {
	for _, direction := range directions(t, f.Rand) {
		name, _ := toxic(t, direction, f.ID)
		p.Toxics.RemoveToxic(context.Background(), name)
	}
}
