package recipe

import (
	"testing"

	"attache/internal/shape"
)

// The defaults that the reference and editors tell are those that hold.
func TestDefaultsAreThoseOfTheShapes(t *testing.T) {
	for _, c := range []struct {
		object shape.Object
		key    string
		want   string
	}{
		{requestShape(), "timeout", shape.DurationText(defaultTimeout)},
		{requestShape(), "max_body", shape.SizeText(defaultMaxBody)},
		{execShape(), "timeout", shape.DurationText(defaultTimeout)},
		{RefreshShape(), "timeout", shape.DurationText(defaultTimeout)},
		{paramShape(), "type", string(TypeString)},
	} {
		if k, ok := c.object.Key(c.key); !ok || k.Default != c.want {
			t.Errorf("the shape says that %s of %s is %q by default, and it is %q", c.key, c.object.Name, k.Default, c.want)
		}
	}
}
