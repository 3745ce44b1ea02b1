package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"
)

// inflict carries a plan out, from now. It returns when all is whole again, with
// what could not be done.
func (w *world) inflict(plan []fault, stop <-chan struct{}) []error {
	var all sync.WaitGroup
	var mu sync.Mutex
	var wrong []error
	start := time.Now()
	for i := range plan {
		f := &plan[i]
		all.Go(func() {
			select {
			case <-stop:
				return
			case <-time.After(f.At - time.Since(start)):
			}
			if err := w.happen(f); err != nil {
				mu.Lock()
				defer mu.Unlock()
				wrong = append(wrong, fmt.Errorf("%s: %w", f, err))
			}
		})
	}
	all.Wait()
	return wrong
}

// happen lets one fault begin and end.
func (w *world) happen(f *fault) error {
	if w.part.breakage == breakTight {
		f.Began = w.now() // and the judge does not hear of it
	} else {
		w.faults.begin(f, w.now())
	}
	note, err := w.begin(f)
	w.tell(f, note)
	if err == nil && f.For > 0 {
		time.Sleep(f.For)
		err = w.finish(f)
	}
	w.faults.end(f, w.now())
	return err
}

func (w *world) tell(f *fault, note string) {
	text := f.String()
	if note != "" {
		text += " (" + note + ")"
	}
	select {
	case w.events <- text:
	default:
	}
}

// begin breaks something. note says more of it.
func (w *world) begin(f *fault) (note string, err error) {
	vendor := &w.vendor.fate
	switch f.Kind {
	case redisKilled:
		return "", w.redis.kill(false)
	case redisEmptied:
		return "", w.redis.kill(true)
	case redisPaused:
		w.redis.signal(syscall.SIGSTOP)
	case killed, fileKilled:
		w.processes[f.Whom[0]].kill()
	case fileDamaged:
		p := w.processes[f.Whom[0]]
		p.kill()
		return damage(p.file, f.Rand)
	case paused:
		w.processes[f.Whom[0]].signal(syscall.SIGSTOP)
	case diskFull:
		return "", w.processes[f.Whom[0]].disk.fill()
	case clockWrong:
		offset := []time.Duration{-time.Hour, -7 * time.Second, 7 * time.Second, time.Hour}[f.Rand%4]
		return fmt.Sprintf("by %s", offset), setClock(w.processes[f.Whom[0]].clock, offset)
	case thirdFails:
		vendor.set(func(f *fate) { f.failing = 3 })
	case throttled:
		vendor.set(func(f *fate) { f.throttle = true })
	case slowLogins:
		vendor.set(func(f *fate) { f.slow = 1500 * time.Millisecond })
	case loginsHang:
		vendor.setHang(true)
	case loginsRefused:
		for _, p := range w.processes {
			p.links[toLogin].Stop()
		}
	case revoked:
		return w.revoke(f.Rand), nil
	default:
		return "", w.eachLink(f, func(p *process, t toxin, l link) error { return poison(p.links[l], f, t) })
	}
	return "", nil
}

// finish makes it whole again.
func (w *world) finish(f *fault) error {
	vendor := &w.vendor.fate
	switch f.Kind {
	case redisKilled, redisEmptied:
		return w.redis.start()
	case redisPaused:
		w.redis.signal(syscall.SIGCONT)
	case killed, fileKilled:
		return w.processes[f.Whom[0]].start()
	case fileDamaged:
		w.consent(w.processes[f.Whom[0]]) // as somebody has to who has lost a refresh token
		return w.processes[f.Whom[0]].start()
	case paused:
		w.processes[f.Whom[0]].signal(syscall.SIGCONT)
	case diskFull:
		return w.processes[f.Whom[0]].disk.free()
	case clockWrong:
		return setClock(w.processes[f.Whom[0]].clock, 0)
	case thirdFails:
		vendor.set(func(f *fate) { f.failing = 0 })
	case throttled:
		vendor.set(func(f *fate) { f.throttle = false })
	case slowLogins:
		vendor.set(func(f *fate) { f.slow = 0 })
	case loginsHang:
		vendor.setHang(false)
	case loginsRefused:
		for _, p := range w.processes {
			if err := p.links[toLogin].Start(); err != nil {
				return err
			}
		}
	default:
		return w.eachLink(f, func(p *process, t toxin, l link) error {
			cure(p.links[l], f, t)
			return nil
		})
	}
	return nil
}

// eachLink does something to the link of each process that the fault meets. The
// two of toxiproxy's own steps may wait for slow connections, so they go side by
// side.
func (w *world) eachLink(f *fault, do func(*process, toxin, link) error) error {
	t, l, ok := f.Kind.ways()
	if !ok {
		return fmt.Errorf("nobody knows how to do this")
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var first error
	for _, id := range f.Whom {
		all.Go(func() {
			if err := do(w.processes[id], t, l); err != nil {
				mu.Lock()
				defer mu.Unlock()
				first = err
			}
		})
	}
	all.Wait()
	return first
}

// revoke makes the tokens of one account bad.
func (w *world) revoke(r uint64) string {
	all := w.vendor.ledger.all()
	slices.SortFunc(all, func(a, b *account) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	rand.New(rand.NewPCG(r, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, a := range all {
		if a.revoke(w.now()) {
			return a.name
		}
	}
	return "there was none"
}

// consent makes the first refresh token of a process's session good once more.
func (w *world) consent(p *process) {
	_, client, _ := accountsOf(p)
	if a := w.vendor.ledger.find("session/" + client); a != nil {
		a.mu.Lock()
		a.consented = true
		a.mu.Unlock()
	}
}
