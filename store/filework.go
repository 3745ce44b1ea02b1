package store

import (
	"context"
	"errors"
	"time"

	"attache/refresher"
)

// operation is something that the goroutine that works does: to open the file,
// if that is not done yet, and to change an entry.
type operation struct {
	ctx   context.Context
	key   refresher.StoreKey
	names []Name // of key
	save  bool
	// change returns what is to be in the place of the entry that is there now,
	// which may be nil, or nil if that is to stay. It is called with the lock of
	// the store held. A nil change changes nothing.
	change func(now *entry) (*entry, error)
	done   chan error // receives what became of it
}

// opened opens the file if need be.
func (s *File) opened(ctx context.Context) error {
	s.mu.Lock()
	open := s.entries != nil && !s.closed
	s.mu.Unlock()
	if open {
		return nil
	}
	return s.do(&operation{ctx: ctx})
}

// do has an operation done, and waits for it no longer than its context. One
// that nobody waits for any more may be done all the same.
func (s *File) do(op *operation) error {
	s.mu.Lock()
	err := s.enqueue(op)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case err := <-op.done:
		return err
	case <-op.ctx.Done():
		return op.ctx.Err()
	}
}

// enqueue is called with s.mu held. What is queued while a flush is under way
// shares the next one.
func (s *File) enqueue(op *operation) error {
	if s.closed {
		return errClosed
	}
	op.done = make(chan error, 1)
	s.queue = append(s.queue, op)
	if op.save {
		s.saving[op.key]++
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
		go s.work()
	}
	return nil
}

// work does what is queued, and ends when nothing is.
func (s *File) work() {
	for {
		s.mu.Lock()
		batch := s.queue
		s.queue = nil
		if len(batch) == 0 {
			close(s.idle)
			s.idle = nil
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if err := s.ensureOpen(); err != nil {
			s.answer(batch, err)
			continue
		}
		for len(batch) > 0 {
			batch = batch[s.commit(batch):]
		}
		s.tidy()
	}
}

// answer tells those who wait what became of their operations.
func (s *File) answer(ops []*operation, err error) {
	s.mu.Lock()
	for _, op := range ops {
		if op.save {
			if s.saving[op.key]--; s.saving[op.key] == 0 {
				delete(s.saving, op.key)
			}
		}
	}
	s.mu.Unlock()
	for _, op := range ops {
		op.done <- err
	}
}

// commit does the first operations of a batch, as many as one frame takes, and
// returns how many these are. Nobody sees what they change before it is flushed.
func (s *File) commit(batch []*operation) int {
	over := map[Name]*entry{} // what is changed; nil: gone
	var order []*entry
	var fr frame
	errs := make([]error, 0, len(batch))
	s.mu.Lock()
	for _, op := range batch {
		if fr.full() {
			break
		}
		next, err := s.evaluate(op, over)
		if next != nil {
			order = append(order, next)
			fr.add(next.record)
			for _, name := range op.names {
				if over[name] = nil; name == next.name {
					over[name] = next
				} else if s.entries[name] != nil {
					fr.add(record{name: name})
				}
			}
		}
		errs = append(errs, err)
	}
	s.mu.Unlock()
	if len(order) > 0 {
		if err := s.write(fr.bytes(), over); err != nil {
			s.answer(batch[:len(errs)], err)
			return len(errs)
		}
		s.adopt(order, over)
	}
	for i, err := range errs {
		s.answer(batch[i:i+1], err)
	}
	return len(errs)
}

// evaluate is called with s.mu held.
func (s *File) evaluate(op *operation, over map[Name]*entry) (*entry, error) {
	if err := op.ctx.Err(); err != nil || op.change == nil {
		return nil, err
	}
	return op.change(s.newest(op.names, over))
}

// write brings a frame to the disk: what over says.
func (s *File) write(frame []byte, over map[Name]*entry) error {
	if !s.disk.broken {
		if err := s.disk.append(frame); !errors.Is(err, errGone) {
			return err
		}
		s.log.Warn("the file of the store was removed or replaced while attache runs; it is written anew, and one that is there is set aside", "file", s.path)
	}
	return s.rewrite(over)
}

// rewrite writes the whole file anew, with what over says.
func (s *File) rewrite(over map[Name]*entry) error {
	s.mu.Lock()
	records := make([]record, 0, len(s.entries)+len(over))
	for at := s.used.Front(); at != nil; at = at.Next() {
		e := at.Value.(*entry)
		if _, changed := over[e.name]; !changed {
			records = append(records, e.record)
		}
	}
	for _, e := range over {
		if e != nil {
			records = append(records, e.record)
		}
	}
	s.mu.Unlock()
	aside, err := s.disk.rewrite(records)
	if aside != "" {
		s.log.Warn("the file that was there is set aside; attache never reads or removes it", "file", s.path, "set_aside", aside)
	}
	return err
}

// adopt makes what was flushed visible.
func (s *File) adopt(order []*entry, over map[Name]*entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, e := range over {
		if e == nil {
			s.drop(name)
		}
	}
	for _, e := range order {
		if over[e.name] == e { // else a later one of the same flush took its place
			s.put(e)
		}
	}
}

// put is called with s.mu held.
func (s *File) put(e *entry) {
	s.drop(e.name)
	s.entries[e.name] = s.used.PushBack(e)
	s.live += e.size()
}

// drop is called with s.mu held.
func (s *File) drop(name Name) {
	if at := s.entries[name]; at != nil {
		s.live -= at.Value.(*entry).size()
		s.used.Remove(at)
		delete(s.entries, name)
	}
}

// tidy keeps memory and file within their bounds. A failure is no harm: the next
// one tries again.
func (s *File) tidy() {
	s.mu.Lock()
	full := s.used.Len() > s.most.entries || s.live > s.most.bytes
	garbage := s.disk.size - s.live
	if !full && garbage <= s.live+s.most.garbage {
		s.mu.Unlock()
		return
	}
	s.dropExpired()
	evicted := 0
	for s.used.Len() > s.most.entries || s.live > s.most.bytes {
		s.drop(s.used.Front().Value.(*entry).name)
		evicted++
	}
	garbage = s.disk.size - s.live
	now := time.Now()
	compact := garbage > s.live+s.most.garbage && !now.Before(s.compact)
	s.mu.Unlock()
	if evicted > 0 && !s.evicted {
		s.evicted = true
		s.log.Warn("the store holds as many tokens as it may; those unused for longest are dropped", "file", s.path, "entries", s.most.entries, "bytes", s.most.bytes)
	}
	if compact {
		if err := s.rewrite(nil); err != nil {
			s.compact = now.Add(compactRetry)
			s.log.Warn("the file of the store cannot be written anew to make it smaller; it works all the same", "file", s.path, "error", err)
		}
	}
}

// dropExpired drops what is of no use any more. It is called with s.mu held.
func (s *File) dropExpired() {
	now := time.Now()
	for at := s.used.Front(); at != nil; {
		e, next := at.Value.(*entry), at.Next()
		if !e.lasting && !e.expires.IsZero() && !now.Before(e.expires) {
			s.drop(e.name)
		}
		at = next
	}
}
