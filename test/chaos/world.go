package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
)

// world is all that one part runs: vendor, Redis, network and processes.
type world struct {
	part      *part
	dir       string
	epoch     time.Time
	vendor    *vendor
	redis     *redisServer
	net       *network
	processes []*process
	faults    *faultLog
	record    *record
	events    chan string // what the timeline says
	disks     []*disk
	leave     func() // has a signal leave the disks alone from then on
}

// now is the time since the world was made, by the monotonic clock.
func (w *world) now() time.Duration { return time.Since(w.epoch) }

// binaries are the attache under test, and the one whose clock can be set.
type binaries struct{ plain, clock string }

// newWorld starts everything and waits until all processes have their tokens.
func newWorld(p *part, dir string, b binaries, ports *ports) (*world, error) {
	w := &world{part: p, dir: dir, epoch: time.Now().Add(-time.Second), faults: &faultLog{always: p.always}, net: newNetwork(ports), events: make(chan string, 4096)}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	w.leave = cleanUp(w)
	w.vendor = &vendor{now: w.now, ledger: newLedger(), life: p.life, explain: w.explainLogin, forgiving: p.memory}
	w.vendor.fate.breakage = p.breakage
	w.record = newRecord(w.now)
	if p.shared > 0 && !p.memory {
		var err error
		if w.redis, err = startRedis(ports, dir); err != nil {
			return w, err
		}
	}
	for id := range p.shared + p.filed {
		if err := w.addProcess(id, b, ports); err != nil {
			return w, err
		}
	}
	for _, q := range w.processes {
		if err := q.start(); err != nil {
			return w, err
		}
	}
	for _, q := range w.processes {
		if err := q.ready(time.Minute); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *world) addProcess(id int, b binaries, ports *ports) error {
	p := &process{id: id, binary: b.plain, dir: filepath.Join(w.dir, fmt.Sprintf("attache-%d", id)), links: map[link]*toxiproxy.Proxy{}}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	if id < w.part.clocks {
		p.binary, p.clock = b.clock, filepath.Join(p.dir, "clock")
		if err := setClock(p.clock, 0); err != nil {
			return err
		}
	}
	if id >= w.part.shared {
		if err := w.addDisk(p); err != nil {
			return err
		}
	}
	var err error
	if p.address, err = ports.take(); err != nil {
		return err
	}
	if p.admin, err = ports.take(); err != nil {
		return err
	}
	w.processes = append(w.processes, p)
	login, api, err := w.vendor.listen(id)
	if err != nil {
		return err
	}
	targets := map[link]string{toLogin: login, toAPI: api}
	if w.redis != nil && p.file == "" {
		targets[toRedis] = w.redis.address
	}
	for l, target := range targets {
		if p.links[l], err = w.net.proxy(fmt.Sprintf("%s-%d", l, id), target); err != nil {
			return err
		}
	}
	redis := ""
	if l := p.links[toRedis]; l != nil {
		redis = l.Listen
	}
	return configure(p, redis, p.links[toLogin].Listen, p.links[toAPI].Listen, w)
}

func (w *world) addDisk(p *process) error {
	d, err := mountDisk(filepath.Join(p.dir, "disk"))
	if err != nil {
		return err
	}
	p.disk, p.file = d, filepath.Join(d.dir, "tokens")
	w.disks = append(w.disks, d)
	return nil
}

// close ends everything. It returns what attache did wrong while it ran and at
// its end.
func (w *world) close() error {
	var wrong []error
	for _, p := range w.processes {
		if p.cmd != nil {
			wrong = append(wrong, p.crashed(), p.stop())
		}
	}
	for _, p := range w.processes {
		p.kill()
	}
	w.net.close()
	if w.redis != nil && w.redis.cmd != nil {
		w.redis.kill(false)
	}
	w.vendor.close()
	w.leave()
	for _, d := range w.disks {
		d.unmount()
	}
	return errors.Join(wrong...)
}

// cleanUp has a signal unmount the disks and end the bench; its processes end
// with it. The function that it returns takes that back.
func cleanUp(w *world) (leave func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-done:
		case <-signals:
			for _, p := range w.processes {
				if p.disk != nil {
					p.disk.unmount()
				}
			}
			os.Exit(130)
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// another returns a process that a balancer sends a request to instead.
func (w *world) another(p *process, r *rand.Rand) *process {
	if w.part.shared < 2 {
		return p
	}
	for {
		if q := w.processes[r.IntN(w.part.shared)]; q != p {
			return q
		}
	}
}

// judge judges an attempt by what this world knows.
func (w *world) judge(a attempt) verdict { return judge(a, w) }

// met implements scene. Redis means nothing to a process that has a file.
func (w *world) met(p int, first, last time.Duration) []kind {
	kinds := w.faults.met(p, first, last)
	if p >= w.part.shared {
		kinds = slices.DeleteFunc(kinds, func(k kind) bool { return k == redisKilled || k == redisEmptied || k == redisPaused })
	}
	return kinds
}

func (w *world) elsewhere(p int, first, last time.Duration) []kind {
	if p >= w.part.shared {
		return w.met(p, first, last)
	}
	var kinds []kind
	for q := range w.part.shared {
		kinds = append(kinds, w.met(q, first, last)...)
	}
	return kinds
}

func (w *world) emptied(p int, before time.Duration) bool {
	return hasAny(w.everMet(p, before), redisEmptied, fileDamaged)
}

// everMet returns the kinds of faults that have begun.
func (w *world) everMet(p int, before time.Duration) []kind {
	w.faults.mu.RLock()
	defer w.faults.mu.RUnlock()
	var kinds []kind
	for _, f := range w.faults.begun {
		if f.Began < before && (len(f.Whom) == 0 && p < w.part.shared || slices.Contains(f.Whom, p)) {
			kinds = append(kinds, f.Kind)
		}
	}
	return kinds
}

// token implements scene. A process had a token if it sent a request with it
// before; it could have had it if nothing that the plan broke was between it,
// the store and who logged in, since a while before.
func (w *world) token(account string, p int, first, last time.Duration) *issue {
	a := w.vendor.ledger.find(account)
	if a == nil {
		return nil
	}
	for _, i := range a.around(first, last) {
		if !i.good(first, last) {
			continue
		}
		used := time.Duration(i.used[p].Load())
		if used != 0 && used <= first && !hasAny(w.met(p, used, last), killed, fileKilled, fileDamaged) {
			return i
		}
		if w.apart(i.process, i.issued, last) || w.apart(p, min(i.issued, first), last) {
			continue
		}
		return i
	}
	return nil
}

// apart reports whether something kept process p from its store or from running.
func (w *world) apart(p int, first, last time.Duration) bool {
	return hasAny(w.met(p, first, last), redisKilled, redisEmptied, redisPaused, onLink(blackHole, toRedis), onLink(resets, toRedis),
		onLink(latency, toRedis), onLink(slicing, toRedis), onLink(blackHole, toLogin), onLink(resets, toLogin), killed, paused, fileKilled, fileDamaged, diskFull)
}

// explainLogin says why a login came that the ideal has not: neither was the token
// before old nor was it revoked.
func (w *world) explainLogin(a *account, last *issue, p int) string {
	now := w.now()
	since := w.elsewhere(p, last.issued-time.Second, now)
	mine, theirs := w.met(p, last.issued-time.Second, now), w.met(last.process, last.issued-time.Second, now)
	for _, k := range []kind{redisEmptied, fileDamaged, clockWrong, redisKilled, redisPaused, diskFull, killed, fileKilled, paused} {
		if slices.Contains(since, k) {
			return a.sort() + string(k)
		}
	}
	for _, k := range []kind{onLink(blackHole, toRedis), onLink(resets, toRedis), onLink(latency, toRedis), onLink(slicing, toRedis),
		onLink(blackHole, toLogin), onLink(resets, toLogin), slowLogins, loginsHang, onLink(latency, toLogin), onLink(slicing, toLogin)} {
		if slices.Contains(mine, k) || slices.Contains(theirs, k) {
			return a.sort() + string(k)
		}
	}
	return fmt.Sprintf("%sat %.2fs process %d: %s, whose token process %d got at %.2fs", unexplained, now.Seconds(), p, a.name, last.process, last.issued.Seconds())
}

// sort says what becomes of the token before when there is a new one.
func (a *account) sort() string {
	switch {
	case a.dies:
		return "(old one dies) "
	case strings.HasPrefix(a.name, "session/"):
		return "(rotates) "
	}
	return "(old one stays) "
}

// unexplained begins the reason of a login that nothing explains.
const unexplained = "unexplained: "
