package refresher

import (
	"maps"
	"slices"
	"time"
)

// rarities is what few instances need at a time. It is made when the first of it
// is noted, and stays. All of it is under Instance.mu, and so is Instance.rare: what
// nobody but the running login writes is read with in.mu held too, because anybody
// may make the rarities meanwhile.
type rarities struct {
	children map[*Instance]struct{} // wait for this instance or failed with it
	repeat   []refusedParent        // the next login repeats one that these parents made fail
	refusals refusals
	budgets  *budget // one for each route that refused
	starts   history
	lease    Lease  // kept until the token, which rotates, is saved; nil: none
	passing  moment // until then refusals of the current token are passed on
	extended moment // last extension of the expiry by an offer
	formerly uint64 // number of the token in service before a store had it numbered anew; 0: none
}

// rarely returns the rarities to be written. As all that follows in this file and
// looks at them, it is called with in.mu held.
func (in *Instance) rarely() *rarities {
	if in.rare == nil {
		in.rare = &rarities{}
	}
	return in.rare
}

func (in *Instance) repeated() []refusedParent {
	if in.rare == nil {
		return nil
	}
	return in.rare.repeat
}

func (in *Instance) repeatWith(refused []refusedParent) {
	if refused != nil || in.rare != nil {
		in.rarely().repeat = refused
	}
}

// refused reports whether t was refused of late.
func (in *Instance) refused(t Token) bool { return in.rare != nil && in.rare.refusals.of(t) }

func (in *Instance) findBudget(by string) *budget {
	if in.rare == nil {
		return nil
	}
	b := in.rare.budgets
	for b != nil && b.by != by {
		b = b.next
	}
	return b
}

func (in *Instance) starts() history {
	if in.rare == nil {
		return nil
	}
	return in.rare.starts
}

func (in *Instance) lease() Lease {
	if in.rare == nil {
		return nil
	}
	return in.rare.lease
}

func (in *Instance) passing() moment {
	if in.rare == nil {
		return 0
	}
	return in.rare.passing
}

// forgetSame ends what noteSame began.
func (in *Instance) forgetSame() {
	in.sameness = 0
	if in.rare != nil {
		in.rare.passing = 0
	}
}

func (in *Instance) extended() moment {
	if in.rare == nil {
		return 0
	}
	return in.rare.extended
}

func (in *Instance) formerly() uint64 {
	if in.rare == nil {
		return 0
	}
	return in.rare.formerly
}

func (in *Instance) setFormerly(generation uint64) {
	if generation != 0 || in.rare != nil {
		in.rarely().formerly = generation
	}
}

// listChildren returns nil if there is none.
func (in *Instance) listChildren() []*Instance {
	if in.rare == nil || len(in.rare.children) == 0 {
		return nil
	}
	return slices.Collect(maps.Keys(in.rare.children))
}

// keepKey returns key to be kept; nil for the zero one. Where no file is a part
// of it, it is the key that the instance has in any case.
func (in *Instance) keepKey(key StoreKey) *StoreKey {
	own := (*StoreKey)(&in.key)
	switch {
	case key == StoreKey{}:
		return nil
	case key == *own:
		return own
	case in.storeKey != nil && key == *in.storeKey:
		return in.storeKey
	}
	other := key
	return &other
}

// orZero returns the key, or the zero one for nil.
func (k *StoreKey) orZero() StoreKey {
	if k == nil {
		return StoreKey{}
	}
	return *k
}

// dueWall returns when the token in service is due by the wall clock; the zero
// time: never.
func (in *Instance) dueWall() time.Time {
	cur := in.cur.Load()
	if cur == nil || in.dueAfter == 0 {
		return time.Time{}
	}
	return cur.token.IssuedAt.Add(in.dueAfter)
}

func (in *Instance) lastSuccess() time.Time {
	if in.success == 0 {
		return time.Time{}
	}
	return time.Unix(0, in.success)
}
