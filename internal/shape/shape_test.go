package shape

import (
	"slices"
	"testing"
	"time"
)

func TestWordsForTypes(t *testing.T) {
	object := Of(func() Object { return Object{Name: "o"} })
	for _, c := range []struct {
		t    *Type
		want string
	}{
		{Text("name"), "name"},
		{Text(""), "text"},
		{Bool(), "boolean"},
		{Int(1, 10), "whole number, 1 to 10"},
		{Number(0.5, 1), "number, 0.5 to 1"},
		{Duration(0, 5*time.Minute), "duration, up to 5m"},
		{Duration(100*time.Millisecond, 720*time.Hour), "duration, 100ms to 720h"},
		{Duration(time.Second, 90*time.Second), "duration, 1s to 1m30s"},
		{Size(4<<10, 1<<20), "size, 4KiB to 1MiB"},
		{Size(1, 1000), "size, 1B to 1000B"},
		{Word("a", "b"), "`a`, `b`"},
		{List(object), "list"},
		{Map("", object), "map"},
		{object, "map"},
		{ListOrOne(Text("site").Named("site")), "list, or one"},
		{ListOrOne(Text("site")).Named("list of sites, or one"), "list of sites, or one"},
		{Forms(Text("address"), object, object), "address or map"},
		{Any(""), "any value"},
		{Null(), "nothing"},
	} {
		if got := c.t.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// Deriving one object from another leaves that as it was.
func TestWithAndWithout(t *testing.T) {
	base := Object{Name: "base", Keys: append(make([]Key, 0, 8), Key{Name: "a"}, Key{Name: "b"})}
	more, less, other := base.With("more", Key{Name: "c"}), base.Without("less", "a"), base.With("other", Key{Name: "d"})
	for _, c := range []struct {
		o    Object
		name string
		want []string
	}{{base, "base", []string{"a", "b"}}, {more, "more", []string{"a", "b", "c"}}, {less, "less", []string{"b"}}, {other, "other", []string{"a", "b", "d"}}} {
		if c.o.Name != c.name || !slices.Equal(c.o.Names(), c.want) {
			t.Errorf("%s has %v, want %s with %v", c.o.Name, c.o.Names(), c.name, c.want)
		}
	}
}

func TestWalkComesToEachObjectOnce(t *testing.T) {
	leaf := func() Object { return Object{Name: "leaf"} }
	var self func() Object
	self = func() Object {
		return Object{Name: "self", Keys: []Key{{Name: "again", Type: List(Of(self))}, {Name: "leaf", Type: Forms(Of(leaf), Map("", Of(leaf)))}}}
	}
	var names []string
	self().Walk(func(o Object) { names = append(names, o.Name) })
	if want := []string{"self", "leaf"}; !slices.Equal(names, want) {
		t.Errorf("came to %v, want %v", names, want)
	}
}
