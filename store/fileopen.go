package store

import (
	"container/list"
	"errors"
	"time"
)

// ensureOpen opens the file if that is not done, and not tried just before.
func (s *File) ensureOpen() error {
	s.mu.Lock()
	open := s.entries != nil
	s.mu.Unlock()
	now := time.Now()
	switch {
	case open:
		return nil
	case s.failed != nil && now.Before(s.retry):
		return s.failed
	}
	content, err := s.disk.open()
	if err != nil {
		s.failed, s.retry = err, now.Add(openRetry)
		return err
	}
	s.failed = nil
	s.take(content)
	return nil
}

// take takes over what the file says, and puts the file in order. If that fails
// the next save does it.
func (s *File) take(content logContent) {
	entries, left := openRecords(s.keys, content.records)
	damage := content.damage
	switch {
	case damage != "":
	case left.damaged > 0:
		damage = damagedSeal
	case left.otherKey > 0:
		damage = damagedKey
	}
	s.mu.Lock()
	s.start(entries)
	s.dropExpired()
	kept := s.used.Len()
	garbage := s.disk.size > int64(logHeader)+frameHead+s.live
	s.mu.Unlock()

	if damage != "" {
		s.disk.broken, s.disk.damaged = true, true
		s.complain(damage, kept, left)
	}
	if left.oldKey > 0 {
		s.log.Info("tokens in the store are encrypted with an older key until they are used; keep that key for as long", "file", s.path, "tokens", left.oldKey)
	}
	if s.disk.broken || garbage {
		if err := s.rewrite(nil); err != nil {
			s.log.Warn("the store cannot be written; the next save tries again", "file", s.path, "error", err)
		}
	}
}

// complain tells what is wrong with a file and what to do.
func (s *File) complain(damage string, kept int, left leftovers) {
	args := []any{"file", s.path, "reason", damage, "kept", kept}
	if n := left.otherKey; n > 0 {
		s.log.Warn("the store holds tokens that none of the configured keys opens; to have them back, stop attache, "+
			"move the file that is set aside back to its place and add the key that it was written with behind the new one",
			append(args, "other_key", n)...)
		return
	}
	s.log.Warn("the file of the store is damaged; what could be read is kept, and what is missing is logged in for anew. "+
		"A session whose refresh token was lost needs its user: restore a backup, or log in again", append(args, "changed", left.damaged)...)
}

// leftovers counts what was not taken over, and what an older key opened.
type leftovers struct{ damaged, otherKey, oldKey int }

// openRecords returns the last entries of all names, those first that were written
// first.
func openRecords(keys *Keys, records []record) ([]*entry, leftovers) {
	last := map[Name]int{}
	for i, r := range records {
		last[r.name] = i
	}
	var entries []*entry
	var left leftovers
	for i, r := range records {
		if last[r.name] != i || len(r.sealed) == 0 {
			continue
		}
		stored, err := open(keys, r)
		switch {
		case errors.Is(err, ErrOtherKey):
			left.otherKey++
		case err != nil:
			left.damaged++
		default:
			if !keys.isFirst(r.sealed) {
				left.oldKey++
			}
			// A copy, so that the memory of the whole file is given back.
			r.sealed = append([]byte(nil), r.sealed...)
			entries = append(entries, newEntry(r, stored))
		}
	}
	return entries, left
}

// start fills the memory. It is called with s.mu held.
func (s *File) start(entries []*entry) {
	s.entries = make(map[Name]*list.Element, len(entries))
	for _, e := range entries {
		s.put(e)
	}
}
